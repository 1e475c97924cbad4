"""Validates values against a structural schema, in the words of kube-openapi's validator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from anomaly_operator.devcluster.apiserver import refusals
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.formats import FORMATS
from anomaly_operator.devcluster.apiserver.refusals import Cause
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def json_type(value: Any) -> str:
    """Return the JSON schema's name of a value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _has_type(value: Any, wanted: str) -> bool:
    found = json_type(value)
    return found == wanted or (wanted == "number" and found == "integer")


def check(value: Any, schema: SchemaNode, *, path: str = "", old: Any = None) -> Iterator[Cause]:
    """Yield everything wrong with a value; nothing below a value of the wrong type is looked at.

    A value that is as it was before is not looked at either: what was stored may stay, though the
    schema has become stricter since (ratcheting).
    """
    if old is not None and path and old == value:
        return
    if value is None and (schema.nullable or not (schema.type or schema.int_or_string)):
        return
    if schema.int_or_string:
        if json_type(value) not in {"integer", "string"}:
            yield _type_cause(path, value, wanted="integer,string")
            return
    elif schema.type == "integer" and isinstance(value, float) and not value.is_integer():
        yield from _fraction_causes(path, str(schema.limits.get("format") or ""))
        return
    elif schema.type and not _has_type(value, schema.type):
        yield _type_cause(path, value, wanted=schema.type)
        return
    if not schema.loose and schema.limits:
        yield from check_limits(value, schema.limits, path=path)
    if isinstance(value, dict):
        yield from _check_object(value, schema, path=path, old=old)
    elif isinstance(value, list):
        yield from _check_list(value, schema, path=path, old=old)


def _fraction_causes(path: str, form: str) -> Iterator[Cause]:
    """Yield what is said of a number with a fraction where the schema wants a whole one."""
    if not form:
        yield _type_cause(path, 0.5, wanted="integer")
        return
    text = f"{path} in body must be of type {form}: {_quoted('float64')}"
    yield refusals.wrong_type(path, "float64", text=text)
    text = f"Checked value must be of type integer with format {form} in {path}"
    yield refusals.invalid_value("<nil>", "", text=text)


def _type_cause(path: str, value: Any, *, wanted: str) -> Cause:
    return refusals.wrong_type(
        path,
        json_type(value),
        text=f"{path or '<nil>'} in body must be of type {wanted}: {_quoted(json_type(value))}",
    )


def _quoted(text: str) -> str:
    return f'"{text}"'


def _check_object(
    value: dict[str, Any], schema: SchemaNode, *, path: str, old: Any
) -> Iterator[Cause]:
    before = old if isinstance(old, dict) else {}
    for name in schema.required:
        if name not in value and not schema.loose:
            yield refusals.required(f"{path}.{name}" if path else name)
    for name, item in value.items():
        child = schema.child(name)
        if child is not None:
            place = f"{path}.{name}" if path else name
            yield from check(item, child, path=place, old=before.get(name))


def _check_list(value: list[Any], schema: SchemaNode, *, path: str, old: Any) -> Iterator[Cause]:
    if schema.items is not None:
        before = _by_key(old, schema)
        for index, item in enumerate(value):
            earlier = before.get(_key(item, schema)) if before else None
            yield from check(item, schema.items, path=f"{path}[{index}]", old=earlier)
    if not schema.loose and schema.list_type in {"map", "set"}:
        yield from _check_unique(value, schema, path=path)


def _key(item: Any, schema: SchemaNode) -> tuple[str, ...]:
    return tuple(str(item.get(name)) for name in schema.map_keys) if isinstance(item, dict) else ()


def _by_key(old: Any, schema: SchemaNode) -> dict[tuple[str, ...], Any]:
    """Return old entries by key: only lists that merge by key can be compared entry by entry."""
    if not isinstance(old, list) or schema.list_type != "map":
        return {}
    return {_key(item, schema): item for item in old}


def _check_unique(value: list[Any], schema: SchemaNode, *, path: str) -> Iterator[Cause]:
    seen: list[Any] = []
    for index, item in enumerate(value):
        key = item
        if schema.list_type == "map" and isinstance(item, dict):
            key = {name: item.get(name) for name in schema.map_keys}
        if key in seen:
            yield refusals.duplicate(f"{path}[{index}]", key)
        seen.append(key)


def check_limits(value: Any, limits: Document, *, path: str) -> Iterator[Cause]:
    """Yield what value validations say: enum, lengths, ranges, pattern, format, combinations."""
    if "enum" in limits and value not in limits["enum"]:
        yield refusals.not_supported(path, value, supported=limits["enum"])
    if isinstance(value, str):
        yield from _check_text(value, limits, path=path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_number(value, limits, path=path)
    elif isinstance(value, list):
        yield from _check_count(len(value), limits, path=path, what="items", names="Items")
        if limits.get("uniqueItems") and _has_twins(value):
            yield refusals.invalid_value(
                path, value, text=f"{path} in body shouldn't contain duplicates"
            )
    elif isinstance(value, dict):
        yield from _check_count(
            len(value), limits, path=path, what="properties", names="Properties"
        )
    yield from _check_combinations(value, limits, path=path)


def _has_twins(value: list[Any]) -> bool:
    return any(item in value[:index] for index, item in enumerate(value))


def _check_text(value: str, limits: Document, *, path: str) -> Iterator[Cause]:
    longest, shortest = limits.get("maxLength"), limits.get("minLength")
    if longest is not None and len(value) > longest:
        yield Cause(path, "FieldValueTooLong", f"Too long: may not be more than {longest} bytes")
    if shortest is not None and len(value) < shortest:
        text = f"{path} in body should be at least {shortest} chars long"
        yield refusals.invalid_value(path, value, text=text)
    pattern = limits.get("pattern")
    if pattern is not None and not re.search(pattern, value):
        yield refusals.invalid_value(path, value, text=f"{path} in body should match '{pattern}'")
    form = str(limits.get("format") or "")
    if form in FORMATS and not FORMATS[form](value):
        text = f"{path} in body must be of type {form}: {_quoted(value)}"
        yield refusals.wrong_type(path, value, text=text)


def _check_number(value: float, limits: Document, *, path: str) -> Iterator[Cause]:
    low, high = limits.get("minimum"), limits.get("maximum")
    if low is not None:
        open_end = bool(limits.get("exclusiveMinimum"))
        if value < low or (open_end and value == low):
            than = "greater than" if open_end else "greater than or equal to"
            text = f"{path} in body should be {than} {refusals.shown(low)}"
            yield refusals.invalid_value(path, value, text=text)
    if high is not None:
        open_end = bool(limits.get("exclusiveMaximum"))
        if value > high or (open_end and value == high):
            than = "less than" if open_end else "less than or equal to"
            text = f"{path} in body should be {than} {refusals.shown(high)}"
            yield refusals.invalid_value(path, value, text=text)
    step = limits.get("multipleOf")
    if step and Decimal(str(value)) % Decimal(str(step)) != 0:
        text = f"{path} in body should be a multiple of {refusals.shown(step)}"
        yield refusals.invalid_value(path, value, text=text)
    form = limits.get("format")
    if form == "int32" and not -(2**31) <= value < 2**31:
        yield refusals.invalid_value(
            path,
            value,
            text=f"Checked value must be of type integer with format int32, got {value}",
        )


def _check_count(
    count: int, limits: Document, *, path: str, what: str, names: str
) -> Iterator[Cause]:
    most, least = limits.get(f"max{names}"), limits.get(f"min{names}")
    if most is not None and count > most:
        text = f"Too many: {count}: must have at most {most} {what if most != 1 else what[:-1]}"
        yield Cause(path, "FieldValueTooMany", text)
    if least is not None and count < least:
        text = f"{path} in body should have at least {least} {what}"
        yield refusals.invalid_value(path, count, text=text)


def _passes(value: Any, limits: Document, *, path: str) -> bool:
    """Tell whether a value meets a schema inside allOf, anyOf, oneOf or not."""
    wanted = limits.get("type")
    if wanted and not _has_type(value, wanted):
        return False
    if any(True for _ in check_limits(value, limits, path=path)):
        return False
    if isinstance(value, dict):
        if any(name not in value for name in limits.get("required") or ()):
            return False
        return all(
            _passes(value[name], child, path=f"{path}.{name}")
            for name, child in (limits.get("properties") or {}).items()
            if name in value
        )
    if isinstance(value, list) and isinstance(limits.get("items"), dict):
        return all(_passes(item, limits["items"], path=path) for item in value)
    return True


def _check_combinations(value: Any, limits: Document, *, path: str) -> Iterator[Cause]:
    name = path or "<nil>"
    for each in limits.get("allOf") or ():
        if not _passes(value, each, path=path):
            yield from check_limits(value, each, path=path)
            yield refusals.invalid_value(
                path, _brief(value), text=f"{name} must validate all the schemas (allOf)"
            )
    if "anyOf" in limits and not any(_passes(value, each, path=path) for each in limits["anyOf"]):
        yield refusals.invalid_value(
            path, _brief(value), text=f"{name} in body must validate at least one schema (anyOf)"
        )
    if "oneOf" in limits:
        count = sum(1 for each in limits["oneOf"] if _passes(value, each, path=path))
        if count != 1:
            found = "Found none valid" if count == 0 else f"Found {count} valid alternatives"
            text = f"{name} in body must validate one and only one schema (oneOf). {found}"
            yield refusals.invalid_value(path, _brief(value), text=text)
    if "not" in limits and _passes(value, limits["not"], path=path):
        yield refusals.invalid_value(
            path, _brief(value), text=f"{name} in body must not validate the schema (not)"
        )


def _brief(value: Any) -> Any:
    return json_type(value) if isinstance(value, dict | list) else value
