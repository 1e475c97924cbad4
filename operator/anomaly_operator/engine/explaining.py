"""One plain sentence, and the parts a record's score is made of."""

from __future__ import annotations

import math
from enum import StrEnum

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PERIODS = (
    (365.25, "year"),
    (30.44, "month"),
    (7.0, "week"),
    (1.0, "day"),
    (1.0 / 24.0, "hour"),
)


SHARE_UP_TO = 1.2  # ratios below are told as a share: "6 % higher" says more than "1.1x higher"


INCOMPLETE = "told with less, as the bucket has far fewer samples than this series usually has"


class HeldBack(StrEnum):
    """Why a score is less than the probability alone would make it."""

    NOTHING = ""
    FAMILIAR = "less than its probability alone says, as this series has done so before"
    YOUNG = "told with caution, as little of this series is known yet"
    RESTED = "less than its probability alone says, as a rarer one was told lately"


def clock_words(time_s: float, offset_s: float) -> str:
    """Weekday and time of day of an epoch time, ``offset_s`` east of UTC.

    >>> clock_words(1_700_000_000, 0.0), clock_words(1_700_000_000, 3600.0)
    ('Tuesday 22:13 UTC', 'Tuesday 23:13')
    """
    local = time_s + offset_s
    day = int(local // 86400)
    second = int(local % 86400)
    zone = "" if offset_s else " UTC"
    return f"{_DAYS[(day + 3) % 7]} {second // 3600:02d}:{second % 3600 // 60:02d}{zone}"


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
    held_back: HeldBack,
    incomplete: bool,
    period: float,
) -> str:
    """Why this score: how far off, against what, how rare, and what else weighed."""
    against = f" for a {clock_words(time_s, offset_s)}" if by_clock else ""
    parts = [far_words(actual, typical) + against, f"expected {period_words(period)}"]
    if slow:
        parts.append("a slow deviation over many buckets")
    if length > 3:
        parts.append(f"lasting {duration_words(length * span_s)} so far")
    if held_back:
        parts.append(held_back.value)
    if incomplete:
        parts.append(INCOMPLETE)
    return "; ".join(parts)


def far_words(actual: float, typical: float) -> str:
    """How far off a value is, in the way that says most.

    >>> far_words(32.0, 10.0), far_words(106.0, 100.0), far_words(94.0, 100.0)
    ('3.2x higher than typical', '6 % higher than typical', '6 % lower than typical')
    >>> far_words(99.7, 1.0), far_words(0.0, 5.0)
    ('100x higher than typical', 'zero where that is not typical')
    """
    ratio = _ratio(actual, typical)
    way = "higher" if actual > typical else "lower"
    if ratio is None:
        if actual == 0.0 and typical != 0.0:
            return "zero where that is not typical"
        if typical == 0.0 and actual != 0.0:
            return f"{'above' if actual > 0.0 else 'below'} zero where zero is typical"
        return f"unusually {'high' if actual > typical else 'low'}"
    if ratio > 100.0:
        return f"more than 100x {way} than typical"
    if ratio >= SHARE_UP_TO:
        return f"{_two_digits(ratio)}x {way} than typical"
    share = 100.0 * abs(actual - typical) / abs(typical)
    if share < 0.01:
        return f"slightly {way} than typical"
    return f"{_two_digits(share)} % {way} than typical"


def amount_words(value: float) -> str:
    """A metric's value with four digits, as people write it.

    >>> amount_words(1.73251e9), amount_words(0.012345), amount_words(-42.0), amount_words(3e20)
    ('1,733,000,000', '0.01235', '-42', '3e+20')
    """
    short = float(f"{value:.4g}")
    return f"{short:,.0f}" if 1e4 <= abs(short) < 1e15 else f"{short:.4g}"


def _two_digits(value: float) -> str:
    """Two digits, and never an exponent, of what is not above a hundred."""
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"


def duration_words(seconds: float) -> str:
    """A duration in its largest fitting unit.

    >>> duration_words(90), duration_words(7200), duration_words(86400 * 3)
    ('90 s', '2 h', '3 d')
    """
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
