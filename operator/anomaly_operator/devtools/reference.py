"""The field reference, rendered from the CRDs: every field with type, default, limits, meaning.

The prose stands in the hand-written pages beside it; this page is complete because it is generated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anomaly_operator.api.crd import root_schema
from anomaly_operator.api.v1alpha1.conditions import ConditionType, Reason
from anomaly_operator.api.v1alpha1.kinds import Kind
from anomaly_operator.devtools.docstrings import member_docs

_LIMITS = (
    ("minimum", "≥ {}"),
    ("maximum", "≤ {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} entries"),
    ("maxItems", "at most {} entries"),
    ("maxProperties", "at most {} keys"),
    ("pattern", "`{}`"),
)


def fields(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Walk a structural schema: every field's path (``a.b[].c``, ``a.<key>``) and its schema."""
    for name, child in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, child
        yield from _below(child, here)


def _below(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from fields(schema, path)
    if "items" in schema:
        yield from _below(schema["items"], f"{path}[]")
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        yield from _below(values, f"{path}.<key>")


def render(kinds: Sequence[Kind]) -> str:
    """Render the whole page."""
    parts = [
        "# Field reference, v1alpha1",
        (
            "Generated from the API models by `make generate`; edit those instead. Prose, examples "
            "and how to work with the kinds: [AnomalyDetector](anomalydetector.md),"
            " [AnomalyFilter](anomalyfilter.md), [MetricSource](metricsource.md)."
        ),
    ]
    for kind in kinds:
        schema = root_schema(kind)
        parts.append(f"## {kind.name}")
        parts.append(schema["description"])
        for top in ("spec", "status"):
            part = schema["properties"][top]
            parts.append(f"### {kind.name}.{top}")
            parts.append(_table(fields(part, top)))
            laws = list(_laws(part, top))
            if laws:
                parts.append("What the API server checks beyond the limits above:")
                parts.append("\n".join(laws))
    parts += ["## Conditions", _enum_table(ConditionType, "type")]
    parts += ["## Reasons", _enum_table(Reason, "reason")]
    return "\n\n".join(parts) + "\n"


def _table(rows: Iterator[tuple[str, Mapping[str, Any]]]) -> str:
    lines = ["| field | type | default | limits | meaning |", "|---|---|---|---|---|"]
    for path, schema in rows:
        if path.split(".")[1:2] == ["apiVersion"]:
            continue
        default = f"`{_compact(schema['default'])}`" if "default" in schema else ""
        cells = (
            f"`{path}`",
            _type(schema),
            default,
            "; ".join(_limits(schema)),
            schema.get("description", ""),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _type(schema: Mapping[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    kind = str(schema.get("type", ""))
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map to {_type(schema['additionalProperties'])}"
    if schema.get("format") == "date-time":
        return "RFC 3339 time"
    return kind


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    if "enum" in schema:
        yield ", ".join(f"`{value}`" for value in schema["enum"])
    for key, words in _LIMITS:
        if key in schema:
            yield words.format(_compact(schema[key]))
    if schema.get("x-kubernetes-list-type") == "set":
        yield "all different"
    for law in schema.get("x-kubernetes-validations", ()):
        if schema.get("type") != "object":
            yield law["message"]


def _laws(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for where, node in ((path, schema), *fields(schema, path), *_items(schema, path)):
        if node.get("type") != "object":
            continue
        for law in node.get("x-kubernetes-validations", ()):
            at = where + law.get("fieldPath", "")
            yield f"- `{at}`: {law['message']}"


def _items(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for where, node in fields(schema, path):
        if "items" in node:
            yield f"{where}[]", node["items"]
        if isinstance(node.get("additionalProperties"), Mapping):
            yield f"{where}.<key>", node["additionalProperties"]


def _compact(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_compact(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _enum_table(enum: type[ConditionType | Reason], heading: str) -> str:
    lines = [f"| {heading} | meaning |", "|---|---|"]
    lines += [f"| `{member}` | {text} |" for member, text in member_docs(enum).items()]
    return "\n".join(lines)
