"""Conditions after metav1.Condition and kstatus: always all of them, always of this generation.

``Ready`` is positive; ``Reconciling`` and ``Stalled`` are abnormal when True. An anomaly is a
condition of its own: a deployment must not fail because a pod behaves oddly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from anomaly_operator.api.quantities import format_time, parse_time

MESSAGE_LENGTH = 2048  # metav1.Condition allows 32 KiB; a person reads less


@dataclass(frozen=True, slots=True)
class Condition:
    """One verdict: type, status ("True", "False", "Unknown"), stable reason, message for people."""

    type: str
    status: str
    reason: str
    message: str = ""


def when(flag: bool | None) -> str:  # noqa: FBT001 - the flag is the value converted
    """Spell a flag as the status of a condition; None is Unknown."""
    return "Unknown" if flag is None else str(flag)


def time_text(time_s: float) -> str:
    """Epoch seconds as RFC 3339, whole seconds, as metav1.Time has it."""
    return format_time(datetime.fromtimestamp(int(time_s), UTC))


def seconds(text: str | None) -> float | None:
    """RFC 3339 as epoch seconds; None where there is none or it is no time."""
    if not text:
        return None
    try:
        return parse_time(text).timestamp()
    except ValueError:
        return None


def rendered(
    wanted: Iterable[Condition],
    existing: Sequence[Mapping[str, Any]],
    *,
    generation: int,
    now_s: float,
) -> list[dict[str, Any]]:
    """Render conditions as status holds them; lastTransitionTime moves only when status does."""
    before = {condition.get("type"): condition for condition in existing}
    documents = []
    for condition in wanted:
        old = before.get(condition.type, {})
        same = old.get("status") == condition.status
        documents.append(
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": _cut(condition.message),
                "observedGeneration": generation,
                "lastTransitionTime": (same and old.get("lastTransitionTime")) or time_text(now_s),
            }
        )
    return documents


def _cut(message: str) -> str:
    return message if len(message) <= MESSAGE_LENGTH else message[: MESSAGE_LENGTH - 3] + "..."
