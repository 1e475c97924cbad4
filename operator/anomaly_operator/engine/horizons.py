"""Slow deviations no single bucket shows: running means of the residual over four horizons.

The residual is measured from the slow level, in its own spread. Each band is an exponential mean
over about 4, 16, 64 or 192 buckets, and learns its own spread: autocorrelated residuals make a band
wide, and only what is wide *for this series* counts. A leak shows in the long bands long before any
one bucket is odd.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import BAND, BAND_SPREAD, BANDS, COUNT
from anomaly_operator.engine.tails import normal_score

HORIZON = np.array([4.0, 16.0, 64.0, 192.0])
CLIP = 6.0  # spreads: one wild bucket must not look like a long deviation
FORGET = 16.0  # horizons a band's spread remembers


@inlined
def band_spread_prior(band: int) -> float:
    """Standard deviation of an exponential mean of independent standard residuals, doubled."""
    rate = 1.0 / HORIZON[band]
    return 2.0 * math.sqrt(rate / (2.0 - rate))


@inlined
def judge_bands(
    c: NDArray[np.float64], residual: float, side: int, scores: NDArray[np.float64]
) -> float:
    """Largest normal score of any band on ``side`` (1 high, -1 low, 0 either), this value included.

    ``scores`` gets each band's signed score. A band speaks once it has lived through its horizon.
    """
    clipped = min(max(residual, -CLIP), CLIP)
    n = c[COUNT]
    worst = -8.0
    for b in range(BANDS):
        horizon = HORIZON[b]
        if n < 2.0 * horizon:
            scores[b] = 0.0
            continue
        mean = c[BAND + b] + (clipped - c[BAND + b]) / horizon
        z = normal_score(mean / c[BAND_SPREAD + b], 1.0 / (3.0 + n / (2.0 * horizon)))
        scores[b] = z
        z = abs(z) if side == 0 else z * side
        worst = max(worst, z)
    return worst


@inlined
def learn_bands(c: NDArray[np.float64], residual: float, weight: float) -> None:
    """Move the bands, then their spreads; a band far out teaches its spread little."""
    clipped = min(max(residual, -CLIP), CLIP)
    n = c[COUNT]
    for b in range(BANDS):
        horizon = HORIZON[b]
        mean = c[BAND + b] + weight * (clipped - c[BAND + b]) / horizon
        c[BAND + b] = mean
        if n < 2.0:
            continue
        spread = c[BAND_SPREAD + b]
        rate = weight / max(min(n + 4.0 * horizon, FORGET * horizon), 32.0)
        size = min(abs(mean), 3.0 * spread) / spread
        c[BAND_SPREAD + b] = spread * math.sqrt(1.0 + rate * (size * size - 1.0))
