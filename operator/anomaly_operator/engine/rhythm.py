"""The shape of the day and of the week, learnt slot by slot around the slow level.

``daily[slot]`` is what the clock adds to the level; ``weekly[slot]`` is what the day of the week
adds to that. A slot's first visit takes the value as it is, later visits move it by a shrinking
step, never less than GAIN_FLOOR, so a rhythm may drift. ``daily_spread[slot]`` is how much wider or
narrower than usual the residuals of that time of day are; a slot that keeps surprising gets a wide
spread, and with it the right to move faster: that is how a nightly job becomes rhythm in a few days.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined

GAIN_FLOOR = 0.15  # a slot remembers about six days
WEEKLY_GAIN_FLOOR = 0.25  # about four weeks
SPREAD_GAIN = 0.2
SPREAD_CLIP = 6.0  # one visit multiplies a slot's spread by at most 1 + SPREAD_GAIN * this
MOVE_CLIP = 5.0  # slot spreads one visit may move a slot by, before its gain
NARROWEST = 0.4  # a quiet hour is trusted to be this much quieter, no more (Elastic's limit too)
WIDEST = 50.0
PRIOR_VISITS = 2.0  # visits' worth of "like any other slot"
JITTER = 0.2  # of the step to the neighbouring slots: clocks of jobs are not exact


@inlined
def slot_spread(daily_spread: NDArray[np.float32], slot: int, visits: float) -> float:
    """Spread of this time of day over the row's own, shrunk to one while visits are few."""
    learnt = (PRIOR_VISITS + visits * daily_spread[slot]) / (PRIOR_VISITS + visits)
    return min(max(learnt, NARROWEST), WIDEST)


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
def learn_slot_spread(
    daily_spread: NDArray[np.float32], slot: int, ratio: float, gain: float
) -> None:
    """Follow the size of this slot's residuals; ``ratio`` is |residual| over its mean."""
    held = daily_spread[slot]
    clipped = min(ratio, SPREAD_CLIP * max(held, 1.0))
    daily_spread[slot] = min(max(held + gain * (clipped - held), 0.05), WIDEST)
