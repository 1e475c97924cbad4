"""What the API takes and refuses, as tables: for pydantic and for any API server.

A case is one sentence. ``message`` is the exact message in Python; ``server`` is what the API
server says at ``field``, part of it where the rest is its own wording. The end-to-end suite imports
the tables and runs them against a real API server.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anomaly_operator.api.group import API_VERSION

ACCEPTS = ""
"""The API server cannot see it, or prunes it; the operator refuses it all the same."""

MATCH = "should match"
ENUM = "Unsupported value"
REQUIRED = "Required value"
DUPLICATE = "Duplicate value"
TOO_MANY = "Too many"
TOO_LONG = "Too long"
AT_LEAST = "should be greater than or equal to"
AT_MOST = "should be less than or equal to"
TYPE = "must be of type"
TOO_SHORT = "should be at least"


@dataclass(frozen=True, slots=True)
class Case:
    """A document that is accepted (no ``message``) or refused for exactly one reason."""

    name: str
    document: Mapping[str, Any]
    path: str = ""
    message: str | None = None
    server: str | None = None  # None: as ``message``
    field: str | None = None  # None: as ``path``


@dataclass(frozen=True, slots=True)
class Update:
    """A change of a stored object that is accepted or refused for exactly one reason."""

    name: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    path: str = ""
    message: str | None = None
    server: str | None = None
    field: str | None = None
    model_bytes: int | None = None  # of the stored status


def _document(kind: str, spec: Mapping[str, Any], *, namespaced: bool = True) -> dict[str, Any]:
    metadata = {"name": "case", **({"namespace": "default"} if namespaced else {})}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": metadata,
        "spec": copy.deepcopy(dict(spec)),
    }


def detector(**spec: Any) -> dict[str, Any]:
    """Give an AnomalyDetector over the memory of pods, with fields added or, as None, left out."""
    whole = {"target": {"kind": "Pod"}, "detectors": [{"metric": "memory_usage"}], **spec}
    return _document("AnomalyDetector", {k: v for k, v in whole.items() if v is not None})


def one(**fields: Any) -> dict[str, Any]:
    """Give an AnomalyDetector whose one detector has these fields too."""
    return detector(detectors=[{"metric": "memory_usage", **fields}])


def ruled(**rule: Any) -> dict[str, Any]:
    """Give an AnomalyDetector whose one detector has one custom rule."""
    return one(customRules=[rule])


def windowed(**window: Any) -> dict[str, Any]:
    """Give an AnomalyDetector with one maintenance window named backup."""
    return detector(maintenanceWindows=[{"name": "backup", **window}])


def filter_(**spec: Any) -> dict[str, Any]:
    """Give an AnomalyFilter."""
    return _document("AnomalyFilter", spec)


def source(**spec: Any) -> dict[str, Any]:
    """Give a MetricSource."""
    return _document("MetricSource", spec, namespaced=False)


def prometheus(**settings: Any) -> dict[str, Any]:
    """Give a MetricSource of type prometheus, with settings added."""
    return source(type="prometheus", prometheus={"url": "http://prometheus:9090", **settings})


LOW_MEMORY = {"appliesTo": "actual", "operator": "lt", "value": 0.1}
EVENTS = {"metric": "events", "by": "category", "function": "count"}
