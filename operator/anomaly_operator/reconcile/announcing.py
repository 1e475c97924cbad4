"""Kubernetes Events: one for each state that changes, none for what stays."""

from __future__ import annotations

from collections.abc import Sequence

from anomaly_operator.api.v1alpha1.conditions import ConditionType, Reason
from anomaly_operator.reconcile.conditions import Condition
from anomaly_operator.reconcile.state import Event, Observed

_MESSAGE_LENGTH = 1024  # the API server refuses longer messages of Events
# Conditions whose turn to False is worth a Warning, and whose turn back is worth a Normal.
_WATCHED = (
    ConditionType.SOURCE_READY,
    ConditionType.DATA_COMPLETE,
    ConditionType.MODEL_MEMORY_OK,
)


def events(observed: Observed, conditions: Sequence[Condition]) -> tuple[Event, ...]:
    """Return what has changed since the status was written last, as Events."""
    before = {c.type: (c.status, c.reason) for c in observed.status.conditions}
    found = []
    for condition in conditions:
        old = before.get(condition.type, ("", ""))
        new = (condition.status, condition.reason)
        followed_before = observed.status.applied_generation is not None
        if condition.type == ConditionType.UPDATE_PENDING and not followed_before:
            continue  # the first opening is no update
        if old != new and _is_told(condition, old):
            kind = "Warning" if condition.status == "False" and _is_bad(condition) else "Normal"
            message = condition.message[:_MESSAGE_LENGTH]
            found.append(Event(kind, condition.reason, message))
    return tuple(found)


def _is_told(condition: Condition, old: tuple[str, str]) -> bool:
    if condition.type == ConditionType.READY:
        return condition.reason != Reason.PROGRESSING
    if condition.type == ConditionType.UPDATE_PENDING:
        return condition.status == "False" and old[0] == "True"
    if condition.type not in _WATCHED:
        return False
    if condition.status == "False":
        return True
    # Good news only after bad news.
    return condition.status == "True" and old[0] == "False"


def _is_bad(condition: Condition) -> bool:
    return condition.type != ConditionType.UPDATE_PENDING
