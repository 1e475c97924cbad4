"""One shape for all schemas: structural schemas of CRDs and the fields of built-in kinds.

Pruning, defaulting, validation, merging and documentation walk this tree, so they are written once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from anomaly_operator.devcluster.apiserver.documents import Document


@dataclass(slots=True)
class SchemaNode:
    """A schema of one value.

    ``preserve`` means that unknown fields stay (x-kubernetes-preserve-unknown-fields); a node
    without ``properties``, ``items`` or ``additional`` that preserves accepts anything.
    ``limits`` holds the value validations as they stand in the CRD (pattern, minimum, enum, ...).
    ``loose`` nodes (built-in kinds) have no value validation beyond the JSON type.
    """

    type: str = ""
    properties: dict[str, SchemaNode] = field(default_factory=dict)
    items: SchemaNode | None = None
    additional: SchemaNode | None = None
    required: tuple[str, ...] = ()
    nullable: bool = False
    preserve: bool = False
    int_or_string: bool = False
    embedded: bool = False
    has_default: bool = False
    default: Any = None
    list_type: str = "atomic"
    map_keys: tuple[str, ...] = ()
    map_type: str = "granular"
    patch_key: str = ""
    retain_keys: bool = False
    limits: Document = field(default_factory=dict)
    rules: tuple[Document, ...] = ()
    description: str = ""
    type_label: str = ""
    loose: bool = False

    def child(self, name: str) -> SchemaNode | None:
        """Return the schema of a field, or None when nothing is said about it."""
        found = self.properties.get(name)
        if found is not None:
            return found
        return self.additional

    @property
    def is_atomic(self) -> bool:
        """Tell whether the value is owned and replaced as a whole."""
        if self.type == "array":
            return self.list_type == "atomic"
        if self.type == "object":
            return self.map_type == "atomic"
        return False


ANYTHING = SchemaNode(preserve=True, loose=True)
