"""How far values ordinarily lie from what was foreseen, and the bounds that follow.

Three spreads are kept, all robust standard deviations (mean absolute deviation, one value counts as
at most SPREAD_CLIP spreads): of the forecast's error above and below, and of the distance from the
slow level. The 95 % bounds are those spreads times a factor that follows the share of values
outside (Robbins-Monro), so they hold whatever the family.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    BOUND_LOW,
    BOUND_UP,
    COUNT,
    LASTING_N,
    LATELY,
    REF_SPREAD,
    SPREAD_LOW,
    SPREAD_UP,
    WIDEN,
)

FIRST_WEIGHT = 2.0  # buckets' worth of the spread assumed at first
MEMORY = 1000.0  # buckets
LATELY_MEMORY = 200.0
LATELY_LEAST = 0.3  # of the spread that may be dropped at once
SPREAD_CLIP = 3.0  # spreads one value may count as
MEAN_TO_DEVIATION = 1.2533141373155003  # standard deviation over mean |deviation| of a normal
BOUND_STEP = 0.04
BOUND_SHARE = 0.025  # of values beyond each bound
LEAST_BOUND = 0.2  # spreads
RELEARN = 96.0  # buckets
GAP_RATE = 0.3  # spreads a level may have moved unseen, by the logarithm of buckets ...
GAP_MOST = 3.0  # ... at most
GAP_HALF = 3.0  # buckets unseen after which half of the ordinary distance is unknown


@inlined
def learn_spreads(
    c: NDArray[np.float64],
    e: float,
    sigma: float,
    off: float,
    ref_sigma: float,
    factor: float,
    calm: float,
    still: float,
) -> None:
    """Learn from an error ``e`` and a distance ``off`` from the slow level.

    ``sigma`` and ``ref_sigma`` are what was assumed of them, ``factor`` the time of day's share in
    that, ``calm`` the weight of the error and ``still`` that of the distance.
    """
    experience = 0.5 * c[COUNT] + FIRST_WEIGHT
    rate = calm / min(experience, MEMORY)
    size = min(abs(e), SPREAD_CLIP * sigma) / factor * MEAN_TO_DEVIATION
    if e > 0.0:
        c[SPREAD_UP] += 2.0 * rate * (size - c[SPREAD_UP])
        c[SPREAD_LOW] += 0.2 * rate * (min(size, c[SPREAD_LOW]) - c[SPREAD_LOW])
    elif e < 0.0:
        c[SPREAD_LOW] += 2.0 * rate * (size - c[SPREAD_LOW])
        c[SPREAD_UP] += 0.2 * rate * (min(size, c[SPREAD_UP]) - c[SPREAD_UP])
    else:
        c[SPREAD_UP] -= rate * c[SPREAD_UP]
        c[SPREAD_LOW] -= rate * c[SPREAD_LOW]
    size = min(abs(off), SPREAD_CLIP * ref_sigma) / factor * MEAN_TO_DEVIATION
    c[REF_SPREAD] += still / min(experience, MEMORY) * (size - c[REF_SPREAD])
    c[LATELY] += still / min(experience, LATELY_MEMORY) * (size - c[LATELY])


@inlined
def widened(c: NDArray[np.float64], gap: float, sigma: float) -> float:
    """Extra spread of the level, more after ``gap`` buckets without a value.

    Where a series goes unseen is known the less the longer it lasts, and soon no better than how
    far it ordinarily lies from its slow level: a saw-tooth comes back in another phase.
    """
    widen = c[WIDEN]
    if gap <= 0.0:
        return float(widen)
    moved = min(GAP_RATE * math.log1p(gap), GAP_MOST) * sigma
    return float(max(widen, moved, c[REF_SPREAD] * gap / (gap + GAP_HALF)))


@inlined
def edges(
    c: NDArray[np.float64], expected: float, factor: float, doubt: float, floor: float
) -> tuple[float, float]:
    """Lower and upper 95 % bound; ``doubt`` is the variance of what was foreseen itself."""
    low = math.sqrt(c[SPREAD_LOW] * c[SPREAD_LOW] * factor * factor + doubt)
    up = math.sqrt(c[SPREAD_UP] * c[SPREAD_UP] * factor * factor + doubt)
    return expected - c[BOUND_LOW] * low - floor, expected + c[BOUND_UP] * up + floor


@inlined
def learn_bounds(c: NDArray[np.float64], above: bool, below: bool, calm: float) -> None:
    """Move both bounds, by whether the value lay beyond one of them."""
    step = calm * BOUND_STEP * max(1.0, 8.0 / (1.0 + c[COUNT] / 40.0))
    up = c[BOUND_UP] + step * ((1.0 if above else 0.0) - BOUND_SHARE)
    low = c[BOUND_LOW] + step * ((1.0 if below else 0.0) - BOUND_SHARE)
    c[BOUND_UP] = max(up, LEAST_BOUND)
    c[BOUND_LOW] = max(low, LEAST_BOUND)


@inlined
def grow_up(c: NDArray[np.float64]) -> None:
    """Forget how far off values lay before the day, or the week, was known."""
    c[REF_SPREAD] = min(c[REF_SPREAD], max(c[LATELY], LATELY_LEAST * c[REF_SPREAD]))
    c[LASTING_N] = min(c[LASTING_N], RELEARN)
