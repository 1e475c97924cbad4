"""Between the version a client asks for and the one that is stored.

Custom resources differ only in apiVersion (strategy None). Events are stored as core/v1 and served
in both groups, with the renamed fields of events.k8s.io/v1.
"""

from __future__ import annotations

from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.kinds import KindInfo

# events.k8s.io/v1 name -> core/v1 name
_EVENT_FIELDS = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_CORE_FIELDS = {core: new for new, core in _EVENT_FIELDS.items()}


def _renamed(document: Document, names: dict[str, str]) -> Document:
    return {names.get(name, name): value for name, value in document.items()}


def to_stored(kind: KindInfo, document: Document) -> Document:
    """Return the document as it is stored."""
    if kind.group == "events.k8s.io":
        return _renamed(document, _EVENT_FIELDS) | {"apiVersion": "v1"}
    if kind.is_custom and kind.version != kind.storage_version:
        return document | {"apiVersion": f"{kind.group}/{kind.storage_version}"}
    return document


def to_served(kind: KindInfo, document: Document) -> Document:
    """Return a stored document in the version of a kind; the same object where nothing differs."""
    if document.get("apiVersion") == kind.api_version:
        return document
    if kind.group == "events.k8s.io":
        served = _renamed(document, _CORE_FIELDS) | {"apiVersion": kind.api_version}
        return {name: value for name, value in served.items() if value != ""}
    return document | {"apiVersion": kind.api_version}
