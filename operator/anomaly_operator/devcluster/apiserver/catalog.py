"""Every kind the server serves now: the built-in ones, and those of established definitions."""

from __future__ import annotations

from collections.abc import Iterator

from anomaly_operator.devcluster.apiserver.builtin_defaults import install_fixed
from anomaly_operator.devcluster.apiserver.builtin_kinds import builtin_kinds
from anomaly_operator.devcluster.apiserver.kinds import KindInfo

# What kubectl offers first when several groups hold a resource of one name.
_GROUP_ORDER = (
    "",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
)


class Catalog:
    """Kinds by group, version and plural."""

    def __init__(self) -> None:
        install_fixed()
        self._kinds = {(kind.group, kind.version, kind.plural): kind for kind in builtin_kinds()}
        self.generation = 0

    def find(self, group: str, version: str, plural: str) -> KindInfo | None:
        """Return the kind served at a path, or None."""
        return self._kinds.get((group, version, plural))

    def builtin(self, group: str, plural: str) -> KindInfo:
        """Return a built-in kind; there is one version of each."""
        return self._kinds[(group, "v1", plural)]

    def is_builtin(self, group: str) -> bool:
        """Tell whether a group is one of Kubernetes' own that are served here."""
        return any(kind.group == group and not kind.is_custom for kind in self._kinds.values())

    def replace_group_resource(self, group: str, plural: str, kinds: tuple[KindInfo, ...]) -> None:
        """Serve a custom resource in these versions, and no others."""
        self._kinds = {
            key: kind
            for key, kind in self._kinds.items()
            if not (key[0] == group and key[2] == plural)
        } | {(kind.group, kind.version, kind.plural): kind for kind in kinds}
        self.generation += 1

    def groups(self) -> list[str]:
        """Return the groups in the order discovery lists them."""
        names = {kind.group for kind in self._kinds.values()}
        custom = sorted(names - set(_GROUP_ORDER))
        return [group for group in _GROUP_ORDER if group in names] + custom

    def versions(self, group: str) -> list[str]:
        """Return the versions of a group, the preferred one first."""
        names = {kind.version for kind in self._kinds.values() if kind.group == group}
        return sorted(names, key=version_rank)

    def kinds(self, group: str, version: str) -> list[KindInfo]:
        """Return the kinds of one group and version, by plural."""
        return sorted(
            (
                kind
                for kind in self._kinds.values()
                if (kind.group, kind.version) == (group, version)
            ),
            key=lambda kind: kind.plural,
        )

    def __iter__(self) -> Iterator[KindInfo]:
        return iter(tuple(self._kinds.values()))


def version_rank(version: str) -> tuple[int, int, int]:
    """Return a sort key: v2 before v1 before v1beta2 before v1alpha1 before anything else."""
    for rank, word in enumerate(("", "beta", "alpha")):
        head, mark, tail = version[1:].partition(word) if word else (version[1:], "", "")
        if version[:1] == "v" and head.isdigit() and (not word or (mark and tail.isdigit())):
            return rank, -int(head), -int(tail or 0)
    return 3, 0, 0
