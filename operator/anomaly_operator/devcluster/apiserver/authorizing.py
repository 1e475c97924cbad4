"""May they: role-based access control over the stored roles and bindings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.refusals import Refusal, qualified
from anomaly_operator.devcluster.apiserver.storage import Change, Store
from anomaly_operator.devcluster.apiserver.write_options import User

RBAC = "rbac.authorization.k8s.io"
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked for: a verb on a resource, or on a path outside the API."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """Return ``pods`` or ``pods/log``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authorizer:
    """Answers whether a user may; bindings are indexed, and indexed anew after any RBAC change."""

    def __init__(self, store: Store, *, enforce: bool) -> None:
        self._store = store
        self.enforce = enforce
        self._bindings: dict[str, list[tuple[str, Document]]] | None = None
        store.listen(self._on_change)

    def _on_change(self, table: str, change: Change) -> None:
        del change
        if table.startswith(RBAC):
            self._bindings = None

    def allows(self, user: User, wanted: Attributes) -> bool:
        """Tell whether the user may do it."""
        if not self.enforce or MASTERS in user.groups:
            return True
        return any(rule_allows(rule, wanted) for rule in self.rules_for(user, wanted.namespace))

    def rules_for(self, user: User, namespace: str) -> Iterator[Document]:
        """Yield the rules a user has in a namespace, cluster-wide ones included."""
        if self._bindings is None:
            self._bindings = self._index()
        subjects = [f"User:{user.name}", *(f"Group:{group}" for group in user.groups)]
        for subject in subjects:
            for scope, ref in self._bindings.get(subject, ()):
                if scope in {"", namespace}:
                    yield from self.rules_of(ref, scope)

    def _index(self) -> dict[str, list[tuple[str, Document]]]:
        found: dict[str, list[tuple[str, Document]]] = {}
        for table in (f"{RBAC}/clusterrolebindings", f"{RBAC}/rolebindings"):
            for key, stored in self._store.items(table):
                for subject in stored.document.get("subjects") or []:
                    name = _subject_key(subject, key[0])
                    found.setdefault(name, []).append((key[0], stored.document["roleRef"]))
        return found

    def has_role(self, ref: Document, namespace: str) -> bool:
        """Tell whether the role that a binding names is there."""
        return self._role(ref, namespace) is not None

    def rules_of(self, ref: Document, namespace: str) -> list[Document]:
        """Return the rules of the role that a binding names."""
        role = self._role(ref, namespace)
        return (role.get("rules") or []) if role else []

    def _role(self, ref: Document, namespace: str) -> Document | None:
        if ref["kind"] == "ClusterRole":
            stored = self._store.get(f"{RBAC}/clusterroles", ("", ref["name"]))
        else:
            stored = self._store.get(f"{RBAC}/roles", (namespace, ref["name"]))
        return stored.document if stored else None


def _subject_key(subject: Document, namespace: str) -> str:
    kind, name = subject["kind"], subject["name"]
    if kind == "ServiceAccount":
        return f"User:system:serviceaccount:{subject.get('namespace') or namespace}:{name}"
    return f"{kind}:{name}"


def rule_allows(rule: Document, wanted: Attributes) -> bool:
    """Tell whether one rule covers what is wanted."""
    verbs = rule.get("verbs") or []
    if "*" not in verbs and wanted.verb not in verbs:
        return False
    if wanted.path:
        return any(_path_matches(url, wanted.path) for url in rule.get("nonResourceURLs") or [])
    groups = rule.get("apiGroups") or []
    if "*" not in groups and wanted.group not in groups:
        return False
    names = rule.get("resourceNames") or []
    if names and wanted.name not in names:
        return False
    return any(_resource_matches(each, wanted) for each in rule.get("resources") or [])


def _path_matches(url: str, path: str) -> bool:
    return url in {"*", path} or (url.endswith("*") and path.startswith(url[:-1]))


def _resource_matches(resource: str, wanted: Attributes) -> bool:
    return resource in {"*", wanted.full_resource} or (
        bool(wanted.subresource) and resource == f"*/{wanted.subresource}"
    )


def denial(user: User, wanted: Attributes) -> Refusal:
    """Return the 403 of a real server for something a user may not do."""
    if wanted.path:
        message = f'forbidden: User "{user.name}" cannot {wanted.verb} path "{wanted.path}"'
        return Refusal(403, "Forbidden", message=message, details={})
    resource = qualified(wanted.resource, wanted.group)
    scope = (
        f'in API group "{wanted.group}" in the namespace "{wanted.namespace}"'
        if wanted.namespace
        else f'in API group "{wanted.group}" at the cluster scope'
    )
    name = f' "{wanted.name}"' if wanted.name else ""
    message = (
        f'{resource}{name} is forbidden: User "{user.name}" cannot {wanted.verb} resource '
        f'"{wanted.full_resource}" {scope}'
    )
    details = {"name": wanted.name, "group": wanted.group, "kind": wanted.resource}
    return Refusal(
        403,
        "Forbidden",
        message=message,
        details={key: value for key, value in details.items() if value},
    )
