"""Fills aggregated ClusterRoles: an aggregationRule gathers the rules of the roles it selects."""

from __future__ import annotations

from anomaly_operator.devcluster.apiserver.documents import Document, clone
from anomaly_operator.devcluster.apiserver.storage import Change, Store

ROLES = "rbac.authorization.k8s.io/clusterroles"


class RoleAggregation:
    """Recomputes aggregated roles after any change of a ClusterRole, until nothing changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running = False
        store.listen(self._on_change)

    def _on_change(self, table: str, change: Change) -> None:
        del change
        if table != ROLES or self._running:
            return
        self._running = True
        try:
            while self._pass():
                pass
        finally:
            self._running = False

    def _pass(self) -> bool:
        changed = False
        for key, stored in list(self._store.items(ROLES)):
            rule = stored.document.get("aggregationRule")
            if not rule:
                continue
            wanted = self._gathered(rule, own_name=key[1])
            if wanted != (stored.document.get("rules") or []):
                role = clone(stored.document)
                role["rules"] = wanted
                self._store.put(ROLES, key, document=role)
                changed = True
        return changed

    def _gathered(self, rule: Document, *, own_name: str) -> list[Document]:
        rules: list[Document] = []
        for selector in rule.get("clusterRoleSelectors") or []:
            labels = selector.get("matchLabels") or {}
            for key, stored in self._store.items(ROLES):
                have = stored.document["metadata"].get("labels") or {}
                selected = labels and all(have.get(name) == labels[name] for name in labels)
                if selected and key[1] != own_name:
                    found = stored.document.get("rules") or []
                    rules += [each for each in found if each not in rules]
        gathered: list[Document] = clone(rules)
        return gathered
