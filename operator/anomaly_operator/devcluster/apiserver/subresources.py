"""Which part of an object a write may change: the main endpoint, /status, /scale."""

from __future__ import annotations

from anomaly_operator.devcluster.apiserver.documents import Document, clone
from anomaly_operator.devcluster.apiserver.field_sets import EMPTY, FieldSet
from anomaly_operator.devcluster.apiserver.kinds import KindInfo

# Fields of metadata the server alone sets; a client that leaves them out does not clear them.
_SERVER_METADATA = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "resourceVersion",
    "name",
    "generateName",
)
# A kubelet may label a pod or node through its status; elsewhere metadata sent along is dropped.
_LABELLED_THROUGH_STATUS = {"/pods", "/nodes"}
# Core kinds that always carry a status in the main endpoint's writes of their own controllers.
_STATUS: FieldSet = frozenset({("f:status",)})


def ignored_fields(kind: KindInfo, subresource: str) -> FieldSet:
    """Return the paths a write through a subresource neither changes nor owns."""
    if subresource == "status":
        parts = _parts_beside_status(kind)
        return frozenset((f"f:{name}",) for name in parts)
    return _STATUS if kind.has_status and not subresource else EMPTY


def _parts_beside_status(kind: KindInfo) -> set[str]:
    names = set(kind.schema.properties) - {"apiVersion", "kind", "metadata", "status"}
    if kind.store not in _LABELLED_THROUGH_STATUS:
        names.add("metadata")
    return names


def keep_other_parts(kind: KindInfo, new: Document, *, old: Document, subresource: str) -> Document:
    """Return the new state with everything this endpoint may not touch as it was."""
    metadata, before = new["metadata"], old["metadata"]
    for name in _SERVER_METADATA:
        if name in before and (name not in {"uid", "name"} or not metadata.get(name)):
            metadata[name] = before[name]
        elif name not in before:
            metadata.pop(name, None)
    if subresource == "status":
        kept: Document = clone(old)
        if kind.store in _LABELLED_THROUGH_STATUS:
            kept["metadata"] = metadata
        elif "managedFields" in metadata:
            kept["metadata"]["managedFields"] = metadata["managedFields"]
        kept.pop("status", None)
        if "status" in new:
            kept["status"] = new["status"]
        return kept
    if kind.has_status and not subresource:
        new.pop("status", None)
        if "status" in old:
            new["status"] = clone(old["status"])
    return new


def bump_generation(kind: KindInfo, new: Document, *, old: Document) -> None:
    """Count the generation up when what is wanted changed: anything but metadata and status."""
    if not (kind.has_generation or kind.is_custom):
        return
    beside = {"metadata"} | ({"status"} if kind.has_status else set())
    changed = any(new.get(name) != old.get(name) for name in (new.keys() | old.keys()) - beside)
    metadata = new["metadata"]
    metadata["generation"] = int(old["metadata"].get("generation") or 1) + int(changed)
