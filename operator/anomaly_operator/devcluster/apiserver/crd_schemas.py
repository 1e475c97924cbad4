"""From the openAPIV3Schema of a CRD to the schema tree the server works with."""

from __future__ import annotations

import functools
from typing import Any

from anomaly_operator.devcluster.apiserver.builtin_types import OBJECT_META, builtin_schema
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

# Value validations, kept as they stand; the rest of the vocabulary is structure.
LIMITS = (
    "enum",
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
)


def schema_from_crd(declared: Document, *, top: bool = False) -> SchemaNode:
    """Return the tree for a structural schema; ``top`` is the schema of the whole resource."""
    node = SchemaNode(
        type=str(declared.get("type") or ""),
        properties={
            name: schema_from_crd(child)
            for name, child in (declared.get("properties") or {}).items()
        },
        items=schema_from_crd(declared["items"]) if declared.get("items") else None,
        additional=_additional(declared.get("additionalProperties")),
        required=tuple(declared.get("required") or ()),
        nullable=bool(declared.get("nullable")),
        preserve=bool(declared.get("x-kubernetes-preserve-unknown-fields")),
        int_or_string=bool(declared.get("x-kubernetes-int-or-string")),
        embedded=bool(declared.get("x-kubernetes-embedded-resource")),
        has_default="default" in declared,
        default=declared.get("default"),
        list_type=str(declared.get("x-kubernetes-list-type") or "atomic"),
        map_keys=tuple(declared.get("x-kubernetes-list-map-keys") or ()),
        map_type=str(declared.get("x-kubernetes-map-type") or "granular"),
        limits={name: declared[name] for name in LIMITS if name in declared},
        rules=tuple(declared.get("x-kubernetes-validations") or ()),
        description=str(declared.get("description") or ""),
    )
    if top or node.embedded:
        node.properties = with_type_and_metadata(node)
    return node


def _additional(declared: Any) -> SchemaNode | None:
    if isinstance(declared, dict):
        return schema_from_crd(declared)
    return SchemaNode(preserve=True) if declared is True else None


@functools.cache
def _metadata() -> SchemaNode:
    return builtin_schema(OBJECT_META)


def with_type_and_metadata(node: SchemaNode) -> dict[str, SchemaNode]:
    """Return the properties of a whole object: apiVersion, kind and metadata are always there."""
    text = SchemaNode(type="string", loose=True)
    return dict(node.properties) | {"apiVersion": text, "kind": text, "metadata": _metadata()}
