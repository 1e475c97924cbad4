"""Rules that span fields or compare with the past, for the API server and for Python alike.

A ``Law`` carries the CEL that stands in the CRD and the message that both sides give. Models attach
laws to their schema and raise the same messages in their validators; one table of cases tests both.

The expressions keep within the API server's cost budget: every list and string they walk is
bounded, and durations and sizes are taken apart with ``find`` alone, whose result the estimator can
bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from anomaly_operator.api.quantities import MIB, format_duration, parse_duration

IMMUTABLE = (
    "cannot be changed after creation; create another detector, or delete and recreate this one"
    " (its anomalies go with it)"
)


_UNITS = {
    "": MIB,
    "b": 1,
    **{f"{letter}b": 1024**power for power, letter in enumerate("kmgt", start=1)},
    **{f"{letter}i": 1024**power for power, letter in enumerate("kmgt", start=1)},
    **{letter: 1000**power for power, letter in enumerate("kmgt", start=1)},
}
"""Bytes of a unit in lower case: a number alone is MiB, and the pattern lets no milli in."""


@dataclass(frozen=True, slots=True)
class Law:
    """One CEL rule: what must hold, what is said when it does not, and at which field."""

    rule: str
    message: str
    field: str = ""  # path below the object that the law stands on, camelCase with dots
    message_expression: str = ""  # CEL that says it with values; falls back to ``message``

    def schema(self) -> dict[str, str]:
        """Give the entry of ``x-kubernetes-validations``."""
        entry = {"rule": self.rule, "message": self.message}
        if self.message_expression:
            entry["messageExpression"] = self.message_expression
        if self.field:
            entry["fieldPath"] = f".{self.field}"
        return entry


def lawful(*laws: Law) -> dict[str, Any]:
    """Schema extras of an object or field under these laws."""
    return {"x-kubernetes-validations": [law.schema() for law in laws]}


def seconds(expression: str) -> str:
    """CEL for the seconds of a duration string that matches ``DURATION_PATTERN``."""
    terms = (
        f"int('0' + {expression}.find('[0-9]+{unit}').find('[0-9]+')) * {size}"
        for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    )
    return f"({' + '.join(terms)})"


def mebibytes(expression: str) -> str:
    """CEL for the whole MiB of a byte size that matches ``BYTE_SIZE_PATTERN`` or is a number."""
    text = f"string({expression})"
    factors = ", ".join(f"'{unit}': {size}" for unit, size in _UNITS.items())
    unit = f"{text}.find('([kmgtKMGT]?[bB]|[KMGT]i|[kMGT])$').lowerAscii()"
    return f"(int('0' + {text}.find('^[0-9]+')) * {{{factors}}}[{unit}] / {MIB})"


def unchanged(field: str, *, optional: bool = False, value: Callable[[str], str] = str) -> Law:
    """Return the law that a field of the spec stays as it was at creation.

    ``value`` turns the field's CEL into what is compared, such as a duration's seconds; an optional
    field can neither be added nor removed.
    """
    now, then = f"self.{field}", f"oldSelf.{field}"
    same = f"{value(now)} == {value(then)}"
    if optional:
        same = f"has({now}) == has({then}) && (!has({now}) || {same})"
    return Law(same, f"{field} {IMMUTABLE}", field)


def unchanged_set(field: str, *, optional: bool = False) -> Law:
    """Return the law that a set of the spec keeps its members, in whatever order.

    An empty set and none are the same, unless the field is ``optional``: then none has a meaning of
    its own.
    """
    now, then = f"self.{field}", f"oldSelf.{field}"
    if not optional:
        now, then = (f"(has({field}) ? {field} : [])" for field in (now, then))
    same = f"size({now}) == size({then}) && {now}.all(one, one in {then})"
    if optional:
        same = f"has({now}) == has({then}) && (!has({now}) || ({same}))"
    return Law(same, f"{field} {IMMUTABLE}", field)


@dataclass(frozen=True, slots=True)
class Between:
    """Marks a Duration with its limits, for Python and for the API server."""

    least: str
    most: str

    @property
    def message(self) -> str:
        """What is said about a duration outside."""
        return f"must be between {self.least} and {self.most}"

    def _check(self, value: Any) -> Any:
        if not parse_duration(self.least) <= value <= parse_duration(self.most):
            message = f"{format_duration(value)} {self.message}"
            raise ValueError(message)
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        least, most = (
            int(parse_duration(limit).total_seconds()) for limit in (self.least, self.most)
        )
        spent = seconds("self")
        law = Law(f"{spent} >= {least} && {spent} <= {most}", self.message)
        return {**handler(schema), **lawful(law)}
