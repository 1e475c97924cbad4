"""Twelve trackers of the level, and the forecast they make together.

Per rhythm class (none, daily, daily and weekly) four exponential trackers follow ``value - rhythm``
at rates from "half at once" to "a few days". Each keeps its decayed squared error; the forecast is
their average weighted by ``error ** -8``. So the series itself chooses, all the time, between
"stays where it is", "wanders" and "follows the clock", and a rhythm proves itself by predicting.

Decision: trackers, not a state-space filter. Weighted averages of fixed rates adapt within tens of
buckets, need no inversion, cannot diverge, and are cheap enough for a million updates a second.

References
----------
.. [1] N. Cesa-Bianchi, G. Lugosi, "Prediction, Learning, and Games", 2006, ch. 2 (weighted average
   forecaster).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    BOOST,
    CLASS_ERROR,
    COUNT,
    ERROR,
    LEVEL,
    RATES,
    SLOPE,
)

RATE = np.array([0.5, 0.1, 0.02, 0.003])
CLIP = np.array([3.0, 3.0, 3.0, 2.5])  # spreads a single value may pull a tracker
SLOPE_RATE = 0.002  # of the slow tracker's own step
ERROR_CLIP = 8.0  # spreads; what no tracker foresaw must not decide between them
SLOW = RATES - 1
LAST_THIRD = 3.0  # gain over age: of an opened level the newest third of its life has the say
SETTLING = 8.0  # buckets a new pod's level is followed closely before it is averaged like that


@inlined
def forecast(
    c: NDArray[np.float64],
    bases: NDArray[np.float64],
    lowest: int,
    usable: int,
    out: NDArray[np.float64],
) -> None:
    """Average the trackers of classes ``lowest`` to ``usable`` - 1 with their rhythms ``bases``.

    ``out`` gets: the forecast, the forecast of the slow trackers alone, and the share of weight on
    each class.
    """
    best = np.inf
    for k in range(lowest * RATES, usable * RATES):
        best = min(best, c[ERROR + k])
    best = max(best, 1e-300)
    total = 0.0
    mean = 0.0
    slow_total = 0.0
    slow_mean = 0.0
    for r in range(lowest):
        out[2 + r] = 0.0
    best_class = c[CLASS_ERROR + lowest]
    for r in range(lowest + 1, usable):
        best_class = min(best_class, c[CLASS_ERROR + r])
    best_class = max(best_class, 1e-300)
    for r in range(lowest, usable):
        share = 0.0
        trust = best_class / max(c[CLASS_ERROR + r], best_class)
        trust *= trust
        trust *= trust
        for k in range(RATES):
            ratio = best / max(c[ERROR + r * RATES + k], best)
            ratio *= ratio
            ratio *= ratio
            ratio *= ratio
            ratio = max(ratio * trust, 1e-30)
            at = bases[r] + c[LEVEL + r * RATES + k]
            if k == SLOW:
                at += c[SLOPE + r]
                slow_total += max(trust * trust, 1e-30)
                slow_mean += max(trust * trust, 1e-30) * at
            share += ratio
            mean += ratio * at
        total += share
        out[2 + r] = share
    for r in range(usable):
        out[2 + r] /= total
    out[0] = mean / total
    out[1] = slow_mean / slow_total


@inlined
def learn_levels(
    c: NDArray[np.float64],
    y: float,
    bases: NDArray[np.float64],
    usable: int,
    sigma: float,
    weight: float,
    error_rate: float,
    class_rate: float,
) -> None:
    """Move every tracker towards ``y``, by less the farther it lies out, and keep its error.

    While the level is open (cold start, new pod) the gain is that of a plain average since then.
    """
    n = c[COUNT]
    age = c[BOOST]
    opened = 1.0 / (n + 1.0)
    if age < n:  # opened anew: where it goes, then what the last third of its new life says
        opened = 0.5 if 0.0 < age < SETTLING else LAST_THIRD / (max(age, 0.0) + LAST_THIRD)
    settled = age > SETTLING
    rate_e = max(error_rate, 1.0 / (n + 1.0))
    error_limit = ERROR_CLIP * sigma
    class_rate = max(class_rate, 1.0 / (n + 1.0))
    for r in range(usable):
        for k in range(RATES):
            i = r * RATES + k
            e = y - bases[r] - c[LEVEL + i]
            if k == SLOW:
                e -= c[SLOPE + r]
            size = min(abs(e), error_limit)
            c[ERROR + i] += weight * rate_e * (size * size - c[ERROR + i])
            gain = max(RATE[k], opened)
            if k == SLOW:
                c[CLASS_ERROR + r] += weight * class_rate * (size * size - c[CLASS_ERROR + r])
            if settled:
                limit = CLIP[k] * sigma
                e = min(max(e, -limit), limit)
            step = weight * gain * e
            if k == SLOW:
                c[LEVEL + i] += c[SLOPE + r] * weight + step
                if n > 100.0 and settled:
                    c[SLOPE + r] += SLOPE_RATE * weight * RATE[k] * e
            else:
                c[LEVEL + i] += step
