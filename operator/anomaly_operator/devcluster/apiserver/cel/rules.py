"""Runs a schema's rules over an object, at every node, with the old value where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from anomaly_operator.devcluster.apiserver.cel import compiling
from anomaly_operator.devcluster.apiserver.cel.values import root_value, to_cel
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.refusals import Cause, shown
from anomaly_operator.devcluster.apiserver.schema_checks import json_type
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

_ROOT = "<nil>"
_BLOCKING = {
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
}
_PREFIXES = {
    "FieldValueForbidden": "Forbidden: {text}",
    "FieldValueRequired": "Required value: {text}",
    "FieldValueDuplicate": "Duplicate value: {value}",
    "FieldValueInvalid": "Invalid value: {value}: {text}",
}


def has_rules(schema: SchemaNode) -> bool:
    """Tell whether a rule stands anywhere in a schema."""
    if schema.rules:
        return True
    inner = [*schema.properties.values(), schema.items, schema.additional]
    return any(each is not None and not each.loose and has_rules(each) for each in inner)


def rules_after(
    causes: Sequence[Cause], new: Document, schema: SchemaNode, *, old: Document | None
) -> Iterator[Cause]:
    """Yield what the rules say, unless what was found before makes them meaningless."""
    if not has_rules(schema):
        return
    if any(cause.reason in _BLOCKING for cause in causes):
        yield Cause(
            _ROOT,
            "FieldValueInvalid",
            "Invalid value: null: some validation rules were not checked because the object was "
            "invalid; correct the existing errors to complete validation",
        )
    else:
        yield from rule_causes(new, schema, old=old)


def rule_causes(new: Document, schema: SchemaNode, *, old: Document | None) -> Iterator[Cause]:
    """Yield what the rules say against an object.

    A rule without oldSelf that fails on a value as it was before is no error: what was stored may
    stay (ratcheting). The root counts as changed whenever this is asked.
    """
    if schema.rules:
        value = root_value(new, schema)
        before = None if old is None else root_value(old, schema)
        yield from _node_causes(value, schema, old=before, path="", ratchet=False, printed=new)
    for name, child in schema.properties.items():
        if not child.loose and name in new and has_rules(child):
            before = None if old is None else old.get(name)
            yield from _causes(new[name], child, old=before, path=name)


def _causes(value: Any, schema: SchemaNode, *, old: Any, path: str) -> Iterator[Cause]:
    if value is None:
        return
    if schema.rules:
        before = None if old is None else to_cel(old, schema)
        same = old is not None and old == value
        yield from _node_causes(
            to_cel(value, schema), schema, old=before, path=path, ratchet=same, printed=value
        )
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, item in value.items():
            child = schema.child(name)
            if child is not None and not child.loose:
                place = f"{path}.{name}" if name in schema.properties else f"{path}[{name}]"
                yield from _causes(item, child, old=before.get(name), path=place)
    elif isinstance(value, list) and schema.items is not None:
        by_key = _by_key(old, schema)
        for index, item in enumerate(value):
            before = by_key.get(_key(item, schema)) if by_key else None
            yield from _causes(item, schema.items, old=before, path=f"{path}[{index}]")


def _key(item: Any, schema: SchemaNode) -> tuple[Any, ...]:
    return tuple(str(item.get(name)) for name in schema.map_keys) if isinstance(item, dict) else ()


def _by_key(old: Any, schema: SchemaNode) -> dict[tuple[Any, ...], Any]:
    """Return old entries by key: only lists that merge by key can be compared entry by entry."""
    if not isinstance(old, list) or schema.list_type != "map":
        return {}
    return {_key(item, schema): item for item in old}


def _node_causes(
    value: Any, schema: SchemaNode, *, old: Any, path: str, ratchet: bool, printed: Any
) -> Iterator[Cause]:
    for rule in schema.rules:
        expression = str(rule.get("rule") or "")
        about_change = compiling.uses_old_self(expression)
        optional = bool(rule.get("optionalOldSelf")) and about_change
        if about_change and old is None and not optional:
            continue
        values = {
            "self": value,
            "oldSelf": old,
            "oldValue": old,
            "oldPresent": old is not None,
        }
        try:
            holds = compiling.evaluate(expression, values, optional_old=optional)
        except compiling.RuleError as problem:
            text = f"{problem} evaluating rule: {_label(rule)}"
            brief = json_type(printed) if isinstance(printed, dict | list) else printed
            yield _cause(rule, path, value=brief, text=text)
            continue
        if holds is not True and (about_change or not ratchet):
            yield _cause(rule, path, value=printed, text=_message(rule, values))


def _label(rule: Document) -> str:
    return str(rule.get("message") or rule.get("rule") or "").strip()


def _message(rule: Document, values: dict[str, Any]) -> str:
    expression = rule.get("messageExpression")
    if expression:
        try:
            text = compiling.evaluate(str(expression), values)
        except compiling.RuleError:
            text = ""
        if isinstance(text, str) and text.strip() and "\n" not in text:
            return text.strip()
    message = str(rule.get("message") or "").strip()
    return message or f"failed rule: {str(rule.get('rule') or '').strip()}"


def _cause(rule: Document, path: str, *, value: Any, text: str) -> Cause:
    inner = str(rule.get("fieldPath") or "")
    place = f"{path}{inner}".lstrip(".") if inner else path
    reason = str(rule.get("reason") or "FieldValueInvalid")
    if isinstance(value, dict | list) and reason == "FieldValueInvalid":
        return Cause(place or _ROOT, reason, f"Invalid value: {text}")
    printed = shown(json_type(value) if isinstance(value, dict | list) else value)
    return Cause(place or _ROOT, reason, _PREFIXES[reason].format(value=printed, text=text))
