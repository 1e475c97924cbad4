"""Sets of fields: which paths a value has, and their FieldsV1 form in managedFields.

A path is a tuple of elements as FieldsV1 spells them: ``f:name`` a field, ``k:{"name":"a"}`` an
entry of a keyed list, ``v:"x"`` an entry of a set. A field set is a frozenset of paths, so union,
difference and intersection are the language's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.schema_nodes import ANYTHING, SchemaNode

Path = tuple[str, ...]
FieldSet = frozenset[Path]
EMPTY: FieldSet = frozenset()

# The server's own fields have no owner.
_UNOWNED_METADATA = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
)
UNOWNED: FieldSet = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {("f:metadata", f"f:{name}") for name in _UNOWNED_METADATA}
)


def is_granular_list(value: Any, schema: SchemaNode) -> bool:
    """Tell whether the list's entries have owners of their own."""
    return isinstance(value, list) and schema.list_type in {"map", "set"}


def child_schema(schema: SchemaNode, name: str) -> SchemaNode:
    """Return the schema of a field; where none is known, maps are granular and lists atomic."""
    return schema.child(name) or ANYTHING


def item_schema(schema: SchemaNode) -> SchemaNode:
    """Return the schema of a list's entries."""
    return schema.items or ANYTHING


def item_element(item: Any, schema: SchemaNode) -> str:
    """Return the path element of a list's entry; missing keys count as their default, or null."""
    if schema.list_type == "set" or not isinstance(item, dict):
        return "v:" + orjson.dumps(item).decode()
    keys: Document = {}
    for name in sorted(schema.map_keys):
        value = item.get(name)
        if value is None:
            declared = item_schema(schema).properties.get(name)
            value = declared.default if declared is not None else None
        if value is not None:
            keys[name] = value
    return "k:" + orjson.dumps(keys).decode()


def fields_of(value: Any, schema: SchemaNode) -> FieldSet:
    """Return the paths a value has: leaves, atomic values, list entries, empty maps."""
    return frozenset(_fields(value, schema, ()))


def _fields(value: Any, schema: SchemaNode, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and schema.map_type != "atomic":
        for name, item in value.items():
            place = (*path, f"f:{name}")
            yield from _fields(item, child_schema(schema, name), place)
            if item is None or item == {} or name not in schema.properties:
                yield place
    elif is_granular_list(value, schema):
        for item in value:
            place = (*path, item_element(item, schema))
            yield from _fields(item, item_schema(schema), place)
            yield place
    elif path:
        yield path


def with_named_parents(fields: FieldSet, schema: SchemaNode) -> FieldSet:
    """Return the set with the struct fields on the way to each member.

    A struct that held nothing but removed fields must itself be removable.
    """
    found = set(fields)
    for path in fields:
        node = schema
        for depth, element in enumerate(path[:-1], start=1):
            if element.startswith("f:"):
                name = element[2:]
                if name in node.properties:
                    found.add(path[:depth])
                node = child_schema(node, name)
            else:
                node = item_schema(node)
    return frozenset(found)


def to_fields_v1(fields: Iterable[Path]) -> Document:
    """Return the FieldsV1 document; a member that also has children carries a ``.``."""
    root: Document = {}
    members = sorted(fields)
    for path in members:
        node = root
        for element in path:
            node = node.setdefault(element, {})
    for path in members:
        node = root
        for element in path:
            node = node[element]
        if node:
            node["."] = {}
    return _dots_first(root)


def _dots_first(node: Document) -> Document:
    return {name: _dots_first(node[name]) for name in sorted(node)}


def from_fields_v1(document: Document) -> FieldSet:
    """Return the set a FieldsV1 document stands for."""
    return frozenset(_members(document, ()))


def _members(document: Document, path: Path) -> Iterator[Path]:
    for element, inner in document.items():
        if element == ".":
            yield path
            continue
        place = (*path, element)
        if inner:
            yield from _members(inner, place)
        else:
            yield place


def shown_path(path: Path) -> str:
    """Return a path as conflict messages print it: ``.spec.containers[name="a"].image``."""
    texts = []
    for element in path:
        if element.startswith("f:"):
            texts.append(f".{element[2:]}")
        elif element.startswith("k:"):
            keys = orjson.loads(element[2:])
            pairs = (f"{name}={orjson.dumps(value).decode()}" for name, value in keys.items())
            texts.append(f"[{','.join(pairs)}]")
        else:
            texts.append(f"[={element[2:]}]")
    return "".join(texts)
