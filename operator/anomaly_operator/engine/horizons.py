"""Slow deviations no single bucket shows: running means of the residual over four horizons.

The residual is the forecast's in the two short bands and from the slow level in the two long ones,
in its own spread. Each band is an exponential mean over 3, 10, 32 or 128 buckets, and learns its
own spread: autocorrelated residuals make a band wide, and only what is wide *for this series*
counts. A leak shows in the long bands long before any one bucket is odd.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    BAND,
    BAND_SPREAD,
    BAND_TAIL,
    BAND_TAIL_N,
    BANDS,
    BOOST,
    COUNT,
    RUN,
)
from anomaly_operator.engine.tails import learn_tail, normal_score

HORIZON = np.array([3.0, 10.0, 32.0, 128.0])
NEWS = 2  # bands of the forecast's own errors; the others follow the distance from the slow level
CLIP = 8.0  # spreads: one wild bucket must not look like a long deviation
LN_TESTS = 1.1  # -ln of how much rarer one band's excess is than the best one's; about three bands
PRESENT = 0.2  # spreads the bucket at hand must itself be off for a band to speak up ...
HALF = 0.5  # ... and share of the band it must be off by
HOME = 2.0  # spreads from the slow level within which a loud run is over
WASH = 0.3  # of a band that is left by every bucket back home
FORGET = 16.0  # horizons a band's spread remembers


@inlined
def band_spread_prior(band: int) -> float:
    """Standard deviation of an exponential mean of independent standard residuals, doubled."""
    rate = 1.0 / HORIZON[band]
    return 2.0 * math.sqrt(rate / (2.0 - rate))


@inlined
def judge_bands(
    c: NDArray[np.float64],
    news: float,
    residual: float,
    side: int,
    scores: NDArray[np.float64],
) -> float:
    """Largest normal score of any band on ``side`` (1 high, -1 low, 0 either), this value included.

    ``scores`` gets each band's signed score. A band speaks once it has lived through its horizon.
    """
    n = min(c[COUNT], c[BOOST])  # a level that was just opened has no slow deviations yet
    worst = -8.0
    for b in range(BANDS):
        horizon = HORIZON[b]
        clipped = min(max(news if b < NEWS else residual, -CLIP), CLIP)
        if n < 2.0 * horizon:
            scores[b] = 0.0
            continue
        mean = c[BAND + b] + (clipped - c[BAND + b]) / horizon
        tail = max(c[BAND_TAIL + b], 1.0 / (3.0 + n / (2.0 * horizon)))
        z = normal_score(mean / c[BAND_SPREAD + b], tail)
        scores[b] = z
        if clipped * math.copysign(1.0, mean) < PRESENT + HALF * abs(mean):
            continue  # the deviation is over, only its mean lingers
        z = abs(z) if side == 0 else z * side
        worst = max(worst, z)
    if worst > 1.5:
        worst -= LN_TESTS / worst  # the best of several bands that move together
    return worst


@inlined
def learn_bands(
    c: NDArray[np.float64],
    news: float,
    residual: float,
    scores: NDArray[np.float64],
    weight: float,
) -> None:
    """Move the bands, then their spreads; a band far out teaches its spread little."""
    n = c[COUNT]
    home = c[RUN] > 0.0 and abs(residual) < HOME
    for b in range(BANDS):
        horizon = HORIZON[b]
        clipped = min(max(news if b < NEWS else residual, -CLIP), CLIP)
        mean = c[BAND + b] + weight * (clipped - c[BAND + b]) / horizon
        if home:
            mean *= WASH
        c[BAND + b] = mean
        if n < 2.0 or mean == 0.0:
            continue  # a constant series says nothing of how far a band may stray
        spread = c[BAND_SPREAD + b]
        rate = weight / max(min(n + 4.0 * horizon, FORGET * horizon), 32.0)
        size = min(abs(mean), 3.0 * spread) / spread
        moved = spread * math.sqrt(1.0 + rate * (size * size - 1.0))
        if n > 8.0 * horizon:
            learn_tail(c, BAND_TAIL + b, BAND_TAIL_N + b, scores[b], weight / horizon)
        c[BAND_SPREAD + b] = max(moved, 0.1 * band_spread_prior(b))
