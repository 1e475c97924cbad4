"""Lasting changes: recognised, reported once, accepted within hours.

Evidence of a level shift grows by one with every bucket that lies well off the slow level on the
same side, and falls by two otherwise. When there is enough of it and the level stands still, the
slow trackers are set to where the level is now. A ramp (a leak) never stands still, so it is not
accepted before it ends.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    BAND,
    BANDS,
    BOOST,
    CLASSES,
    LEVEL,
    RATES,
    RECENT,
    RECENT_SIZE,
    SHIFT,
    SLOPE,
    WIDEN,
)

OFF = 3.0  # spreads off the slow level that count as evidence
STILL = 2.0  # mean spreads of movement about the recent level that count as standing still
RECENT_RATE = 0.2


@inlined
def learn_shift(
    c: NDArray[np.float64], off: float, sigma: float, enough: float, weight: float
) -> int:
    """Collect evidence; 2 when a shift was accepted in this bucket, 1 when it has become likely.

    ``off`` is the distance from the slow level, ``sigma`` the spread at this time of day. Where the
    series is now is followed without clipping, and so is how much it moves about that.
    """
    c[RECENT_SIZE] += RECENT_RATE * weight * (abs(off - c[RECENT]) - c[RECENT_SIZE])
    c[RECENT] += RECENT_RATE * weight * (off - c[RECENT])
    held = c[SHIFT]
    if abs(off) > OFF * sigma:
        if held * off < 0.0:
            held = 0.0
        held += weight if off > 0.0 else -weight
    else:
        held -= math.copysign(min(2.0 * weight, abs(held)), held)
    before = abs(c[SHIFT])
    c[SHIFT] = held
    if abs(held) >= enough and c[RECENT_SIZE] < STILL * sigma:
        accept_level(c)
        return 2
    if before < 0.5 * enough <= abs(held):
        return 1
    return 0


@inlined
def accept_level(c: NDArray[np.float64]) -> None:
    """Take the present level as the level: every tracker moves there at once."""
    for r in range(CLASSES):
        base = LEVEL + r * RATES
        level = c[base + RATES - 1] + c[RECENT]
        for k in range(RATES):
            c[base + k] = level
        c[SLOPE + r] = 0.0
    for b in range(BANDS):
        c[BAND + b] = 0.0
    c[RECENT] = 0.0
    c[SHIFT] = 0.0


def reopen(c: NDArray[np.float64], widen: float) -> None:
    """Let the level be learnt anew within a few buckets: a new pod in an old place, a restart."""
    c[BOOST] = np.minimum(c[BOOST], 0.0)
    c[WIDEN] = np.maximum(c[WIDEN], widen)
    c[SHIFT] = 0.0
