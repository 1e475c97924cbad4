"""From stored JSON to the values rules see: escaped names, times as times, numbers as declared."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf import duration_pb2, timestamp_pb2

from anomaly_operator.devcluster.apiserver.cel.names import cel_name
from anomaly_operator.devcluster.apiserver.documents import parse_time
from anomaly_operator.devcluster.apiserver.formats import parse_go_duration
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

# Of metadata, rules see no more than these.
VISIBLE_METADATA = ("name", "generateName")


def root_value(document: dict[str, Any], schema: SchemaNode) -> dict[str, Any]:
    """Return what ``self`` is for a rule at the root of an object."""
    metadata = document.get("metadata") or {}
    shown = to_cel({name: value for name, value in document.items() if name != "metadata"}, schema)
    shown["metadata"] = {name: metadata[name] for name in VISIBLE_METADATA if name in metadata}
    return dict(shown)


def to_cel(value: Any, schema: SchemaNode) -> Any:
    """Return the value for CEL."""
    if isinstance(value, dict):
        return _object_to_cel(value, schema)
    if isinstance(value, list):
        inner = schema.items or SchemaNode()
        return [to_cel(item, inner) for item in value]
    if isinstance(value, str):
        return _text_to_cel(value, str(schema.limits.get("format") or ""))
    if schema.type == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _object_to_cel(value: dict[str, Any], schema: SchemaNode) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, item in value.items():
        declared = schema.properties.get(name)
        if declared is None:
            # Keys of maps are data; fields nobody declared are not visible.
            if schema.additional is not None:
                shown[name] = to_cel(item, schema.additional)
            continue
        identifier = cel_name(name)
        if identifier is not None and not (item is None and not declared.nullable):
            shown[identifier] = to_cel(item, declared)
    return shown


def _text_to_cel(value: str, form: str) -> Any:
    """Return a text, or what its format makes of it; times go in as the messages CEL takes."""
    if form in {"date-time", "date"}:
        moment = parse_time(value if form == "date-time" else f"{value}T00:00:00Z")
        if moment is None:
            return value
        stamp = timestamp_pb2.Timestamp()
        stamp.FromDatetime(moment)
        return stamp
    if form == "duration":
        seconds = parse_go_duration(value)
        if seconds is None:
            return value
        span = duration_pb2.Duration()
        span.FromNanoseconds(round(seconds * 1e9))
        return span
    if form == "byte":
        return base64.b64decode(value)
    return value
