"""Nobody grants what they do not hold: the check on writes of roles and bindings.

A role may only hold rules that its writer holds where it counts, unless the writer may ``escalate``
it; a role may only be bound by who holds its rules, or may ``bind`` it. An operator that hands
permissions on to its workers lives by this, so a stand-in without it would let everything pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import orjson

from anomaly_operator.devcluster.apiserver.authorizing import (
    MASTERS,
    RBAC,
    Attributes,
    Authorizer,
    rule_allows,
)
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.refusals import forbidden, not_found
from anomaly_operator.devcluster.apiserver.write_options import User

_ROLES = {f"{RBAC}/roles", f"{RBAC}/clusterroles"}
_BINDINGS = {f"{RBAC}/rolebindings", f"{RBAC}/clusterrolebindings"}


class EscalationGuard:
    """Refuses roles and bindings that give more than their writer has."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def check(self, kind: KindInfo, new: Document, *, old: Document | None, user: User) -> None:
        """Refuse with 403 and every rule that is too much."""
        if MASTERS in user.groups or not self._authorizer.enforce:
            return
        metadata = new["metadata"]
        namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
        if kind.store in _ROLES:
            if old is not None and old.get("rules") == new.get("rules"):
                return
            verb, target, rules = "escalate", kind.plural, new.get("rules") or []
            asked_name = name
        elif kind.store in _BINDINGS:
            if old is not None and _grants(old) == _grants(new):
                return
            ref = new.get("roleRef") or {}
            verb, asked_name = "bind", str(ref.get("name"))
            target = "clusterroles" if ref.get("kind") == "ClusterRole" else "roles"
            rules = self._authorizer.rules_of(ref, namespace)
        else:
            return
        wanted = Attributes(verb, RBAC, target, "", namespace, asked_name)
        if self._authorizer.allows(user, wanted):
            return
        if kind.store in _BINDINGS and not self._authorizer.has_role(new["roleRef"], namespace):
            raise not_found(target, RBAC, name=asked_name)
        held = list(self._authorizer.rules_for(user, namespace))
        missing = _compact(each for each in _simple(rules) if not _covered(each, held))
        if missing:
            groups = " ".join(orjson.dumps(group).decode() for group in user.groups)
            why = (
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions '
                "not currently held:\n" + "\n".join(missing)
            )
            details = {"name": name, "group": kind.group, "kind": kind.plural}
            raise forbidden(kind.plural, kind.group, name=name, why=why, details=details)


def _grants(binding: Document) -> tuple[object, object]:
    return binding.get("roleRef"), binding.get("subjects")


def _simple(rules: Iterable[Document]) -> Iterator[Document]:
    """Break rules into ones of a single verb, group and resource."""
    for rule in rules:
        names = rule.get("resourceNames") or []
        for verb in rule.get("verbs") or []:
            for group, resource in itertools.product(
                rule.get("apiGroups") or [], rule.get("resources") or []
            ):
                whole = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                if not names:
                    yield whole
                for name in names:
                    yield whole | {"resourceNames": [name]}
            for url in rule.get("nonResourceURLs") or []:
                yield {"verbs": [verb], "nonResourceURLs": [url]}


def _covered(rule: Document, held: list[Document]) -> bool:
    verb = rule["verbs"][0]
    if "nonResourceURLs" in rule:
        wanted = Attributes(verb, path=rule["nonResourceURLs"][0])
        return any(rule_allows(each, wanted) for each in held)
    resource, _, subresource = rule["resources"][0].partition("/")
    names = rule.get("resourceNames") or [""]
    wanted = Attributes(verb, rule["apiGroups"][0], resource, subresource, "", names[0])
    return any(rule_allows(each, wanted) for each in held)


def _compact(rules: Iterable[Document]) -> list[str]:
    """Show rules as the server does: those that differ in the verb alone in one line."""
    verbs: dict[str, list[str]] = {}
    for rule in rules:
        texts = [
            f"{label}:{_listed(rule[name])}"
            for label, name in (
                ("NonResourceURLs", "nonResourceURLs"),
                ("APIGroups", "apiGroups"),
                ("Resources", "resources"),
                ("ResourceNames", "resourceNames"),
            )
            if name in rule
        ]
        verbs.setdefault(", ".join(texts), []).extend(rule["verbs"])
    return sorted(f"{{{text}, Verbs:{_listed(found)}}}" for text, found in verbs.items())


def _listed(words: list[str]) -> str:
    return f"[{' '.join(orjson.dumps(word).decode() for word in words)}]"
