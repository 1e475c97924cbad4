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
    PLAIN_SIZE,
    RATES,
    REF_SPREAD,
    SHARE_SIZE,
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
    """Logarithm as ``to_scale`` takes it, which never meets zero."""
    return math.log(max(value, 0.0) + offset)


@inlined
def plain_of(logged: float, offset: float) -> float:
    """Inverse of ``log_of``; stays finite."""
    return math.exp(min(logged, 80.0)) - offset


@inlined
def change_scale(c: NDArray[np.float64], day: NDArray[np.float32], week: NDArray[np.int16]) -> None:
    """Convert all a row has learnt to the other scale."""
    if c[LOGGED] == 0.0:
        level = max(c[LEVEL + SLOW], 0.0)
        offset = max(OFFSET_SHARE * level, 1e-9)
        unit = c[WEEK_UNIT] / (level + offset)
        shapes_to_log(c, day, week, offset, unit)
        for i in range(TRACKERS):
            c[LEVEL + i] = log_of(c[LEVEL + i], offset)
        c[FIRST] = log_of(c[FIRST], offset)
        for i in range(WEEKDAYS):
            if not math.isnan(c[DAY_LEVEL + i]):
                c[DAY_LEVEL + i] = log_of(c[DAY_LEVEL + i], offset)
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
        shapes_to_plain(c, day, week, offset, unit)
        for i in range(TRACKERS):
            c[LEVEL + i] = math.exp(min(c[LEVEL + i], 80.0)) - offset
        c[FIRST] = math.exp(min(c[FIRST], 80.0)) - offset
        for i in range(WEEKDAYS):
            if not math.isnan(c[DAY_LEVEL + i]):
                c[DAY_LEVEL + i] = math.exp(min(c[DAY_LEVEL + i], 80.0)) - offset
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
def around(c: NDArray[np.float64]) -> float:
    """The level the shapes are relative to."""
    return float(c[FIRST] if c[ERROR + RATES] == 0.0 else c[LEVEL + RATES + SLOW])


@inlined
def week_base(c: NDArray[np.float64]) -> float:
    """The level the week's table is relative to."""
    known = c[DAYS_KNOWN] >= WEEKDAYS
    return float(c[LEVEL + 2 * RATES + SLOW] if known else c[FIRST])


@inlined
def whole_units(moved: float, unit: float) -> int:
    """A departure in steps of the week's table."""
    return int(min(max(math.floor(moved / unit + 0.5), -32000.0), 32000.0))


@inlined
def shapes_to_log(
    c: NDArray[np.float64],
    day: NDArray[np.float32],
    week: NDArray[np.int16],
    offset: float,
    unit: float,
) -> None:
    """Weekdays, week and day from differences to log ratios that foresee the same values.

    A weekday becomes the mean ratio over its hours, what is left of each hour goes to the week.
    """
    base = week_base(c)
    level = around(c)
    days = len(day)
    day_slots = len(week) // WEEKDAYS
    for i in range(WEEKDAYS):
        before = c[WEEKDAY + i]
        ratio = 0.0
        seen = 0.0
        for d in range(days):
            if before != 0.0 and not math.isnan(day[d]):
                ratio += log_of(base + before + day[d], offset) - log_of(base + day[d], offset)
                seen += 1.0
        ratio /= max(seen, 1.0)
        for k in range(day_slots):
            w = i * day_slots + k
            d = k * days // day_slots
            if week[w] != UNVISITED and not math.isnan(day[d]):
                whole = log_of(base + before + day[d] + week[w] * c[WEEK_UNIT], offset)
                parts = log_of(base, offset) + ratio
                parts += log_of(level + day[d], offset) - log_of(level, offset)
                week[w] = whole_units(whole - parts, unit)
        c[WEEKDAY + i] = ratio
    for d in range(days):
        if not math.isnan(day[d]):
            day[d] = log_of(level + day[d], offset) - log_of(level, offset)


@inlined
def shapes_to_plain(
    c: NDArray[np.float64],
    day: NDArray[np.float32],
    week: NDArray[np.int16],
    offset: float,
    unit: float,
) -> None:
    """Inverse of ``shapes_to_log``."""
    base = week_base(c)
    level = around(c)
    days = len(day)
    day_slots = len(week) // WEEKDAYS
    for i in range(WEEKDAYS):
        before = c[WEEKDAY + i]
        moved = 0.0
        seen = 0.0
        for d in range(days):
            if before != 0.0 and not math.isnan(day[d]):
                moved += plain_of(base + before + day[d], offset) - plain_of(base + day[d], offset)
                seen += 1.0
        moved /= max(seen, 1.0)
        for k in range(day_slots):
            w = i * day_slots + k
            d = k * days // day_slots
            if week[w] != UNVISITED and not math.isnan(day[d]):
                whole = plain_of(base + before + day[d] + week[w] * c[WEEK_UNIT], offset)
                parts = plain_of(base, offset) + moved
                parts += plain_of(level + day[d], offset) - plain_of(level, offset)
                week[w] = whole_units(whole - parts, unit)
        c[WEEKDAY + i] = moved
    for d in range(days):
        if not math.isnan(day[d]):
            day[d] = plain_of(level + day[d], offset) - plain_of(level, offset)
