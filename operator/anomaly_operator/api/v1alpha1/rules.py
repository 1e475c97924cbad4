"""Custom rules and maintenance windows: when a result is withheld, or a value not learnt.

Elastic's words; ours in addition are `ratio_to_typical`, inline `values` in a scope, and windows
that are scoped to entities.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from anomaly_operator.api import patterns
from anomaly_operator.api.laws import Between, Law, lawful
from anomaly_operator.api.model import (
    ApiModel,
    DnsName,
    Duration,
    LabelKey,
    Number,
    Set,
    Time,
    set_schema,
)
from anomaly_operator.api.problems import Located
from anomaly_operator.errors import Problem

Action = Literal["skip_result", "skip_model_update"]
AppliesTo = Literal["actual", "typical", "diff_from_typical", "ratio_to_typical", "time"]
Operator = Literal["gt", "gte", "lt", "lte"]
Pattern = Annotated[str, StringConstraints(pattern=patterns.WILDCARD, min_length=1, max_length=253)]
"""A literal, or one with ``*`` at its start, its end, or both."""


RULE_HAS_REACH = Law(
    "(has(self.scope) && size(self.scope) > 0)"
    " || (has(self.conditions) && size(self.conditions) > 0)",
    "a rule needs a scope or at least one condition",
)
ONE_FILTER = Law(
    "has(self.filterId) != (has(self.values) && size(self.values) > 0)",
    "give either filterId or values, and not both",
)
WINDOW_SHAPE = Law(
    "has(self.start) == has(self.end) && has(self.schedule) == has(self.duration)"
    " && has(self.start) != has(self.schedule)",
    "give either start and end, or schedule and duration",
)
WINDOW_ORDER = Law(
    "!has(self.start) || !has(self.end) || self.start < self.end", "must be after start", "end"
)


class RuleCondition(ApiModel):
    """One numeric condition; the conditions of a rule must all hold."""

    applies_to: AppliesTo
    """What is compared: the bucket's `actual` value, the `typical` one, `diff_from_typical`
    (absolute difference, metric's unit), `ratio_to_typical` (actual divided by typical), or `time`
    (the bucket's start, epoch seconds)."""
    operator: Operator
    """`gt`, `gte`, `lt` or `lte`: how it must compare with `value`."""
    value: Number
    """The number compared against."""


class ScopeFilter(ApiModel):
    """Which values of one field a rule or window covers."""

    model_config = ConfigDict(json_schema_extra=lawful(ONE_FILTER))

    filter_id: DnsName | None = None
    """Name of an AnomalyFilter in the detector's namespace. Either this or `values`."""
    values: Annotated[tuple[Pattern, ...], Field(max_length=64)] = ()
    """Values written here instead of in a filter; `*` is allowed at either end of each."""
    filter_type: Literal["include", "exclude"] = "include"
    """`include`: values in the filter are covered. `exclude`: all others are. Unset: `include`."""

    @model_validator(mode="after")
    def _one_filter(self) -> Self:
        if (self.filter_id is not None) == bool(self.values):
            raise ValueError(ONE_FILTER.message)
        return self


Scope = Annotated[dict[LabelKey, ScopeFilter], Field(max_length=4)]


class CustomRule(ApiModel):
    """When the rule's scope and all its conditions hold, its actions happen."""

    model_config = ConfigDict(json_schema_extra=lawful(RULE_HAS_REACH))

    actions: Annotated[
        tuple[Action, ...],
        Field(min_length=1, max_length=2, json_schema_extra=set_schema()),
        Set,
    ] = ("skip_result",)
    """`skip_result`: the record is not created. `skip_model_update`: the value hardly teaches the
    model (weight 0.005, not 0, so that a wrong rule cannot starve it). Unset: `skip_result`."""
    conditions: Annotated[tuple[RuleCondition, ...], Field(max_length=8)] = ()
    """Numeric conditions, all of which must hold."""
    scope: Scope = Field(default_factory=dict)
    """Series the rule is limited to: a map from the detector's by field or the partition field to a
    filter. Empty means every series."""

    @model_validator(mode="after")
    def _has_reach(self) -> Self:
        if not self.scope and not self.conditions:
            raise ValueError(RULE_HAS_REACH.message)
        return self


class MaintenanceWindow(ApiModel):
    """A span of time, once or again and again, in which results are withheld for some entities."""

    model_config = ConfigDict(json_schema_extra=lawful(WINDOW_SHAPE, WINDOW_ORDER))

    name: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Name that a muted result shows; different from the other windows'."""
    start: Time | None = None
    """Begin of a window that happens once (RFC 3339); needs `end`."""
    end: Time | None = None
    """End of a window that happens once (RFC 3339); needs `start`."""
    schedule: Annotated[str, StringConstraints(pattern=patterns.CRON, max_length=100)] | None = None
    """Begin of a window that comes again, as a five-field cron expression; needs `duration`."""
    duration: Annotated[Duration, Between("1m", "7d")] | None = None
    """Length of a window that comes again, 1m to 7d."""
    timezone: Annotated[str, StringConstraints(pattern=patterns.TIMEZONE, max_length=64)] = "UTC"
    """IANA time zone in which `schedule` is read, such as Europe/Berlin. Unset: UTC."""
    scope: Scope = Field(default_factory=dict)
    """Entities the window covers: a map from a label (`namespace`, `workload`, `pod`, `node`,
    `container`, the partition field) to a filter. Empty means all."""
    actions: Annotated[
        tuple[Action, ...],
        Field(min_length=1, max_length=2, json_schema_extra=set_schema()),
        Set,
    ] = ("skip_result", "skip_model_update")
    """What the window does: withhold results, keep the values from the model (weight 0), or both.
    Unset: both."""

    @model_validator(mode="after")
    def _shape(self) -> Self:
        once = (self.start is not None, self.end is not None)
        again = (self.schedule is not None, self.duration is not None)
        if (any(once) and any(again)) or not (all(once) or all(again)):
            raise ValueError(WINDOW_SHAPE.message)
        problems = []
        if self.start is not None and self.end is not None and self.end <= self.start:
            problems.append(Problem("end", WINDOW_ORDER.message))
        if self.schedule is not None and not croniter.is_valid(self.schedule):
            text = f"'{self.schedule}' {patterns.IN_WORDS[patterns.CRON]}"
            problems.append(Problem("schedule", text))
        if not _is_timezone(self.timezone):
            text = f"'{self.timezone}' {patterns.IN_WORDS[patterns.TIMEZONE]}"
            problems.append(Problem("timezone", text))
        if problems:
            raise Located(problems)
        return self


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True
