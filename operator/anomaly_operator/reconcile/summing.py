"""One condition out of the shards': the worst counts, and says whose it is."""

from __future__ import annotations

from collections.abc import Sequence

from anomaly_operator.api.v1alpha1.conditions import ConditionType
from anomaly_operator.api.v1alpha1.status import Condition as ReportedCondition
from anomaly_operator.api.v1alpha1.status import ShardStatus
from anomaly_operator.reconcile.conditions import Condition

_SHOWN = 3  # messages of more shards than this are counted, not told


def summed(kind: str, shards: Sequence[ShardStatus]) -> Condition | None:
    """Sum up one type over the shards; None where no shard has it.

    SourceReady and its like are False where one is False, and True only where all are. For
    AnomalyDetected it is the other way: one anomaly is an anomaly.
    """
    reported = [
        (shard.shard, condition)
        for shard in shards
        for condition in shard.conditions
        if condition.type == kind
    ]
    if not reported:
        return None
    telling = "True" if kind == ConditionType.ANOMALY_DETECTED else "False"
    for status in (telling, "Unknown"):
        those = [(number, c) for number, c in reported if c.status == status]
        if those:
            return _joined(kind, those, several=len(shards) > 1)
    # All say the same good thing; the first speaks for them, unless some have not spoken.
    first = reported[0][1]
    if len(reported) < len(shards):
        silent = len(shards) - len(reported)
        return Condition(kind, "Unknown", first.reason, f"{silent} workers have not reported yet")
    return Condition(kind, first.status, first.reason, first.message)


def _joined(
    kind: str, those: Sequence[tuple[int, ReportedCondition]], *, several: bool
) -> Condition:
    first = those[0][1]
    told = [
        f"shard {number}: {c.message}" if several else c.message for number, c in those[:_SHOWN]
    ]
    if len(those) > _SHOWN:
        told.append(f"and {len(those) - _SHOWN} more")
    return Condition(kind, first.status, first.reason, "; ".join(told))
