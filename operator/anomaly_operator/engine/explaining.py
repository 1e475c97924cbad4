"""One plain sentence, and the parts a record's score is made of."""

from __future__ import annotations

import math

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PERIODS = (
    (365.25, "year"),
    (30.44, "month"),
    (7.0, "week"),
    (1.0, "day"),
    (1.0 / 24.0, "hour"),
)


def clock_words(time_s: float, offset_s: float) -> str:
    """Weekday and time of day of an epoch time.

    >>> clock_words(1_700_000_000, 0.0)
    'Tuesday 22:13'
    """
    local = time_s + offset_s
    day = int(local // 86400)
    second = int(local % 86400)
    return f"{_DAYS[(day + 3) % 7]} {second // 3600:02d}:{second % 3600 // 60:02d}"


def period_words(period: float) -> str:
    """How often something happens whose return period is ``10 ** period`` days.

    >>> period_words(math.log10(35)), period_words(1.0), period_words(9.0), period_words(-3.0)
    ('about once in 5 weeks', 'about once in 10 days', 'less than once in 100 years', 'often')
    """
    if period > math.log10(36525.0):
        return "less than once in 100 years"
    days = 10.0**period
    for unit_days, unit in _PERIODS:
        count = days / unit_days
        limit = 1.5 if unit in {"year", "day", "hour"} else 2.5
        if count >= limit:
            return f"about once in {count:.0f} {unit}s"
        if unit in {"day", "hour"} and count >= 0.75:
            return f"about once {'a day' if unit == 'day' else 'an hour'}"
    return "often"


def summary(actual: float, typical: float) -> str:
    """Elastic's short form of how far off a value is.

    >>> summary(30, 10), summary(13, 10), summary(1, 1000), summary(0, 5), summary(5, 0)
    ('3x higher', '1.3x higher', 'More than 100x lower', 'Unusual zero value', \
'Unexpected non-zero value')
    """
    way = "higher" if actual > typical else "lower"
    if actual == 0.0 and typical != 0.0:
        return "Unusual zero value"
    if typical == 0.0:
        return "Unexpected non-zero value" if actual != 0.0 else "Unusual value"
    ratio = _ratio(actual, typical)
    if ratio is None or ratio < 1.05:
        return f"Unusually {'high' if actual > typical else 'low'}"
    if ratio > 100.0:
        return f"More than 100x {way}"
    if ratio > 1.5:
        return f"{ratio:.0f}x {way}"
    return f"{ratio:.2g}x {way}"


def _ratio(actual: float, typical: float) -> float | None:
    """Larger over smaller, where both have one sign."""
    if actual * typical <= 0.0:
        return None
    return max(abs(actual), abs(typical)) / min(abs(actual), abs(typical))


def sentence(
    actual: float,
    typical: float,
    *,
    time_s: float,
    offset_s: float,
    by_clock: bool,
    slow: bool,
    length: int,
    span_s: float,
    habit: bool,
    period: float,
) -> str:
    """Why this score: how far off, against what, how rare, and what else weighed."""
    ratio = _ratio(actual, typical)
    way = "higher" if actual > typical else "lower"
    if ratio is not None and 1.05 <= ratio <= 100.0:
        far = f"{ratio:.2g}x {way} than typical"
    elif ratio is not None and ratio > 100.0:
        far = f"more than 100x {way} than typical"
    elif actual == 0.0:
        far = "zero where that is not typical"
    else:
        far = f"unusually {'high' if actual > typical else 'low'}"
    against = f" for a {clock_words(time_s, offset_s)}" if by_clock else ""
    parts = [far + against, f"expected {period_words(period)}"]
    if slow:
        parts.append("a slow deviation over many buckets")
    if length > 3:
        parts.append(f"lasting {duration_words(length * span_s)} so far")
    if habit:
        parts.append("less than its probability alone says, as this series has done so before")
    return "; ".join(parts)


def duration_words(seconds: float) -> str:
    """A duration in its largest fitting unit.

    >>> duration_words(90), duration_words(7200), duration_words(86400 * 3)
    ('90 s', '2 h', '3 d')
    """
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
