"""The plain view: how far a value lies from the last ones, whatever the clock says.

Mean and variance are exponential, half of them made of the last 50 buckets, and deliberately not
robust: after an alarm the variance swells, so the same thing is not said again and again. The
distance in standard deviations has, on the logarithmic scale, a tail of the row's own: beyond the
edge that PLAIN_SHARE of the buckets exceed, excesses are exponential (Hill's estimator, with a
prior), so one scale serves a series that jumps every hour and one that never does.

It is evidence beside the models, not instead of them: a value that is odd for its time of day *and*
odd among the last values is odder than one that is only one of both.

References
----------
.. [1] B. M. Hill, "A simple general approach to inference about the tail of a distribution",
   Ann. Statist. 3 (1975).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    BOOST,
    COUNT,
    PLAIN_EDGE,
    PLAIN_EXCESS,
    PLAIN_MEAN,
    PLAIN_N,
    PLAIN_VARIANCE,
)

RATE = 0.0138  # half life of 50 buckets
LEAST = 10.0  # buckets before it speaks
PLAIN_SHARE = 0.02
EDGE_SURPRISE = -math.log(PLAIN_SHARE)
FIRST_EDGE = 1.2  # ln(1 + 2.33): what a normal exceeds in one of fifty buckets
FIRST_EXCESS = 0.3
PRIOR_EXCESSES = 20.0
EXCESS_CLIP = 6.0


@inlined
def start_plain(c: NDArray[np.float64], value: float) -> None:
    """First value of a row."""
    c[PLAIN_MEAN] = value
    c[PLAIN_VARIANCE] = 0.0
    c[PLAIN_EDGE] = FIRST_EDGE
    c[PLAIN_EXCESS] = FIRST_EXCESS
    c[PLAIN_N] = 0.0


@inlined
def plain_distance(c: NDArray[np.float64], value: float, floor: float, side: int) -> float:
    """ln(1 + distance from the mean in standard deviations) in the detector's direction."""
    if min(c[COUNT], c[BOOST]) <= LEAST:
        return 0.0
    off = value - c[PLAIN_MEAN]
    off = abs(off) if side == 0 else off * side
    return math.log1p(max(off - floor, 0.0) / (math.sqrt(c[PLAIN_VARIANCE]) + floor + 1e-12))


@inlined
def plain_surprise(c: NDArray[np.float64], distance: float) -> float:
    """-ln of how often this row is at least that far off."""
    edge = float(c[PLAIN_EDGE])
    if distance <= edge:
        return EDGE_SURPRISE * distance / edge
    return EDGE_SURPRISE + (distance - edge) / float(c[PLAIN_EXCESS])


@inlined
def learn_plain(c: NDArray[np.float64], value: float, distance: float, weight: float) -> None:
    """Move the tail, then mean and variance."""
    n = c[PLAIN_N] + weight
    c[PLAIN_N] = n
    over = distance > c[PLAIN_EDGE]
    if over:
        excess = min(distance - c[PLAIN_EDGE], EXCESS_CLIP * c[PLAIN_EXCESS])
        c[PLAIN_EXCESS] += weight * (excess - c[PLAIN_EXCESS]) / (PRIOR_EXCESSES + PLAIN_SHARE * n)
    step = weight * max(min(5.0 / (n + 1.0), 1.0), 0.02) * c[PLAIN_EXCESS]
    c[PLAIN_EDGE] = max(c[PLAIN_EDGE] + step * ((1.0 if over else 0.0) - PLAIN_SHARE), 0.1)
    share = weight * max(RATE, 1.0 / (min(c[COUNT], c[BOOST]) + 1.0))
    shift = value - c[PLAIN_MEAN]
    c[PLAIN_MEAN] += share * shift
    share = weight * max(RATE, 1.0 / (c[COUNT] + 1.0))
    c[PLAIN_VARIANCE] = (1.0 - share) * (c[PLAIN_VARIANCE] + share * shift * shift)
