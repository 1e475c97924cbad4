"""Drops fields the schema does not know, and names them for ``--validate=strict`` and warnings."""

from __future__ import annotations

from typing import Any

from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode


def prune(value: Any, schema: SchemaNode, *, path: str = "") -> list[str]:
    """Remove unknown fields in place; return their paths, such as ``spec.a[0].b``."""
    if isinstance(value, list):
        if schema.items is None:
            return []
        unknown: list[str] = []
        for index, item in enumerate(value):
            unknown += prune(item, schema.items, path=f"{path}[{index}]")
        return unknown
    if not isinstance(value, dict) or _accepts_anything(schema):
        return []
    return _prune_object(value, schema, path=path)


def _accepts_anything(schema: SchemaNode) -> bool:
    return schema.preserve and not schema.properties and schema.additional is None


def _prune_object(value: dict[str, Any], schema: SchemaNode, *, path: str) -> list[str]:
    unknown: list[str] = []
    for name in list(value):
        place = f"{path}.{name}" if path else name
        child = schema.child(name)
        if child is not None:
            unknown += prune(value[name], child, path=place)
        elif not schema.preserve and schema.type in {"object", ""}:
            unknown.append(place)
            del value[name]
    return unknown
