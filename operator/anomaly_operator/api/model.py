"""What every API model shares: camelCase outside, snake_case inside, and the field types.

A field's docstring is its description in the CRD. ``crd.py`` reads these models; ``problems.py``
turns what pydantic finds into problems with paths.
"""

from __future__ import annotations

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

from anomaly_operator.api import quantities
from anomaly_operator.api.problems import spec_error

MAX_DURATION_LENGTH = 24
MAX_BYTE_SIZE_LENGTH = 20


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
            raise spec_error(error, cls, path=path) from None

    def document(self) -> dict[str, Any]:
        """Give the object back as JSON-ready camelCase, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        message = f"{value!r} is not a duration; write it as a string such as 15m or 1h30m"
        raise ValueError(message)
    return quantities.parse_duration(value)


def _whole_seconds(value: timedelta) -> timedelta:
    if value.microseconds:
        message = f"{quantities.format_duration(value)} is not in whole seconds; use d, h, m or s"
        raise ValueError(message)
    return value


def _time(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if not isinstance(value, str):
        message = f"{value!r} is not an RFC 3339 time; write it such as 2024-05-01T10:00:00Z"
        raise ValueError(message)
    return quantities.parse_time(value)


def _byte_size(value: object) -> int:
    return quantities.parse_byte_size(value)  # type: ignore[arg-type]


def set_schema() -> dict[str, Any]:
    """Extra schema of a list whose items are all different."""
    return {"x-kubernetes-list-type": "set"}


def no_duplicates(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list in which a value stands twice, as a Kubernetes list of type set does."""
    twice = sorted({value for value in values if values.count(value) > 1})
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
            "maxLength": MAX_DURATION_LENGTH,
        }
    ),
]
"""A span of time: a string such as ``15m`` in YAML, a timedelta in Python."""

ByteSize = Annotated[
    int,
    BeforeValidator(_byte_size),
    PlainSerializer(quantities.format_byte_size, return_type=str),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "pattern": quantities.BYTE_SIZE_PATTERN,
            "maxLength": MAX_BYTE_SIZE_LENGTH,
        }
    ),
]
"""A size: ``11mb``, ``11Mi`` or a number of MiB in YAML, bytes in Python."""

Time = Annotated[
    datetime,
    BeforeValidator(_time),
    PlainSerializer(quantities.format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
"""A moment: RFC 3339 in YAML, an aware datetime in Python."""

Set = AfterValidator(no_duplicates)
"""Marks a tuple of strings as a set that keeps its order."""

DnsLabel = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)
]
DnsName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)
]
LabelKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$",
        max_length=128,
    ),
]
LabelValue = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$", max_length=63),
]

Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict()]
Number = Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False)]
