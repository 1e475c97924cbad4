"""What every cluster starts with: its namespaces and its default roles."""

from __future__ import annotations

from anomaly_operator.devcluster.apiserver.bootstrap_roles import bindings, roles
from anomaly_operator.devcluster.apiserver.catalog import Catalog
from anomaly_operator.devcluster.apiserver.documents import Document, clone
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.registry import Registry
from anomaly_operator.devcluster.apiserver.write_options import WriteOptions

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
RBAC = "rbac.authorization.k8s.io"


def bootstrap(catalog: Catalog, registry: Registry) -> None:
    """Create what is missing; objects a restart found on disk stay as they are."""
    for name in NAMESPACES:
        _ensure(catalog.builtin("", "namespaces"), registry, {"metadata": {"name": name}})
    for role in roles():
        _ensure(catalog.builtin(RBAC, "clusterroles"), registry, role)
    for binding in bindings():
        _ensure(catalog.builtin(RBAC, "clusterrolebindings"), registry, binding)


def _ensure(kind: KindInfo, registry: Registry, document: Document) -> None:
    key = ("", str(document["metadata"]["name"]))
    if registry.store.get(kind.store, key) is None:
        options = WriteOptions(manager="kube-apiserver", validation="Ignore")
        registry.create(kind, "", body=clone(document), options=options)
