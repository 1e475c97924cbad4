"""Where a series has been all its life: what orders the buckets that nobody is told of.

A level that has changed is accepted within hours, and what happens on it is judged from there. That
is what alarms want. Yet of two buckets that are told to nobody, the one in a place where the series
has hardly ever been is the odder one. So each row keeps one more, very slow level, of its values
without their rhythm: nearly a median, as a value pulls it by one mean distance at most, over
thousands of buckets. How far off it a value lies is a view of its own, with a record of its own.

What it claims stays under the mark from which records are kept, and what the other views claim
below that mark counts less in turn: errors there are this view's to make, beyond it theirs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.caution import UNBENT
from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    BOOST,
    COUNT,
    LOGGED,
    OFFSET,
    PLACE,
    PLACE_SIZE,
    SPREAD_LOW,
    SPREAD_UP,
)
from anomaly_operator.engine.records import YOUNG_WEIGHT, count_surprise
from anomaly_operator.engine.scales import from_scale
from anomaly_operator.engine.single import NOWHERE, bent_size

MEMORY = 8000.0  # buckets, as of events
FREE = 8.0  # buckets in which a value pulls the place without bound
SIZE_CLIP = 3.0  # mean distances one value may count as
LEAST_SIZE = 0.1  # of the row's spread: a mean distance that is less is counted as this
LEAST_SHARE = 1e-4  # of the place: less is no distance
SPEAKS = 16.0  # buckets before which there is no place
CHOSEN = 0.2  # -ln p that choosing this view costs; the others' share is what they give up


@inlined
def without_rhythm(
    c: NDArray[np.float64],
    y: float,
    bases: NDArray[np.float64],
    shares: NDArray[np.float64],
    usable: int,
) -> float:
    """What ``y``, of the row's scale, would be were there no clock; in the metric's unit.

    ``bases`` are the classes' rhythms, ``usable`` of them; ``shares`` what ``forecast`` answers.
    """
    for r in range(1, usable):
        y -= shares[2 + r] * bases[r]
    return from_scale(c, y)


@inlined
def size_at(c: NDArray[np.float64], told: float) -> float:
    """Mean distance from the place, no less than a share of the row's spread where it is now."""
    spread = 0.5 * (c[SPREAD_UP] + c[SPREAD_LOW])
    if c[LOGGED] != 0.0:
        spread *= told + c[OFFSET]
    return float(max(c[PLACE_SIZE], LEAST_SIZE * spread))


@inlined
def place_surprise(
    c: NDArray[np.float64], value: float, told: float, side: int, settled: float
) -> float:
    """-ln p of a ``value`` without rhythm, as if distances were nearly exponential.

    ``told`` is what was foreseen. A level that was opened anew has no place for ``settled``
    buckets.
    """
    off = value - c[PLACE]
    if c[COUNT] < SPEAKS or (c[BOOST] < c[COUNT] and c[BOOST] < settled) or off * side < 0.0:
        return 0.0
    size = size_at(c, told) + LEAST_SHARE * abs(c[PLACE]) + 1e-12
    return bent_size(off / size, NOWHERE)


@inlined
def quietly(claim: float, placed: float, quiet: float) -> float:
    """-ln p as told: ``claim`` of the other views, or of the place below ``quiet``.

    Strictly increasing in ``claim``, and in ``placed`` never flat, however far off.
    """
    if claim >= quiet:
        return claim
    free = UNBENT * quiet
    placed -= CHOSEN
    if placed > free:
        placed = quiet - (quiet - free) ** 2 / (quiet - free + placed - free)
    return max(claim * math.sqrt(claim / quiet), placed)


@inlined
def learn_place(
    c: NDArray[np.float64],
    record: NDArray[np.int64],
    value: float,
    told: float,
    surprise: float,
    stage: int,
    weight: float,
) -> None:
    """Count the surprise, then move the place and the mean distance from it.

    Every bucket counts in full in the record, of a run too: it is the share of buckets that the
    claim is about.
    """
    if c[COUNT] > SPEAKS:
        count_surprise(record, surprise, weight * YOUNG_WEIGHT[stage])
    age = min(c[COUNT], c[BOOST])
    off = value - c[PLACE]
    size = size_at(c, told)
    if age > FREE:
        off = min(max(off, -size), size)
    c[PLACE] += weight * max(1.0 / (age + 1.0), 1.0 / MEMORY) * off
    moved = abs(value - c[PLACE])
    if age > FREE:
        moved = min(moved, SIZE_CLIP * size)
    rate = weight * max(1.0 / (c[COUNT] + 1.0), 1.0 / MEMORY)
    c[PLACE_SIZE] += rate * (moved - c[PLACE_SIZE])
