"""What a bucket's length makes of numbers told in minutes, hours and days."""

from __future__ import annotations

from anomaly_operator.engine.compiled import inlined

# An event lasts minutes or hours, not buckets: of shorter ones it has more, within these factors.
NORMAL_SPAN_S = 900.0
LEAST_PACE = 0.5
MOST_PACE = 4.0
SETTLED_LEAST = 16.0  # buckets: half a day, within these, till what lasts is told again
SETTLED_MOST = 96.0
LONGEST_LEAST = 48.0  # buckets: a day, within these, till whatever lasts is accepted
LONGEST_MOST = 480.0


@inlined
def pace_of(span_s: float) -> float:
    """Buckets of an event for each that it would have at the normal span."""
    return min(max(NORMAL_SPAN_S / span_s, LEAST_PACE), MOST_PACE)


@inlined
def settled_after(per_day: float) -> float:
    """Buckets after which a level that was opened anew has settled."""
    return min(max(0.5 * per_day, SETTLED_LEAST), SETTLED_MOST)


@inlined
def longest_of(per_day: float) -> float:
    """Buckets of evidence after which whatever lasts is accepted."""
    return min(max(per_day, LONGEST_LEAST), LONGEST_MOST)
