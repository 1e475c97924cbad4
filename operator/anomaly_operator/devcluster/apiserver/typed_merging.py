"""Merging, comparing and cutting values under a schema: the arithmetic of server-side apply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from anomaly_operator.devcluster.apiserver.field_sets import (
    FieldSet,
    Path,
    child_schema,
    is_granular_list,
    item_element,
    item_schema,
)
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two values."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet

    def minus(self, ignored: FieldSet) -> Comparison:
        """Return the comparison without what lies at or below the ignored paths."""
        if not ignored:
            return self
        return Comparison(
            drop_below(self.added, ignored),
            drop_below(self.modified, ignored),
            drop_below(self.removed, ignored),
        )


def drop_below(fields: FieldSet, ignored: FieldSet) -> FieldSet:
    """Return the paths that neither are nor lie below an ignored one."""
    return frozenset(
        path
        for path in fields
        if not any(path[:depth] in ignored for depth in range(1, len(path) + 1))
    )


def merge(live: Any, applied: Any, schema: SchemaNode) -> Any:
    """Return the live value with the applied one laid over it; neither is changed."""
    if isinstance(live, dict) and isinstance(applied, dict) and schema.map_type != "atomic":
        merged = dict(live)
        for name, value in applied.items():
            merged[name] = (
                merge(live[name], value, child_schema(schema, name)) if name in live else value
            )
        return merged
    if is_granular_list(live, schema) and isinstance(applied, list):
        return _merge_lists(live, applied, schema)
    return applied


def _merge_lists(live: list[Any], applied: list[Any], schema: SchemaNode) -> list[Any]:
    """Merge by key, in the applied order; entries only the live list has keep their place."""
    inner = item_schema(schema)
    lives = [(item_element(item, schema), item) for item in live]
    wanted = [(item_element(item, schema), item) for item in applied]
    by_key, wanted_keys = dict(lives), {key for key, _ in wanted}
    merged: list[Any] = []
    left = 0
    for key, item in wanted:
        while left < len(lives) and (lives[left][0] not in wanted_keys):
            merged.append(lives[left][1])
            left += 1
        if key in by_key:
            merged.append(merge(by_key[key], item, inner))
            if left < len(lives) and lives[left][0] == key:
                left += 1
        else:
            merged.append(item)
    merged += [item for key, item in lives[left:] if key not in wanted_keys]
    return merged


def compare(old: Any, new: Any, schema: SchemaNode) -> Comparison:
    """Return which fields were added, modified and removed from old to new."""
    found: dict[str, set[Path]] = {"added": set(), "modified": set(), "removed": set()}
    for kind, path in _differences(old, new, schema, ()):
        found[kind].add(path)
    return Comparison(
        frozenset(found["added"]), frozenset(found["modified"]), frozenset(found["removed"])
    )


def _differences(old: Any, new: Any, schema: SchemaNode, path: Path) -> Iterator[tuple[str, Path]]:
    if old is _ABSENT and new is _ABSENT:
        return
    known = new if old is _ABSENT else old
    other = old if old is _ABSENT or new is _ABSENT else new
    if isinstance(known, dict) and schema.map_type != "atomic" and _alike(known, other):
        yield from _map_differences(old, new, schema, path)
    elif is_granular_list(known, schema) and _alike(known, other):
        yield from _list_differences(old, new, schema, path)
    elif old is not _ABSENT and new is not _ABSENT:
        if old != new or type(old) is not type(new):
            yield "modified", path
        return
    if path and old is _ABSENT:
        yield "added", path
    elif path and new is _ABSENT:
        yield "removed", path


def _alike(known: Any, other: Any) -> bool:
    return other is _ABSENT or type(known) is type(other)


def _map_differences(
    old: Any, new: Any, schema: SchemaNode, path: Path
) -> Iterator[tuple[str, Path]]:
    before = {} if old is _ABSENT else old
    after = {} if new is _ABSENT else new
    if before == after:
        return
    for name in before.keys() | after.keys():
        yield from _differences(
            before.get(name, _ABSENT),
            after.get(name, _ABSENT),
            child_schema(schema, name),
            (*path, f"f:{name}"),
        )


def _list_differences(
    old: Any, new: Any, schema: SchemaNode, path: Path
) -> Iterator[tuple[str, Path]]:
    before = {} if old is _ABSENT else {item_element(item, schema): item for item in old}
    after = {} if new is _ABSENT else {item_element(item, schema): item for item in new}
    for element in before.keys() | after.keys():
        yield from _differences(
            before.get(element, _ABSENT),
            after.get(element, _ABSENT),
            item_schema(schema),
            (*path, element),
        )


def remove(value: Any, gone: FieldSet, schema: SchemaNode) -> Any:
    """Return the value without the fields of a set; containers emptied by that disappear too."""
    cut = _remove(value, _as_tree(gone), schema)
    return {} if cut is _ABSENT else cut


def _as_tree(fields: FieldSet) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in fields:
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        node["."] = True
    return tree


def _remove(value: Any, gone: dict[str, Any], schema: SchemaNode) -> Any:
    if isinstance(value, dict) and schema.map_type != "atomic" and value:
        kept = {}
        for name, item in value.items():
            below = gone.get(f"f:{name}")
            left = _cut(item, below, child_schema(schema, name))
            if left is not _ABSENT:
                kept[name] = left
        return kept or _ABSENT
    if is_granular_list(value, schema) and value:
        items = [
            left
            for item in value
            if (left := _cut(item, gone.get(item_element(item, schema)), item_schema(schema)))
            is not _ABSENT
        ]
        return items or _ABSENT
    return value


def _cut(item: Any, below: dict[str, Any] | None, schema: SchemaNode) -> Any:
    if below is None:
        return item
    if "." in below:
        return _ABSENT
    return _remove(item, below, schema)
