"""What the weekday adds to the level: weekends are rhythm after one week.

The mean of every whole day is kept; after seven different ones the week's own mean is the level and
the rest is the weekday's. From then on a weekday moves by a shrinking share of what its day lay off
the slow level. Kept apart from the shape of the day, a weekend neither bends that nor moves the
level.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    CLASS_ERROR,
    DAY_LEVEL,
    DAY_N,
    DAY_SUM,
    DAYS_KNOWN,
    ERROR,
    FIRST,
    LEVEL,
    RATES,
    TODAY,
    UNVISITED,
    VISITS,
    WEEK_UNIT,
    WEEKDAY,
    WEEKDAYS,
)
from anomaly_operator.engine.levels import SLOW

WHOLE = 0.75  # of a day's buckets that must have been there for its mean to count
WEEKDAY_GAIN = 0.3
MOST = 0.75  # of the day's error, which weekdays must explain to be believed from the first ...
LEFT = 0.2  # ... and share of it that is assumed to be left at least
KEPT_CLIP = 4.0  # spreads from what was foreseen that a value may pull its day's mean ...
WEEKDAY_CLIP = 8.0  # ... and from the slow level, once the week is known


@inlined
def weekday_of(day: float) -> int:
    """0..6; which is which does not matter."""
    return int(day - 7.0 * math.floor(day / 7.0))


@inlined
def start_weekdays(c: NDArray[np.float64]) -> None:
    """First value of a row."""
    c[TODAY] = -1.0
    for k in range(WEEKDAYS):
        c[DAY_LEVEL + k] = np.nan


@inlined
def kept_value(expected: float, e: float, spread: float) -> float:
    """A value ``e`` off what was foreseen, as far as its day's mean may know of it."""
    limit = KEPT_CLIP * spread
    return expected + min(max(e, -limit), limit)


@inlined
def off_slow_level(c: NDArray[np.float64], level: float, spread: float) -> float:
    """Distance of a value without its rhythm, ``level``, from the slow level of whole weeks."""
    limit = WEEKDAY_CLIP * spread
    return float(min(max(level - c[LEVEL + 2 * RATES + SLOW], -limit), limit))


@inlined
def learn_weekday(
    c: NDArray[np.float64],
    day: NDArray[np.float32],
    week: NDArray[np.int16],
    number: float,
    y: float,
    off: float,
    per_day: float,
    weight: float,
) -> None:
    """Add a value to its day; ``y`` before the week is known, ``off`` (from slow level) after."""
    if number != c[TODAY]:
        if c[DAY_N] >= WHOLE * per_day:
            end_day(c, day, week, per_day)
        c[TODAY] = number
        c[DAY_SUM] = 0.0
        c[DAY_N] = 0.0
    c[DAY_SUM] += weight * (y if c[DAYS_KNOWN] < WEEKDAYS else off)
    c[DAY_N] += weight


@inlined
def end_day(
    c: NDArray[np.float64], day: NDArray[np.float32], week: NDArray[np.int16], per_day: float
) -> None:
    """A whole day is over."""
    k = weekday_of(c[TODAY])
    mean = c[DAY_SUM] / c[DAY_N]
    if c[DAYS_KNOWN] >= WEEKDAYS:
        weeks = c[VISITS] / per_day / 7.0
        c[WEEKDAY + k] += max(1.0 / (weeks + 1.0), WEEKDAY_GAIN) * mean
        return
    c[DAY_LEVEL + k] = mean
    known = 0.0
    total = 0.0
    for i in range(WEEKDAYS):
        if not math.isnan(c[DAY_LEVEL + i]):
            known += 1.0
            total += c[DAY_LEVEL + i]
    c[DAYS_KNOWN] = known
    if known < WEEKDAYS:
        return
    level = total / WEEKDAYS
    explained = 0.0
    for i in range(WEEKDAYS):
        c[WEEKDAY + i] = c[DAY_LEVEL + i] - level
        explained += c[WEEKDAY + i] * c[WEEKDAY + i] / WEEKDAYS
    shape = 0.0
    slots = 0.0
    for i in range(len(day)):
        if not math.isnan(day[i]):
            shape += day[i]
            slots += 1.0
    level -= shape / max(slots, 1.0)
    for i in range(RATES):
        c[LEVEL + 2 * RATES + i] = level
        c[ERROR + 2 * RATES + i] = c[ERROR + RATES + i]
    error = c[CLASS_ERROR + 1]
    c[CLASS_ERROR + 2] = max(error - explained, LEFT * error) if explained > MOST * error else error
    # The week's table was kept from the first value so far; the weekday is no longer its business.
    unit = c[WEEK_UNIT]
    if unit > 0.0:
        slots_a_day = len(week) // WEEKDAYS
        for w in range(len(week)):
            if week[w] != UNVISITED:
                i = w // slots_a_day
                held = week[w] * unit + c[FIRST] - level - c[WEEKDAY + i]
                week[w] = int(min(max(math.floor(held / unit + 0.5), -32000.0), 32000.0))
