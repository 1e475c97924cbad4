"""What server-side apply refuses before it looks at anything else: a patch that fits no type.

A real server turns the applied object into a typed value first. What its schema does not declare is
an error there, whatever ``fieldValidation`` says, and the answer is a 500 without a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.field_sets import (
    child_schema,
    is_granular_list,
    item_element,
    item_schema,
    shown_path,
)
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.refusals import Refusal, shown
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode


def refuse_untyped(kind: KindInfo, applied: Document) -> None:
    """Refuse an applied object that the kind's schema cannot type, with every reason."""
    found = list(_problems(applied, kind.schema, ""))
    if not found:
        return
    lines = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {each}" for each in found)
    metadata = applied["metadata"]
    name = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
    message = (
        f"failed to create typed patch object ({name}; {kind.group}/{kind.version}, "
        f"Kind={kind.kind}): {lines}"
    )
    raise Refusal(500, "", message=message)


def _problems(value: Any, schema: SchemaNode, path: str) -> Iterator[str]:
    if value is None or schema.int_or_string:
        return
    problem = _type_problem(value, schema)
    if problem:
        yield f"{path}: {problem}"
    elif isinstance(value, dict):
        for name, item in value.items():
            place = f"{path}.{name}"
            if schema.child(name) is not None:
                yield from _problems(item, child_schema(schema, name), place)
            elif not schema.preserve and schema.type in {"object", ""}:
                yield f"{place}: field not declared in schema"
    elif isinstance(value, list):
        yield from _list_problems(value, schema, path)


def _list_problems(value: list[Any], schema: SchemaNode, path: str) -> Iterator[str]:
    granular = is_granular_list(value, schema)
    seen: set[str] = set()
    for index, item in enumerate(value):
        place = f"{path}[{index}]"
        if granular:
            element = item_element(item, schema)
            if element == "k:{}":
                keys = ", ".join(shown(name) for name in schema.map_keys)
                yield (
                    f"{path}: element {index}: associative list with keys has an element that "
                    f"omits all key fields [{keys}] (and doesn't have default values for any key "
                    "fields)"
                )
                return
            if element in seen:
                yield f"{path}: duplicate entries for key {shown_path((element,))}"
                return
            seen.add(element)
            place = f"{path}{shown_path((element,))}"
        yield from _problems(item, item_schema(schema), place)


def _type_problem(value: Any, schema: SchemaNode) -> str:
    """Say what the typed value expected, as Go prints what it found."""
    match schema.type:
        case "object" if not isinstance(value, dict):
            return f"expected map, got &{{{_plain(value)}}}"
        case "array" if not isinstance(value, list):
            return f"expected list, got &{{{_plain(value)}}}"
        case "string" if not isinstance(value, str):
            return f"expected string, got &value.valueUnstructured{{Value:{_plain(value)}}}"
        case "boolean" if not isinstance(value, bool):
            return f"expected boolean, got &{{{_plain(value)}}}"
        case "integer" | "number" if isinstance(value, bool) or not isinstance(value, int | float):
            return f"expected numeric (int or float), got {_kind(value)}"
    return ""


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "map" if isinstance(value, dict) else "list"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return f"[{' '.join(_plain(each) for each in value)}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_plain(value[key])}' for key in sorted(value))}]"
    return value if isinstance(value, str) else shown(value)
