"""Fills in the defaults that stand in a schema, on the way in and where old objects lack them."""

from __future__ import annotations

from typing import Any

from anomaly_operator.devcluster.apiserver.documents import clone
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode


def fill_defaults(value: Any, schema: SchemaNode) -> None:
    """Set missing fields to their defaults, in place and inwards.

    A null for a field that is not nullable but has a default counts as missing; without a default
    it is dropped, as the server prunes nulls before it defaults.
    """
    if isinstance(value, list):
        if schema.items is not None:
            for item in value:
                fill_defaults(item, schema.items)
        return
    if not isinstance(value, dict):
        return
    for name, child in schema.properties.items():
        if name in value and value[name] is None and not child.nullable and child.has_default:
            del value[name]
        if name not in value and child.has_default:
            value[name] = clone(child.default)
        if name in value:
            fill_defaults(value[name], child)
    if schema.additional is not None:
        for name, item in value.items():
            if name not in schema.properties:
                fill_defaults(item, schema.additional)


def drop_nulls(value: Any, schema: SchemaNode) -> None:
    """Remove nulls the schema does not allow, as Go's decoding of built-in kinds does."""
    if isinstance(value, list):
        for item in value:
            if schema.items is not None:
                drop_nulls(item, schema.items)
        return
    if not isinstance(value, dict):
        return
    for name in list(value):
        child = schema.child(name)
        if child is None or child.nullable or (child.preserve and not child.type):
            continue
        if value[name] is None:
            del value[name]
        else:
            drop_nulls(value[name], child)
