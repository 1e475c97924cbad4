"""Refuses the rules that a real server refuses for what they might cost, as far as it was measured.

A real server estimates the worst case of every rule. Here only the cases seen in practice are
known: text joined to the text of a number, whose length is estimated as without limit.
"""

from __future__ import annotations

import re

from anomaly_operator.devcluster.apiserver.cel.names import cel_name
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

_TO_TEXT = re.compile(r"\bstring\(\s*(?:self|oldSelf)((?:\.\w+)*)\s*\)")
_ADVICE = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, "
    "maps, and strings are declared)"
)


def cost_problem(expression: str, schema: SchemaNode, *, is_message: bool) -> str | None:
    """Return the server's refusal of an expression, or None."""
    if "+" not in expression:
        return None  # as it stands, text of any length is cheap enough
    for match in _TO_TEXT.finditer(expression):
        node = _resolve(schema, match[1])
        if node is None:
            continue
        if node.type in {"integer", "number"}:
            what = "messageExpression" if is_message else "rule"
            return f"estimated {what} cost exceeds budget by factor of more than 100x {_ADVICE}"
    return None


def _resolve(schema: SchemaNode, path: str) -> SchemaNode | None:
    node: SchemaNode | None = schema
    for part in filter(None, path.split(".")):
        if node is None:
            return None
        fields = {cel_name(name): child for name, child in node.properties.items()}
        node = fields.get(part)
    return node
