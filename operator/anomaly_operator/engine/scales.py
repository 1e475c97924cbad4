"""Plain or logarithmic: in which units a series is modelled.

Traffic varies by a share of itself, memory by bytes. A series that is better predicted on the
logarithmic scale is modelled there altogether: levels, rhythm, spreads. Which is better is asked
all the time by the predictive likelihood of both (Laplace, so that outliers count little), and a
change converts the row's state, so nothing has to be learnt again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    BOUND_LOW,
    BOUND_UP,
    CLASS_ERROR,
    COUNT,
    DAY_LEVEL,
    DAY_N,
    DAY_SUM,
    DAYS_KNOWN,
    ERROR,
    FIRST,
    LATELY,
    LEVEL,
    LIKELIHOOD,
    LOGGED,
    OFFSET,
    OLD_SHIFT,
    PLAIN_SIZE,
    RATES,
    RECENT,
    RECENT_SIZE,
    REF_SPREAD,
    SHARE_SIZE,
    SHIFT_BEFORE,
    SHIFT_FROM,
    SHIFT_JUMP,
    SLOPE,
    SPREAD_LOW,
    SPREAD_UP,
    TRACKERS,
    UNVISITED,
    WEEK_UNIT,
    WEEKDAY,
    WEEKDAYS,
    WIDEN,
)
from anomaly_operator.engine.levels import SLOW

OFFSET_SHARE = 0.2  # of the level: what is added before the logarithm, so that zero has one
LEAST_COUNT = 40.0
ENOUGH = 8.0  # log likelihood ratio that changes the scale
FORGET = 0.998
CLIP = 3.0  # log likelihood one bucket may contribute
NEVER = -1e9  # a value below zero was seen
MOST_OF_A_SLOT = 1e36  # what a float32 holds, with room to learn


@inlined
def to_scale(c: NDArray[np.float64], y: float) -> float:
    """A value in the units the row is modelled in."""
    if c[LOGGED] == 0.0:
        return y
    return math.log(max(y, 0.0) + c[OFFSET])


@inlined
def from_scale(c: NDArray[np.float64], u: float) -> float:
    """Inverse of ``to_scale``; stays finite."""
    if c[LOGGED] == 0.0:
        return u
    return float(math.exp(min(u, 80.0)) - c[OFFSET])


@inlined
def learn_scale(c: NDArray[np.float64], y: float, expected: float, weight: float) -> bool:
    """Compare both scales on this value; whether the row should change over now."""
    if y < 0.0:
        c[LIKELIHOOD] = NEVER
    offset = c[OFFSET] if c[LOGGED] != 0.0 else max(OFFSET_SHARE * expected, 1e-9)
    there = max(expected, 0.0) + offset
    here = max(y, 0.0) + offset
    plain = abs(y - expected)
    share = abs(math.log(here / there))
    rate = weight * max(1.0 / (c[COUNT] + 1.0), 0.003)
    plain_size = c[PLAIN_SIZE]
    share_size = c[SHARE_SIZE]
    if plain_size > 0.0 and share_size > 1e-6 and c[LIKELIHOOD] > 0.5 * NEVER:
        gain = plain / plain_size + math.log(plain_size)
        gain -= share / share_size + math.log(share_size) + math.log(here)
        gain = min(max(gain, -CLIP), CLIP)
        c[LIKELIHOOD] = FORGET * c[LIKELIHOOD] + weight * gain
    if plain_size > 0.0:
        plain = min(plain, 6.0 * plain_size)
    if share_size > 0.0:
        share = min(share, 6.0 * share_size)
    c[PLAIN_SIZE] = plain_size + rate * (plain - plain_size)
    c[SHARE_SIZE] = share_size + rate * (share - share_size)
    if c[COUNT] < LEAST_COUNT:
        return False
    if c[LOGGED] == 0.0:
        return bool(c[LIKELIHOOD] > ENOUGH)
    return bool(c[LIKELIHOOD] < -ENOUGH)


@inlined
def log_of(value: float, offset: float) -> float:
    """Logarithm that never meets zero."""
    return math.log(max(value + offset, 0.1 * offset))


@inlined
def change_scale(c: NDArray[np.float64], day: NDArray[np.float32], week: NDArray[np.int16]) -> None:
    """Convert all a row has learnt to the other scale."""
    if c[LOGGED] == 0.0:
        level = max(c[LEVEL + SLOW], 0.0)
        offset = max(OFFSET_SHARE * level, 1e-9)
        unit = c[WEEK_UNIT] / (level + offset)
        shapes_to_log(c, day, week, offset, unit)
        change_distances(c, level, offset)
        for i in range(TRACKERS):
            c[LEVEL + i] = log_of(c[LEVEL + i], offset)
        c[FIRST] = log_of(c[FIRST], offset)
        for i in range(WEEKDAYS):
            if not math.isnan(c[DAY_LEVEL + i]):
                c[DAY_LEVEL + i] = log_of(c[DAY_LEVEL + i], offset)
            c[WEEKDAY + i] = log_of(level + c[WEEKDAY + i], offset) - log_of(level, offset)
        if c[DAYS_KNOWN] < WEEKDAYS:
            c[DAY_SUM] = c[DAY_N] * log_of(c[DAY_SUM] / max(c[DAY_N], 1.0), offset)
        else:
            c[DAY_SUM] /= level + offset
        factor = 1.0 / (level + offset)
        c[OFFSET] = offset
        c[LOGGED] = 1.0
    else:
        offset = c[OFFSET]
        level = math.exp(min(c[LEVEL + SLOW], 80.0))
        unit = c[WEEK_UNIT] * level
        shapes_to_plain(c, day, week, unit)
        change_distances(c, c[LEVEL + SLOW], offset)
        for i in range(TRACKERS):
            c[LEVEL + i] = math.exp(min(c[LEVEL + i], 80.0)) - offset
        c[FIRST] = math.exp(min(c[FIRST], 80.0)) - offset
        for i in range(WEEKDAYS):
            if not math.isnan(c[DAY_LEVEL + i]):
                c[DAY_LEVEL + i] = math.exp(min(c[DAY_LEVEL + i], 80.0)) - offset
            c[WEEKDAY + i] = level * (math.exp(min(c[WEEKDAY + i], 40.0)) - 1.0)
        if c[DAYS_KNOWN] < WEEKDAYS:
            mean = math.exp(min(c[DAY_SUM] / max(c[DAY_N], 1.0), 80.0)) - offset
            c[DAY_SUM] = c[DAY_N] * mean
        else:
            c[DAY_SUM] *= level
        factor = level
        c[LOGGED] = 0.0
    for i in range(TRACKERS):
        c[ERROR + i] *= factor * factor
    for i in range(TRACKERS // RATES):
        c[CLASS_ERROR + i] *= factor * factor
        c[SLOPE + i] = 0.0
    c[SPREAD_UP] *= factor
    c[SPREAD_LOW] *= factor
    c[REF_SPREAD] *= factor
    c[LATELY] *= factor
    c[WIDEN] *= factor
    c[BOUND_UP] = 2.2
    c[BOUND_LOW] = 2.2
    c[LIKELIHOOD] = 0.0
    c[WEEK_UNIT] = unit


@inlined
def change_distances(c: NDArray[np.float64], level: float, offset: float) -> None:
    """Convert what a change under way is told by: distances from the slow level.

    ``level`` is that in the row's present units. A step is often what makes the row change over, so
    these may be many times the level: each end is converted and not just its slope.
    """
    before = c[SHIFT_BEFORE]
    after = moved_end(c, level, before + c[SHIFT_JUMP], offset)
    c[SHIFT_BEFORE] = moved_end(c, level, before, offset)
    c[SHIFT_JUMP] = after - c[SHIFT_BEFORE]
    c[SHIFT_FROM] = moved_end(c, level, c[SHIFT_FROM], offset)
    c[OLD_SHIFT] = -moved_end(c, level, -c[OLD_SHIFT], offset)
    at = max(level + c[RECENT], 0.0) + offset
    if c[LOGGED] == 0.0:
        c[RECENT_SIZE] /= at
    else:
        c[RECENT_SIZE] *= math.exp(min(level + c[RECENT], 80.0))
    c[RECENT] = moved_end(c, level, c[RECENT], offset)


@inlined
def moved_end(c: NDArray[np.float64], level: float, off: float, offset: float) -> float:
    """A distance ``off`` from ``level`` on the scale that the row is changing to."""
    if c[LOGGED] == 0.0:
        return log_of(level + off, offset) - log_of(level, offset)
    return math.exp(min(level + off, 80.0)) - math.exp(min(level, 80.0))


@inlined
def around(c: NDArray[np.float64]) -> float:
    """The level the shapes are relative to."""
    return float(c[FIRST] if c[ERROR + RATES] == 0.0 else c[LEVEL + RATES + SLOW])


@inlined
def shapes_to_log(
    c: NDArray[np.float64],
    day: NDArray[np.float32],
    week: NDArray[np.int16],
    offset: float,
    unit: float,
) -> None:
    """Day and week from differences to log ratios; the week first, it needs the plain day."""
    level = around(c)
    days = len(day)
    weeks = len(week)
    for w in range(weeks):
        d = (w % (weeks // 7)) * days // (weeks // 7)
        if week[w] != UNVISITED and not math.isnan(day[d]):
            base = level + day[d]
            moved = log_of(base + week[w] * c[WEEK_UNIT], offset) - log_of(base, offset)
            week[w] = int(min(max(moved / unit, -32000.0), 32000.0))
    for d in range(days):
        if not math.isnan(day[d]):
            day[d] = log_of(level + day[d], offset) - log_of(level, offset)


@inlined
def shapes_to_plain(
    c: NDArray[np.float64], day: NDArray[np.float32], week: NDArray[np.int16], unit: float
) -> None:
    """Inverse of ``shapes_to_log``."""
    level = around(c)
    days = len(day)
    weeks = len(week)
    for w in range(weeks):
        d = (w % (weeks // 7)) * days // (weeks // 7)
        if week[w] != UNVISITED and not math.isnan(day[d]):
            base = math.exp(min(level + day[d], 80.0))
            moved = base * (math.exp(min(week[w] * c[WEEK_UNIT], 40.0)) - 1.0)
            week[w] = int(min(max(moved / unit, -32000.0), 32000.0))
    for d in range(days):
        if not math.isnan(day[d]):
            plain = math.exp(min(level, 80.0)) * (math.exp(min(day[d], 40.0)) - 1.0)
            day[d] = min(plain, MOST_OF_A_SLOT)
