"""Label and field selectors: text in, a test of an object out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from anomaly_operator.devcluster.apiserver.documents import Document, look_up
from anomaly_operator.devcluster.apiserver.refusals import bad_request

Test = Callable[[Document], bool]

_SET_TERM = re.compile(r"^\s*(?P<key>[^\s!=<>,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)\s*$")
_EQUAL_TERM = re.compile(
    r"^\s*(?P<key>[^\s!=<>,()]+)\s*(?P<op>==|!=|=|>|<)\s*(?P<value>[^\s!=<>,()]*)\s*$"
)
_DOUBLE_OPERATOR = re.compile(r"^\s*[^\s!=<>,()]+\s*(==|!=|=|>|<)\s*(?P<next>==|!=|=|>|<)")
_KEY_TERM = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[^\s!=<>,()]+)\s*$")
# Every kind can be selected by these two.
COMMON_FIELDS = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector: key, operator (in, notin, exists, !, gt, lt), values."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Document) -> bool:
        """Tell whether the labels meet this term."""
        value = labels.get(self.key)
        if self.operator == "exists":
            return self.key in labels
        if self.operator == "!":
            return self.key not in labels
        if self.operator == "in":
            return value in self.values
        if self.operator == "notin":
            return value not in self.values
        try:
            number, limit = int(str(value)), int(self.values[0])
        except ValueError:
            return False
        return number > limit if self.operator == "gt" else number < limit


def _terms(text: str) -> list[str]:
    """Split at commas outside parentheses."""
    return [term for term in re.split(r",(?![^(]*\))", text) if term.strip()]


def parse_label_selector(text: str) -> tuple[Requirement, ...]:
    """Return the terms of a label selector, or refuse it with the server's 400."""
    found: list[Requirement] = []
    for term in _terms(text):
        if match := _SET_TERM.match(term):
            values = tuple(value.strip() for value in match["values"].split(","))
            found.append(Requirement(match["key"], match["op"], values))
        elif match := _EQUAL_TERM.match(term):
            operator = {"=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}[match["op"]]
            found.append(Requirement(match["key"], operator, (match["value"],)))
        elif match := _KEY_TERM.match(term):
            found.append(Requirement(match["key"], "!" if match["not"] else "exists"))
        elif match := _DOUBLE_OPERATOR.match(term):
            raise bad_request(
                f"unable to parse requirement: found '{match['next']}', expected: identifier"
            )
        else:
            raise bad_request(f"unable to parse requirement: found '{term.strip()}'")
    return tuple(found)


def label_test(text: str) -> Test | None:
    """Return a test of an object's labels, or None when everything passes."""
    requirements = parse_label_selector(text)
    if not requirements:
        return None

    def test(document: Document) -> bool:
        labels = look_up(document, ("metadata", "labels")) or {}
        return all(requirement.holds(labels) for requirement in requirements)

    return test


def parse_field_selector(text: str, supported: Sequence[str]) -> tuple[tuple[str, bool, str], ...]:
    """Return (field, wanted equal, value) terms; only supported fields may be asked for."""
    found: list[tuple[str, bool, str]] = []
    for term in filter(None, text.split(",")):
        match = re.match(r"^(?P<field>[^!=]+)(?P<op>==|!=|=)(?P<value>.*)$", term)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        if match["field"] not in supported:
            raise bad_request(f"field label not supported: {match['field']}")
        found.append((match["field"], match["op"] != "!=", match["value"]))
    return tuple(found)


def field_test(text: str, supported: Sequence[str]) -> Test | None:
    """Return a test of an object's fields, or None when everything passes."""
    terms = parse_field_selector(text, (*COMMON_FIELDS, *supported))
    if not terms:
        return None

    def test(document: Document) -> bool:
        return all(
            (_field_text(document, field) == value) is equal for field, equal, value in terms
        )

    return test


def _field_text(document: Document, field: str) -> str:
    value = look_up(document, field.split("."))
    if field == "source" and isinstance(value, dict):
        value = value.get("component") or document.get("reportingComponent")
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "false" if field in {"spec.unschedulable", "spec.hostNetwork"} else ""
    return str(value)


def both(*tests: Test | None) -> Test | None:
    """Return a test that asks all the given ones."""
    real = [test for test in tests if test is not None]
    if not real:
        return None
    if len(real) == 1:
        return real[0]
    return lambda document: all(test(document) for test in real)
