"""Sustained evidence: how far off even the weakest of the last few buckets is.

A burst lasts a bucket or three; trouble lasts. Of the last 2, 4 and 8 distances from the slow level
the least is taken, on either side. A lone spike leaves it where it was, a deviation that stays
lifts it by all of its size: what makes a row's single buckets heavy-tailed does not make this so,
and a factor of two that holds for an hour is told from a hundred bursts of ten.

Every window has a tail of the row's own on each side. Beyond the edge that SHARE of the buckets
exceed, excesses follow a generalised Pareto law [1]_: its scale and shape come from the running
mean m and mean square q of the excesses (method of moments),

    shape = (1 - m^2 / (q - m^2)) / 2,    -ln p = -ln SHARE + ln(1 + shape x / (1 - shape)) / shape

with x the excess over m. Priors hold both near an exponential tail until some tens were seen.

References
----------
.. [1] J. R. M. Hosking, J. R. Wallis, "Parameter and quantile estimation for the generalized
   Pareto distribution", Technometrics 29 (1987).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    BOOST,
    COUNT,
    LASTING_EDGE,
    LASTING_EXCESS,
    LASTING_N,
    LASTING_SQUARE,
    NEWEST,
    RECALLED,
    WINDOWS,
)

WINDOW = np.array([2, 4, 8])  # buckets
SHARE = 0.02  # of buckets beyond a window's edge
EDGE_SURPRISE = -math.log(SHARE)
FIRST_EDGE = np.array([1.7, 1.5, 1.3])  # of white noise, about
FIRST_EXCESS = 0.35
LEAST_EXCESS = 0.1
EXCESS_CLIP = 8.0  # mean excesses one bucket may count as
PRIOR_EXCESSES = 20.0
MEMORY = 4000.0  # buckets the excesses are averaged over
EDGE_STEP = 0.08  # of the mean excess, for an edge that is long learnt
LEAST_SHAPE = 0.02  # below, exponential
MOST_SHAPE = 0.45
SPEAKS = 16.0  # buckets since the level was opened: before, nothing can have lasted


@inlined
def start_lasting(c: NDArray[np.float64]) -> None:
    """First value of a row."""
    for i in range(2 * WINDOWS):
        c[LASTING_EDGE + i] = FIRST_EDGE[i % WINDOWS]
        c[LASTING_EXCESS + i] = FIRST_EXCESS
        c[LASTING_SQUARE + i] = 2.0  # of an exponential
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

    ``off`` is the bucket at hand; a window with both signs in it is 0.
    """
    low = off
    high = off
    w = 0
    for i in range(1, RECALLED):
        low = min(low, c[NEWEST + i - 1])
        high = max(high, c[NEWEST + i - 1])
        if i + 1 == WINDOW[w]:
            out[w] = max(low, 0.0)
            out[WINDOWS + w] = max(-high, 0.0)
            w += 1


@inlined
def lasting_surprise(c: NDArray[np.float64], sizes: NDArray[np.float64], first: int) -> float:
    """-ln p of the most surprising window of a side; its windows begin at ``first``."""
    if min(c[COUNT], c[BOOST]) < SPEAKS:
        return 0.0
    worst = 0.0
    for i in range(first, first + WINDOWS):
        edge = c[LASTING_EDGE + i]
        if sizes[i] <= edge:
            worst = max(worst, EDGE_SURPRISE * sizes[i] / edge)
            continue
        square = c[LASTING_SQUARE + i]
        shape = min(0.5 * (1.0 - 1.0 / max(square - 1.0, 0.1)), MOST_SHAPE)
        excess = (sizes[i] - edge) / c[LASTING_EXCESS + i]
        if shape > LEAST_SHAPE:
            excess = math.log1p(shape * excess / (1.0 - shape)) / shape
        worst = max(worst, EDGE_SURPRISE + excess)
    return worst


@inlined
def learn_lasting(c: NDArray[np.float64], sizes: NDArray[np.float64], weight: float) -> None:
    """Move every window's edge, mean excess and mean square."""
    n = c[LASTING_N] + weight
    c[LASTING_N] = n
    rate = weight / (PRIOR_EXCESSES + SHARE * min(n, MEMORY))
    reach = weight * max(min(10.0 / (n + 1.0), 1.0), EDGE_STEP)
    for i in range(2 * WINDOWS):
        mean = c[LASTING_EXCESS + i]
        edge = c[LASTING_EDGE + i]
        over = sizes[i] > edge
        if over:
            excess = min((sizes[i] - edge) / mean, EXCESS_CLIP)
            square = c[LASTING_SQUARE + i]
            c[LASTING_SQUARE + i] = square + rate * (excess * excess - square)
            c[LASTING_EXCESS + i] = max(mean + rate * (excess - 1.0) * mean, LEAST_EXCESS)
        moved = edge + reach * mean * ((1.0 if over else 0.0) - SHARE)
        c[LASTING_EDGE + i] = max(moved, 0.3)
