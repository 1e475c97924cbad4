"""What the server itself sets and checks on built-in kinds, where clients would notice."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from anomaly_operator.devcluster.apiserver.builtin_checks import causes as kind_causes
from anomaly_operator.devcluster.apiserver.builtin_defaults import fill_dependent
from anomaly_operator.devcluster.apiserver.documents import Document, clone
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.refusals import Cause

_FIRST_STATUS: dict[str, Document] = {
    "/namespaces": {"phase": "Active"},
    "/pods": {"phase": "Pending"},
    "/persistentvolumeclaims": {"phase": "Pending"},
    "/persistentvolumes": {"phase": "Pending"},
    "/services": {"loadBalancer": {}},
    "apps/deployments": {},
    "apps/replicasets": {"replicas": 0},
    "apps/statefulsets": {"replicas": 0, "availableReplicas": 0},
    "apps/daemonsets": {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    "batch/jobs": {},
    "batch/cronjobs": {},
    "policy/poddisruptionbudgets": {
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "disruptionsAllowed": 0,
        "expectedPods": 0,
    },
}


# Structs of Go that stand in an object though nobody wrote them: nobody owns them either.
_EMPTY_POD: Document = {"containers": []}
_EMPTY_TEMPLATE: Document = {"metadata": {}, "spec": _EMPTY_POD}
_EMPTY_SPECS: dict[str, Document] = {
    "/pods": _EMPTY_POD,
    "apps/deployments": {"template": _EMPTY_TEMPLATE, "strategy": {}},
    "apps/replicasets": {"template": _EMPTY_TEMPLATE},
    "apps/statefulsets": {"template": _EMPTY_TEMPLATE, "updateStrategy": {}},
    "apps/daemonsets": {"template": _EMPTY_TEMPLATE, "updateStrategy": {}},
    "batch/jobs": {"template": _EMPTY_TEMPLATE},
    "batch/cronjobs": {
        "jobTemplate": {"metadata": {}, "spec": {"template": _EMPTY_TEMPLATE}},
    },
}


def empty_object(kind: KindInfo) -> Document:
    """Return what a created object is compared with to find what its creator owns."""
    if kind.is_custom:
        return {"metadata": {}}
    return {"metadata": {}, "spec": clone(_EMPTY_SPECS.get(kind.store, {})), "status": {}}


def prepare_create(kind: KindInfo, document: Document) -> None:
    """Set what a new object starts with, whatever its creator sent."""
    if kind.has_status and kind.store != "/nodes":
        document.pop("status", None)
        if kind.store in _FIRST_STATUS:
            document["status"] = dict(_FIRST_STATUS[kind.store])
    if kind.store == "/namespaces":
        document["spec"] = {"finalizers": ["kubernetes"]}
        labels = document["metadata"].setdefault("labels", {})
        labels["kubernetes.io/metadata.name"] = document["metadata"]["name"]
    if kind.store == "/secrets":
        _merge_string_data(document)


def prepare_update(kind: KindInfo, new: Document, old: Document, *, subresource: str) -> None:
    """Keep what an update through this endpoint may not change, without complaint."""
    if kind.store == "/namespaces" and subresource != "finalize":
        new["spec"] = old.get("spec") or {}
    if kind.store == "/secrets":
        _merge_string_data(new)
    for part in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if kind.store == "/services" and part in (old.get("spec") or {}):
            new.setdefault("spec", {}).setdefault(part, old["spec"][part])


def after_defaults(kind: KindInfo, document: Document) -> None:
    """Fill in defaults that depend on other fields, and bring quantities to text."""
    if not kind.is_custom:
        fill_dependent(kind, document)


def causes(
    kind: KindInfo, new: Document, old: Document | None, *, subresource: str
) -> Iterator[Cause]:
    """Yield what is wrong with an object of a built-in kind."""
    yield from kind_causes(kind, new, old, subresource=subresource)


def _merge_string_data(secret: Document) -> None:
    plain: dict[str, Any] = secret.pop("stringData", None) or {}
    for name, text in plain.items():
        encoded = base64.b64encode(str(text).encode()).decode()
        secret.setdefault("data", {})[name] = encoded
