"""Custom rules, what they scope on, and maintenance windows: when a result is withheld or not learnt.

Elastic's words; ours in addition are `ratio_to_typical`, inline `values` in a scope, and windows
that are scoped to entities.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

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

Action = Literal["skip_result", "skip_model_update"]
AppliesTo = Literal["actual", "typical", "diff_from_typical", "ratio_to_typical", "time"]
Operator = Literal["gt", "gte", "lt", "lte"]
Pattern = Annotated[str, StringConstraints(pattern=r"^\*?[^*]+\*?$", min_length=1, max_length=253)]
"""A literal, or one with ``*`` at its start, its end, or both."""


class RuleCondition(ApiModel):
    """One numeric condition; the conditions of a rule must all hold."""

    applies_to: AppliesTo
    """What is compared: the bucket's `actual` value, the `typical` one, `diff_from_typical` (absolute
    difference, metric's unit), `ratio_to_typical` (actual divided by typical), or `time` (the
    bucket's start, epoch seconds)."""
    operator: Operator
    """`gt`, `gte`, `lt` or `lte`: how it must compare with `value`."""
    value: Number
    """The number compared against."""


class ScopeFilter(ApiModel):
    """Which values of one field a rule or window covers."""

    filter_id: DnsName | None = None
    """Name of an AnomalyFilter in the detector's namespace. Either this or `values`."""
    values: Annotated[tuple[Pattern, ...], Field(max_length=64)] = ()
    """Values written here instead of in a filter; `*` is allowed at either end of each."""
    filter_type: Literal["include", "exclude"] = "include"
    """`include`: values in the filter are covered. `exclude`: all others are."""


Scope = Annotated[dict[LabelKey, ScopeFilter], Field(max_length=4)]


class CustomRule(ApiModel):
    """When the rule's scope and all its conditions hold, its actions happen. Rules are alternatives."""

    actions: Annotated[
        tuple[Action, ...],
        Set,
        Field(min_length=1, max_length=2, json_schema_extra=set_schema()),
    ] = ("skip_result",)
    """`skip_result`: the record is not created. `skip_model_update`: the value hardly teaches the
    model (weight 0.005, not 0, so that a wrong rule cannot starve it)."""
    conditions: Annotated[tuple[RuleCondition, ...], Field(max_length=8)] = ()
    """Numeric conditions, all of which must hold."""
    scope: Scope = Field(default_factory=dict)
    """Series the rule is limited to: a map from the detector's by field or the partition field to a
    filter. Empty means every series."""


class MaintenanceWindow(ApiModel):
    """A span of time, once or again and again, in which results are withheld for some entities."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Name that a muted result shows; different from the other windows'."""
    start: Time | None = None
    """Begin of a window that happens once (RFC 3339); needs `end`."""
    end: Time | None = None
    """End of a window that happens once (RFC 3339); needs `start`."""
    schedule: Annotated[str, StringConstraints(min_length=9, max_length=100)] | None = None
    """Begin of a window that comes again, as a five-field cron expression; needs `duration`."""
    duration: Duration | None = None
    """Length of a window that comes again, 1m to 7d."""
    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]+$", max_length=64)] = (
        "UTC"
    )
    """IANA time zone in which `schedule` is read, such as Europe/Berlin."""
    scope: Scope = Field(default_factory=dict)
    """Entities the window covers: a map from a label (`namespace`, `workload`, `pod`, `node`,
    `container`, the partition field) to a filter. Empty means all."""
    actions: Annotated[
        tuple[Action, ...],
        Set,
        Field(min_length=1, max_length=2, json_schema_extra=set_schema()),
    ] = ("skip_result", "skip_model_update")
    """What the window does: withhold results, keep the values from the model (weight 0), or both."""
