"""Strategic merge patch: a merge patch that knows by which key built-in kinds' lists merge."""

from __future__ import annotations

from typing import Any

from anomaly_operator.devcluster.apiserver.field_sets import child_schema, item_schema
from anomaly_operator.devcluster.apiserver.refusals import bad_request
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_patch(target: Any, patch: Any, schema: SchemaNode) -> Any:
    """Return the target with the patch laid over it; ``$patch`` directives are obeyed."""
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    content = {name: value for name, value in patch.items() if name != "$patch"}
    if directive == "replace":
        return _bare(content)
    if directive == "delete":
        return {}
    if directive not in {None, "merge"}:
        raise bad_request(f"Unknown patch type found: {directive}")
    merged = dict(target) if isinstance(target, dict) else {}
    retained = content.pop("$retainKeys", None)
    if retained is not None:
        merged = {name: value for name, value in merged.items() if name in retained}
    for name, value in content.items():
        if name.startswith((_DELETE_FROM, _ORDER)):
            continue
        _set(merged, name, value, child_schema(schema, name))
    _follow_list_directives(merged, content, schema)
    return merged


def _bare(value: Any) -> Any:
    """Return a patch's content as a value: directives and nulls gone."""
    if isinstance(value, dict):
        return {
            name: _bare(item)
            for name, item in value.items()
            if item is not None and not name.startswith("$")
        }
    if isinstance(value, list):
        return [_bare(item) for item in value if not (isinstance(item, dict) and "$patch" in item)]
    return value


def _set(merged: dict[str, Any], name: str, value: Any, schema: SchemaNode) -> None:
    if value is None:
        merged.pop(name, None)
    elif isinstance(value, dict):
        if schema.map_type == "atomic" and schema.type == "object" and not _is_struct(schema):
            merged[name] = strategic_patch(merged.get(name), value, schema)
        elif value.get("$patch") == "delete":
            merged.pop(name, None)
        else:
            merged[name] = strategic_patch(merged.get(name), value, schema)
    elif isinstance(value, list):
        merged[name] = _merge_list(merged.get(name), value, schema)
    else:
        merged[name] = value


def _is_struct(schema: SchemaNode) -> bool:
    return bool(schema.properties)


def _merge_list(before: Any, patch: list[Any], schema: SchemaNode) -> list[Any]:
    current: list[Any] = before if isinstance(before, list) else []
    if schema.list_type == "set":
        return current + [item for item in patch if item not in current]
    if not schema.patch_key:
        return [_bare(item) for item in patch]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [_bare(item) for item in patch if item.get("$patch") != "replace"]
    key, merged = schema.patch_key, list(current)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        matches = [index for index, each in enumerate(merged) if each.get(key) == item[key]]
        if item.get("$patch") == "delete":
            merged = [each for each in merged if each.get(key) != item[key]]
        elif matches:
            merged[matches[0]] = strategic_patch(merged[matches[0]], item, item_schema(schema))
        else:
            merged.append(_bare(strategic_patch({}, item, item_schema(schema))))
    return merged


def _follow_list_directives(
    merged: dict[str, Any], content: dict[str, Any], schema: SchemaNode
) -> None:
    for name, value in content.items():
        if name.startswith(_DELETE_FROM):
            field = name.removeprefix(_DELETE_FROM)
            merged[field] = [item for item in merged.get(field) or [] if item not in value]
        elif name.startswith(_ORDER):
            field = name.removeprefix(_ORDER)
            if isinstance(merged.get(field), list):
                merged[field] = _ordered(merged[field], value, child_schema(schema, field))


def _ordered(items: list[Any], order: list[Any], schema: SchemaNode) -> list[Any]:
    """Return the items in the order asked for; items it does not name keep their neighbours."""
    key = schema.patch_key

    def mark(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    ranks: list[Any] = [mark(item) for item in order]
    named = sorted(
        (item for item in items if mark(item) in ranks), key=lambda item: ranks.index(mark(item))
    )
    following = iter(named)
    return [next(following) if mark(item) in ranks else item for item in items]
