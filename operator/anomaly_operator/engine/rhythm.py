"""The shape of the day and of the week, learnt slot by slot around the slow level.

``daily[slot]`` is what the clock adds to the level; ``weekly[slot]`` is what the day of the week
adds to that. A slot's first visit takes the value as it is, later visits move it by a shrinking
step, never less than GAIN_FLOOR, so a rhythm may drift. ``daily_spread[slot]`` is how much wider or
narrower than usual the residuals of that time of day are; a slot that keeps surprising gets a wide
spread, and with it the right to move faster: so a nightly job becomes rhythm in a few days.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    ERROR,
    FIRST,
    LEVEL,
    RATES,
    UNVISITED,
    WEEK_UNIT,
)
from anomaly_operator.engine.levels import SLOW
from anomaly_operator.engine.spreads import MEAN_TO_DEVIATION

GAIN_FLOOR = 0.1  # a slot remembers about ten days
WEEKLY_GAIN_FLOOR = 0.25  # about four weeks
SPREAD_GAIN = 0.1  # least share of the newest visit in a slot's spread
SPREAD_CLIP = 6.0  # one visit multiplies a slot's spread by at most 1 + SPREAD_GAIN * this
MOVE_CLIP = 5.0  # slot spreads one visit may move a slot by, before its gain
NARROWEST = 0.4  # a quiet hour is trusted to be this much quieter, no more (Elastic's limit too)
WIDEST = 50.0
AROUND = 4  # slots before and after that make a neighbourhood, the nearest counting most
SPREAD_PROOF = 0.5  # squared distance from it, in shares of both, at which a slot's own counts half
UNLEARN = 0.6  # share of a weekly departure that goes when the next week does not show it
WEEK_STEPS = 16.0  # units of the weekly table in a spread
WEEK_DOUBT = 0.3  # a weekly job's size is known no better than this share of it
PROOF = 4.0  # variances a slot must stand out by to count half
PRIOR_VISITS = 2.0  # visits' worth of "like any other slot"
EARLY_DAYS = 4.0  # in which what one day said is soon unsaid by the next ...
EARLY_GAIN = 0.35  # ... by at least this share of the difference
EARLY_REACH = 20.0  # ... and a visit may move a slot by as many times what it may later
LOUD_GAIN = 0.3  # of the usual step, for what an anomaly teaches the day's shape
JITTER = 0.2  # of the step to the neighbouring slots: clocks of jobs are not exact


@inlined
def slot_spread(daily_spread: NDArray[np.float32], slot: int, visits: float) -> float:
    """Spread of this time of day over the row's own, shrunk to one while visits are few.

    What a slot has learnt is by chance alone a fifth off, its neighbourhood hardly. So its own
    word counts by how far it stands out of that (as in ``proven``): a nightly job's in full, a
    ripple's not, which would make one hour jumpy and the next one deaf.
    """
    slots = len(daily_spread)
    own = 1.0 * daily_spread[slot]
    around = (AROUND + 1.0) * own
    inside = AROUND <= slot < slots - AROUND
    for k in range(1, AROUND + 1):
        before = slot - k if inside else (slot - k) % slots
        after = slot + k if inside else (slot + k) % slots
        around += (AROUND + 1.0 - k) * (daily_spread[before] + daily_spread[after])
    around /= (AROUND + 1.0) * (AROUND + 1.0)
    apart = 2.0 * (own - around) / (own + around)
    square = apart * apart
    own = around + (own - around) * square / (square + SPREAD_PROOF)
    learnt = (PRIOR_VISITS + visits * own) / (PRIOR_VISITS + visits)
    return float(min(max(learnt, NARROWEST), WIDEST))


@inlined
def proven(value: float, noise: float, visits: float) -> float:
    """Wiener's shrinkage: what a slot says, by how far it stands out of its own uncertainty.

    A slot learnt from ``visits`` values of spread ``noise`` is off by about noise/sqrt(visits) by
    chance alone. A weekly job seen once counts almost in full, a ripple hardly.
    """
    told = 1.0 * value  # a slot is a float32, and the cube of seven terabytes is none
    signal = told * told
    return told * signal / (signal + PROOF * noise * noise / max(visits, 1.0) + 1e-300)


@inlined
def slot_edge(daily: NDArray[np.float32], slot: int) -> float:
    """Larger of the steps to the neighbouring slots; 0 where they are unknown."""
    slots = len(daily)
    before = daily[slot - 1 if slot > 0 else slots - 1]
    after = daily[slot + 1 if slot < slots - 1 else 0]
    edge = 0.0
    if not math.isnan(before):
        edge = abs(daily[slot] - before)
    if not math.isnan(after):
        edge = max(edge, abs(daily[slot] - after))
    return edge


@inlined
def learn_slot(
    table: NDArray[np.float32], slot: int, target: float, gain: float, reach: float
) -> None:
    """Move one slot towards ``target`` by ``gain`` of at most ``reach``."""
    if math.isnan(table[slot]):
        table[slot] = target
    else:
        step = min(max(target - table[slot], -reach), reach)
        table[slot] += gain * step


@inlined
def week_value(week: NDArray[np.int16], slot: int, unit: float) -> float:
    """What the week adds at this slot; 0 where it was never visited."""
    held = week[slot]
    return 0.0 if held == UNVISITED else held * unit


@inlined
def week_edge(week: NDArray[np.int16], slot: int, unit: float) -> float:
    """Largest step from this slot to a neighbour."""
    slots = len(week)
    here = week_value(week, slot, unit)
    before = week_value(week, slot - 1 if slot > 0 else slots - 1, unit)
    after = week_value(week, slot + 1 if slot < slots - 1 else 0, unit)
    return max(abs(here - before), abs(here - after))


@inlined
def learn_week(
    week: NDArray[np.int16],
    slot: int,
    target: float,
    gain: float,
    reach: float,
    unit: float,
    whole: bool,
) -> None:
    """Move one slot of the week towards ``target``; counted in whole units, so it fits 16 bits.

    A first visit says where the slot is, but only where the bucket counts as a ``whole`` one.
    """
    held = week_value(week, slot, unit)
    if week[slot] == UNVISITED:
        if not whole:
            return
        moved = target
    else:
        step = target - held
        if abs(target) < 0.5 * abs(held):  # what was seen once and is not there now goes quickly
            gain = max(gain, UNLEARN)
        else:
            step = min(max(step, -reach), reach)
        moved = held + gain * step
    week[slot] = int(min(max(math.floor(moved / unit + 0.5), -32000.0), 32000.0))


@inlined
def learn_slot_spread(
    daily_spread: NDArray[np.float32], slot: int, ratio: float, gain: float
) -> None:
    """Follow the size of this slot's residuals; ``ratio`` is |residual| over its mean."""
    held = daily_spread[slot]
    clipped = min(ratio, SPREAD_CLIP * max(held, 1.0))
    daily_spread[slot] = min(max(held + gain * (clipped - held), 0.05), WIDEST)


@inlined
def learn_clock(
    c: NDArray[np.float64],
    day: NDArray[np.float32],
    day_spread: NDArray[np.float32],
    week: NDArray[np.int16],
    d: int,
    w: int,
    usable: int,
    beyond_day: float,
    weekday: float,
    y: float,
    e: float,
    spread: float,
    factor: float,
    visits: float,
    loud: bool,
    per_slot: float,
    per_week_slot: float,
    weight: float,
    week_share: float,
) -> None:
    """Teach the day's and the week's tables one bucket.

    ``d`` and ``w`` are its slots, ``usable`` the classes in use, ``beyond_day`` and ``weekday``
    what the week and the day of the week add now, ``e`` the forecast's error, ``factor`` the time
    of day's share in the spread, ``visits`` the days seen and ``week_share`` the part of the bucket
    that the week is taught.
    """
    anchor = c[FIRST] if c[ERROR + RATES] == 0.0 else c[LEVEL + RATES + SLOW]
    if usable == 3:
        anchor = c[LEVEL + 2 * RATES + SLOW] + beyond_day
    wide = EARLY_REACH if visits < EARLY_DAYS else 1.0
    reach = wide * MOVE_CLIP * spread * factor
    gain = weight * max(1.0 / (visits + 1.0), GAIN_FLOOR) / per_slot
    if visits < EARLY_DAYS:
        gain = max(gain, weight * EARLY_GAIN / per_slot)
    if loud and visits >= 7.0:
        gain *= LOUD_GAIN
    if usable > 1:
        ratio = abs(e) / (spread / MEAN_TO_DEVIATION)
        learn_slot_spread(
            day_spread, d, ratio, weight * max(1.0 / (visits + 2.0), SPREAD_GAIN) / per_slot
        )
        if len(week) > 0:
            base = c[FIRST]
            if usable == 3:
                base = c[LEVEL + 2 * RATES + SLOW] + weekday
            weeks = visits / 7.0
            week_gain = weight * week_share * max(1.0 / (weeks + 1.0), WEEKLY_GAIN_FLOOR)
            if c[WEEK_UNIT] == 0.0:
                c[WEEK_UNIT] = spread / WEEK_STEPS
            learn_week(
                week,
                w,
                y - base - day[d],
                week_gain / per_week_slot,
                4.0 * reach if weeks < 2.0 else reach,
                c[WEEK_UNIT],
                week_share == 1.0,
            )
    learn_slot(day, d, y - anchor, gain, reach)
