"""Checks a CRD's rules when it is applied: they compile, and their old values can be found."""

from __future__ import annotations

import re
from collections.abc import Iterator

from anomaly_operator.devcluster.apiserver.cel.compiling import Checker, uses_old_self
from anomaly_operator.devcluster.apiserver.cel.cost import cost_problem
from anomaly_operator.devcluster.apiserver.crd_schemas import schema_from_crd
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.refusals import (
    Cause,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

_REASONS = (
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
)


def rule_definition_causes(schema: Document, *, path: str) -> Iterator[Cause]:
    """Yield what is wrong with the rules in a schema."""
    yield from _walk(schema, path=path, top=True, uncorrelatable="")


def _walk(schema: Document, *, path: str, top: bool, uncorrelatable: str) -> Iterator[Cause]:
    rules = schema.get("x-kubernetes-validations") or []
    if rules:
        node = schema_from_crd(schema, top=top)
        yield from _rules_causes(rules, node, path=path, uncorrelatable=uncorrelatable)
    for name, child in (schema.get("properties") or {}).items():
        if not (top and name == "metadata"):
            place = f"{path}.properties[{name}]"
            yield from _walk(child, path=place, top=False, uncorrelatable=uncorrelatable)
    if isinstance(schema.get("additionalProperties"), dict):
        place = f"{path}.additionalProperties"
        yield from _walk(
            schema["additionalProperties"], path=place, top=False, uncorrelatable=uncorrelatable
        )
    if isinstance(schema.get("items"), dict):
        by_key = schema.get("x-kubernetes-list-type") == "map"
        place = f"{path}.items"
        yield from _walk(
            schema["items"],
            path=place,
            top=False,
            uncorrelatable=uncorrelatable or ("" if by_key else path),
        )


def _rules_causes(
    rules: list[Document], schema: SchemaNode, *, path: str, uncorrelatable: str
) -> Iterator[Cause]:
    checker = Checker(_visible(schema))
    for index, rule in enumerate(rules):
        place = f"{path}.x-kubernetes-validations[{index}]"
        expression = str(rule.get("rule") or "").strip()
        if not expression:
            yield required(f"{place}.rule", "rule is not specified")
            continue
        if uncorrelatable and uses_old_self(expression):
            yield invalid_value(
                f"{place}.rule",
                _whole(rule),
                text="oldSelf cannot be used on the uncorrelatable portion of the schema within "
                f"{uncorrelatable}",
            )
        problem = checker.problem(rule, expression, wanted="bool")
        if problem:
            yield invalid_value(f"{place}.rule", _whole(rule), text=problem)
        yield from _message_causes(rule, checker, place=place)
        field_path = rule.get("fieldPath")
        if field_path and not _leads_somewhere(str(field_path), schema):
            text = "must be a valid path"
            yield invalid_value(f"{place}.fieldPath", field_path, text=text)
        if not problem:
            for name in ("rule", "messageExpression"):
                too_much = cost_problem(
                    str(rule.get(name) or ""), schema, is_message=name == "messageExpression"
                )
                if too_much:
                    yield forbidden_field(f"{place}.{name}", too_much)


def _whole(rule: Document) -> Document:
    """Return a rule as a real server shows it: the fields of its Go struct."""
    return {
        "Rule": rule.get("rule") or "",
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


def _leads_somewhere(field_path: str, schema: SchemaNode) -> bool:
    """Tell whether a path such as ``.limits.memory`` names a field of the schema."""
    if not field_path.startswith((".", "[")):
        return False
    node: SchemaNode | None = schema
    for name in re.findall(r"\.([A-Za-z0-9_-]+)|\['([^']*)'\]", field_path):
        node = node.child(name[0] or name[1]) if node is not None else None
    return node is not None


def _visible(schema: SchemaNode) -> SchemaNode:
    metadata = schema.properties.get("metadata")
    if metadata is None or not metadata.loose:
        return schema
    shown = SchemaNode(
        type="object",
        properties={
            name: SchemaNode(type="string", limits={"maxLength": 253})
            for name in ("name", "generateName")
        },
    )
    return SchemaNode(type="object", properties=schema.properties | {"metadata": shown})


def _message_causes(rule: Document, checker: Checker, *, place: str) -> Iterator[Cause]:
    message = rule.get("message")
    if message and (not str(message).strip() or "\n" in str(message).strip()):
        yield invalid_value(
            f"{place}.message", message, text="message must not contain line breaks or be empty"
        )
    expression = str(rule.get("messageExpression") or "").strip()
    if expression:
        problem = checker.problem(rule, expression, wanted="string")
        if problem:
            text = f"messageExpression {problem}" if "compilation" in problem else problem
            yield invalid_value(f"{place}.messageExpression", _whole(rule), text=text)
    reason = rule.get("reason")
    if reason is not None and reason not in _REASONS:
        yield not_supported(f"{place}.reason", reason, supported=_REASONS)
