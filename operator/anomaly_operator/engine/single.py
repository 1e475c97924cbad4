"""How rare one bucket's distance from what was foreseen is, by the row's own past.

Distances t are in spreads of their side and time of day. They enter the row's tail bent,
s = BEND ln(1 + |t| / BEND): nearly as they are where most of them lie, as logarithms far out, where
tails are power laws. So the same generalised Pareto law (``extremes.py``) fits a steady service and
one that bursts to forty times its traffic.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.extremes import (
    EXPONENTIAL,
    learn_tail_of,
    lightest_shape,
    tail_surprise,
)
from anomaly_operator.engine.layout import (
    LASTING_N,
    PENDING,
    PENDING_N,
    SINGLE_EDGE,
    SINGLE_EXCESS,
    SINGLE_SQUARE,
    TAIL_LOW,
    TAIL_UP,
)

BEND = 5.0  # spreads
FIRST_EDGE = 2.05  # a normal's
FIRST_EXCESS = 0.45
LEAST_EDGE = 0.5
LEAST_EXCESS = 0.15
EVENT = 3.0  # buckets an event counts as at most
SAME = 0.5  # of the error: a slow level this near to the forecast is not what it came from
NOWHERE = 1e6


@inlined
def start_single(c: NDArray[np.float64]) -> None:
    """First value of a row."""
    for side in range(2):
        c[SINGLE_EDGE + side] = FIRST_EDGE
        c[SINGLE_EXCESS + side] = FIRST_EXCESS
        c[SINGLE_SQUARE + side] = EXPONENTIAL


@inlined
def bent_size(t: float, near: float) -> float:
    """Bent size of a distance ``t`` in spreads; at most ``near``, which tells the way home."""
    return BEND * math.log1p(min(abs(t), near) / BEND)


@inlined
def single_surprise(c: NDArray[np.float64], size: float, side: int) -> float:
    """-ln p of a bent size on a side, 0 above or 1 below."""
    return tail_surprise(
        c,
        size,
        SINGLE_EDGE + side,
        SINGLE_EXCESS + side,
        SINGLE_SQUARE + side,
        lightest_shape(c[TAIL_UP + side * (TAIL_LOW - TAIL_UP)]),
    )


@inlined
def home_distance(ref: float, moved: float, e: float) -> float:
    """At most how far off a value ``ref`` spreads from the slow level can be called.

    Back where the series was before, the way home is no anomaly of its own. That needs a forecast
    that has left: ``moved`` is its distance from the slow level, ``e`` that of the value from it.
    """
    return NOWHERE if abs(moved) < SAME * abs(e) else max(abs(ref), ref * ref)


@inlined
def learn_single(
    c: NDArray[np.float64], size: float, side: int, weight: float, share: float, odd: bool
) -> None:
    """Move both sides' tails; a bucket above is one that did not exceed anything below."""
    for i in range(2):
        learn_tail_of(
            c,
            size if i == side else 0.0,
            SINGLE_EDGE + i,
            SINGLE_EXCESS + i,
            SINGLE_SQUARE + i,
            PENDING + i,
            PENDING_N + i,
            c[LASTING_N],
            weight,
            share,
            odd,
            EVENT,
            LEAST_EDGE,
            LEAST_EXCESS,
        )
