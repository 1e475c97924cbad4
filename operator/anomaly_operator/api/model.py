"""What every API model shares: camelCase outside, snake_case inside, and the field types.

A field's docstring is its description in the CRD. ``crd.py`` reads these models; ``problems.py``
turns what pydantic finds into problems with paths.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    Strict,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from anomaly_operator.api import patterns, quantities
from anomaly_operator.api.laws import Law, lawful, mebibytes
from anomaly_operator.api.problems import every_problem, under
from anomaly_operator.errors import Problem, SpecError

MAX_DURATION_LENGTH = 31
MAX_BYTE_SIZE_LENGTH = 20
MAX_MEMORY_MIB = 2**20
MEMORY_LAW = Law(
    f"{mebibytes('self')} >= 1 && {mebibytes('self')} <= {MAX_MEMORY_MIB}",
    "must be at least 1mb and at most 1tb",
)
_DURATION = re.compile(quantities.DURATION_PATTERN)


class ApiModel(BaseModel):
    """Base of all API objects: immutable values that know no unknown fields."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def parse(cls, document: Mapping[str, Any], *, path: str = "") -> Self:
        """Read a document as it stands in YAML or JSON; raises SpecError with every problem."""
        try:
            return cls.model_validate(document, by_alias=True, by_name=False)
        except ValidationError as error:
            problems = every_problem(cls, document, error)
        raise SpecError([Problem(under(path, p.path), p.message) for p in problems])

    def document(self) -> dict[str, Any]:
        """Give the object back as JSON-ready camelCase, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        message = f"{value!r} is not a duration; write it as a string such as 15m or 1h30m"
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueError
    if not value or not _DURATION.match(value):
        message = (
            f"'{value}' is not a duration in whole seconds; use numbers with d, h, m and s, in this"
            " order, such as 15m or 1h30m"
        )
        raise ValueError(message)
    return quantities.parse_duration(value)


def _whole_seconds(value: timedelta) -> timedelta:
    if value.microseconds or value < timedelta(0):
        message = f"{value} is not in whole seconds from 0 on"
        raise ValueError(message)
    return value


def _time(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if not isinstance(value, str):
        message = f"{value!r} is not an RFC 3339 time; write it such as 2024-05-01T10:00:00Z"
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueError
    return quantities.parse_time(value)


def _memory_size(value: object) -> int:
    size = quantities.parse_byte_size(value)  # type: ignore[arg-type]
    if not 1 <= size // quantities.MIB <= MAX_MEMORY_MIB:
        message = f"{value}{' (MiB)' if isinstance(value, int) else ''} {MEMORY_LAW.message}"
        raise ValueError(message)
    return size // quantities.MIB * quantities.MIB


def set_schema() -> dict[str, Any]:
    """Extra schema of a list whose items are all different."""
    return {"x-kubernetes-list-type": "set"}


def no_duplicates(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list in which a value stands twice, as a Kubernetes list of type set does."""
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        message = f"{', '.join(twice)} stands more than once; every entry must be different"
        raise ValueError(message)
    return values


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_whole_seconds),
    PlainSerializer(quantities.format_duration, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": quantities.DURATION_PATTERN,
            "minLength": 2,
            "maxLength": MAX_DURATION_LENGTH,
        }
    ),
]
"""A span of time: a string such as ``15m`` in YAML, a timedelta in Python."""

MemorySize = Annotated[
    int,
    BeforeValidator(_memory_size),
    PlainSerializer(quantities.format_byte_size, return_type=str),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "pattern": quantities.BYTE_SIZE_PATTERN,
            "maxLength": MAX_BYTE_SIZE_LENGTH,
            **lawful(MEMORY_LAW),
        }
    ),
]
"""An amount of memory: ``11mb``, ``11Mi`` or a number of MiB in YAML, bytes in whole MiB in
Python."""

Time = Annotated[
    datetime,
    BeforeValidator(_time),
    PlainSerializer(quantities.format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
"""A moment: RFC 3339 in YAML, an aware datetime in Python."""

Set = AfterValidator(no_duplicates)
"""Marks a tuple of strings as a set that keeps its order."""

DnsLabel = Annotated[str, StringConstraints(pattern=patterns.DNS_LABEL, max_length=63)]
DnsName = Annotated[str, StringConstraints(pattern=patterns.DNS_NAME, max_length=253)]
LabelKey = Annotated[str, StringConstraints(pattern=patterns.LABEL_KEY, max_length=128)]
LabelValue = Annotated[str, StringConstraints(pattern=patterns.LABEL_VALUE, max_length=63)]
MetricName = Annotated[str, StringConstraints(pattern=patterns.METRIC, min_length=1, max_length=63)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict()]
Number = Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False)]
