"""Where a series has been all its life: one of the views that order what nobody is told of.

A level that has changed is accepted within hours, and what happens on it is judged from there. That
is what alarms want. Yet of two buckets that are told to nobody, the one in a place where the series
has hardly ever been is the odder one. So each row keeps one more, very slow level, of its values
without their rhythm: nearly a median, as a value pulls it by one mean distance at most, over
thousands of buckets. How far off it a value lies is a view of its own. It is no alarm's: what it
claims is gathered (``gathering.py``) and told below the mark from which records are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
from anomaly_operator.engine.scales import from_scale
from anomaly_operator.engine.single import NOWHERE, bent_size

MEMORY = 8000.0  # buckets, as of events
FREE = 8.0  # buckets in which a value pulls the place without bound
SIZE_CLIP = 3.0  # mean distances one value may count as
LEAST_SIZE = 0.1  # of the row's spread: a mean distance that is less is counted as this
LEAST_SHARE = 1e-4  # of the place: less is no distance
SPEAKS = 16.0  # buckets before which there is no place


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
def learn_place(
    c: NDArray[np.float64],
    value: float,
    told: float,
    weight: float,
) -> None:
    """Move the place and the mean distance from it."""
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
