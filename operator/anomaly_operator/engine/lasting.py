"""Sustained evidence: how far off even the weakest of the last few buckets is.

A burst lasts a bucket or three; trouble lasts. Of the last 2 and 4 distances from the slow level
the least is taken, of the last 8 the second least, on either side. A lone spike leaves it where it
was, a deviation that stays lifts it by all of its size: what makes a row's single buckets
heavy-tailed does not make this so, and a factor of two that holds for an hour is told from a
hundred bursts of ten.

Every window has a tail of the row's own on each side (``extremes.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.extremes import (
    EXPONENTIAL,
    LIGHTEST_SHAPE,
    learn_tail_of,
    tail_surprise,
)
from anomaly_operator.engine.layout import (
    BOOST,
    COUNT,
    LASTING_EDGE,
    LASTING_EXCESS,
    LASTING_N,
    LASTING_SQUARE,
    NEWEST,
    PENDING,
    PENDING_N,
    RECALLED,
    WINDOWS,
)

WINDOW = np.array([2, 4, 8])  # buckets; of the longest, the weakest one is forgiven
NEWEST_COUNTS = 2.0  # times that the bucket at hand may be weaker than the window it ends
FIRST_EDGE = np.array([1.7, 1.5, 1.3])  # of white noise, about
FIRST_EXCESS = 0.35
LEAST_EDGE = 0.3
LEAST_EXCESS = 0.1
SPEAKS = 16.0  # buckets since the first: before, nothing can have lasted
EVENT = 2.0  # buckets an event counts as at most


@inlined
def start_lasting(c: NDArray[np.float64]) -> None:
    """First value of a row."""
    for i in range(2 * WINDOWS):
        c[LASTING_EDGE + i] = FIRST_EDGE[i % WINDOWS]
        c[LASTING_EXCESS + i] = FIRST_EXCESS
        c[LASTING_SQUARE + i] = EXPONENTIAL
    forget_recent(c)


@inlined
def forget_recent(c: NDArray[np.float64]) -> None:
    """Begin anew: the level was opened or accepted, what was before says nothing."""
    for i in range(RECALLED):
        c[NEWEST + i] = 0.0


@inlined
def recall(c: NDArray[np.float64], off: float) -> None:
    """Push a distance from the slow level, in spreads."""
    for i in range(RECALLED - 1, 0, -1):
        c[NEWEST + i] = c[NEWEST + i - 1]
    c[NEWEST] = off


@inlined
def weakest(c: NDArray[np.float64], off: float, out: NDArray[np.float64]) -> None:
    """Fill ``out`` (2 * WINDOWS,): least distance above over each window, then below.

    ``off`` is the bucket at hand, which the longest window forgives least of all: what is back
    where it belongs has not lasted. A window with both signs in it is 0.
    """
    low = off
    high = off
    second_low = np.inf
    second_high = -np.inf
    w = 0
    for i in range(1, RECALLED):
        past = c[NEWEST + i - 1]
        second_low = min(second_low, max(low, past))
        second_high = max(second_high, min(high, past))
        low = min(low, past)
        high = max(high, past)
        if i + 1 == WINDOW[w]:
            longest = w == WINDOWS - 1
            out[w] = max(min(second_low, NEWEST_COUNTS * off) if longest else low, 0.0)
            over = max(second_high, NEWEST_COUNTS * off) if longest else high
            out[WINDOWS + w] = max(-over, 0.0)
            w += 1


@inlined
def lasting_surprise(
    c: NDArray[np.float64], sizes: NDArray[np.float64], first: int, settled: float
) -> float:
    """-ln p of the most surprising window of a side; its windows begin at ``first``.

    A row whose level was opened anew (new pod, restart) is silent for ``settled`` buckets: it warms
    up, and where it will stay is not known before.
    """
    if c[COUNT] < SPEAKS or (c[BOOST] < c[COUNT] and c[BOOST] < settled):
        return 0.0
    worst = 0.0
    for i in range(first, first + WINDOWS):
        surprise = tail_surprise(
            c, sizes[i], LASTING_EDGE + i, LASTING_EXCESS + i, LASTING_SQUARE + i, LIGHTEST_SHAPE
        )
        worst = max(worst, surprise)
    return worst


@inlined
def learn_lasting(
    c: NDArray[np.float64],
    sizes: NDArray[np.float64],
    weight: float,
    share: float,
    odd_up: bool,
    odd_low: bool,
) -> None:
    """Move every window's tail."""
    c[LASTING_N] += weight
    for i in range(2 * WINDOWS):
        learn_tail_of(
            c,
            sizes[i],
            LASTING_EDGE + i,
            LASTING_EXCESS + i,
            LASTING_SQUARE + i,
            PENDING + 2 + i,
            PENDING_N + 2 + i,
            c[LASTING_N],
            weight,
            share,
            odd_up if i < WINDOWS else odd_low,
            EVENT,
            LEAST_EDGE,
            LEAST_EXCESS,
        )
