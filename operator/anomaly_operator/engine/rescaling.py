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
    PLAIN_SIZE,
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
def changed(c: NDArray[np.float64], u: float, offset: float) -> float:
    """What ``u`` on the row's present scale is on the other one."""
    return log_of(u, offset) if c[LOGGED] == 0.0 else plain_of(u, offset)


@inlined
def change_scale(c: NDArray[np.float64], day: NDArray[np.float32], week: NDArray[np.int16]) -> None:
    """Convert all a row has learnt to the other scale."""
    level = c[LEVEL + SLOW]
    if c[LOGGED] == 0.0:
        level = max(level, 0.0)
        offset = max(OFFSET_SHARE * level, 1e-9)
        factor = 1.0 / (level + offset)
    else:
        offset = c[OFFSET]
        factor = math.exp(min(level, 80.0))
    unit = c[WEEK_UNIT] * factor
    change_shapes(c, day, week, offset, unit)
    change_distances(c, level, offset)
    for i in range(TRACKERS):
        c[LEVEL + i] = changed(c, c[LEVEL + i], offset)
    c[FIRST] = changed(c, c[FIRST], offset)
    for i in range(WEEKDAYS):
        if not math.isnan(c[DAY_LEVEL + i]):
            c[DAY_LEVEL + i] = changed(c, c[DAY_LEVEL + i], offset)
    if c[DAYS_KNOWN] < WEEKDAYS:
        c[DAY_SUM] = c[DAY_N] * changed(c, c[DAY_SUM] / max(c[DAY_N], 1.0), offset)
    else:
        c[DAY_SUM] *= factor
    c[OFFSET] = offset
    c[LOGGED] = 1.0 - c[LOGGED]
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
    return changed(c, level + off, offset) - changed(c, level, offset)


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
def change_shapes(
    c: NDArray[np.float64],
    day: NDArray[np.float32],
    week: NDArray[np.int16],
    offset: float,
    unit: float,
) -> None:
    """Convert weekdays, week and day so that they foresee the same values on the other scale.

    A weekday becomes its mean over the hours, and what is left of each hour goes to the week, whose
    steps are then worth ``unit``.
    """
    base = week_base(c)
    level = around(c)
    days = len(day)
    day_slots = len(week) // WEEKDAYS
    for i in range(WEEKDAYS):
        before = c[WEEKDAY + i]
        mean = 0.0
        seen = 0.0
        for d in range(days):
            if before != 0.0 and not math.isnan(day[d]):
                mean += moved_end(c, base + day[d], before, offset)
                seen += 1.0
        mean /= max(seen, 1.0)
        for k in range(day_slots):
            w = i * day_slots + k
            d = k * days // day_slots
            if week[w] != UNVISITED and not math.isnan(day[d]):
                off = before + day[d] + week[w] * c[WEEK_UNIT]
                parts = mean + moved_end(c, level, day[d], offset)
                week[w] = whole_units(moved_end(c, base, off, offset) - parts, unit)
        c[WEEKDAY + i] = mean
    for d in range(days):
        if not math.isnan(day[d]):
            day[d] = min(moved_end(c, level, day[d], offset), MOST_OF_A_SLOT)


@inlined
def multiply(c: NDArray[np.float64], day: NDArray[np.float32], times: float) -> None:
    """Let a row on the plain scale foresee ``times`` as much of everything."""
    for i in range(TRACKERS):
        c[LEVEL + i] *= times
        c[ERROR + i] *= times * times
    for i in range(TRACKERS // RATES):
        c[CLASS_ERROR + i] *= times * times
        c[SLOPE + i] *= times
    for i in range(WEEKDAYS):
        c[DAY_LEVEL + i] *= times
        c[WEEKDAY + i] *= times
    for i in (FIRST, DAY_SUM, WEEK_UNIT, SPREAD_UP, SPREAD_LOW, REF_SPREAD, LATELY, PLAIN_SIZE):
        c[i] *= times
    for d in range(len(day)):
        day[d] = min(day[d] * times, MOST_OF_A_SLOT)
