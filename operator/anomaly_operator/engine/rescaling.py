"""A row changes to the other scale, and all it has learnt goes along.

Levels, shapes and distances are converted so that the model foresees the same values as before.
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
    RATES,
    RECENT,
    RECENT_SIZE,
    REF_SPREAD,
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
from anomaly_operator.engine.scales import OFFSET_SHARE, log_of, plain_of

MOST_OF_A_SLOT = 1e36  # what a float32 holds, with room to learn


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
        change_distances(c, c[LEVEL + SLOW], offset)
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
            plain = plain_of(level + day[d], offset) - plain_of(level, offset)
            day[d] = min(plain, MOST_OF_A_SLOT)
