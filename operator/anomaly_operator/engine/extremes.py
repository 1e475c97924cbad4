"""Tails of a row's own: how rare a distance is, by those the row has had before.

Beyond an edge that SHARE of the buckets exceed, excesses follow a generalised Pareto law [1]_, as
extreme-value theory has it for all but exotic tails [2]_. Its scale and shape come from the running
mean m and mean square q (in squares of m) of the excesses, by the method of moments [3]_:

    shape = (1 - 1 / (q - 1)) / 2,    -ln p = -ln SHARE + ln(1 + shape x / (1 - shape)) / shape

with x the excess over m. The edge itself is followed by Robbins and Monro's stochastic
approximation. One event must not teach that its like are ordinary, least of all while it lasts: its
largest excess is kept aside and counts once, when the event is over, and as at most EXCESS_CLIP
means. Before a row has seen a day, what surprises it says little of its tails.

A handful of excesses cannot tell a normal's tail from an exponential one, the row's bulk can: where
it is a normal's (Student's 1/degrees of freedom, ``tails.py``), the shape may be as negative as a
normal's is, and six spreads are as rare as they are there; elsewhere it may not.

A tail is five numbers in ``core``; ``edge``, ``excess``, ``square``, ``pending`` and
``pending_n`` are their columns.

References
----------
.. [1] J. Pickands, "Statistical inference using extreme order statistics", Ann. Statist. 3 (1975).
.. [2] A. Siffer et al., "Anomaly detection in streams with extreme value theory", KDD 2017 (SPOT).
.. [3] J. R. M. Hosking, J. R. Wallis, "Parameter and quantile estimation for the generalized
   Pareto distribution", Technometrics 29 (1987).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined

SHARE = 0.02  # of buckets beyond the edge
EDGE_SURPRISE = -math.log(SHARE)
EXPONENTIAL = 2.0  # mean square of an exponential, in squares of its mean
EXCESS_CLIP = 5.0  # mean excesses one bucket may count as
PRIOR_EXCESSES = 20.0  # of the law assumed at first
MEMORY = 4000.0  # buckets the excesses are averaged over
EDGE_STEP = 0.08  # of the mean excess, for an edge that is long learnt
LIGHTEST_SHAPE = -0.05  # a little lighter than exponential, whatever the bulk is
NORMAL_SHAPE = (
    -0.15
)  # a normal's beyond the edge, of bent sizes: the lightest where the bulk is one
NORMAL_UNTIL = 0.04  # 1/degrees of freedom from which it is none
HEAVIEST_SHAPE = 0.45
STRAIGHT_FROM = 4.0  # mean excesses from which a light tail goes on as an exponential
NEARLY_EXPONENTIAL = 0.01
YOUNG_SHARE = np.array([0.1, 0.5, 1.0, 1.0])  # of what an excess teaches before each of GROWN_DAYS


@inlined
def lightest_shape(tail: float) -> float:
    """Least shape of a row whose bulk is Student's, ``tail`` being 1/degrees of freedom."""
    normal = max(1.0 - tail / NORMAL_UNTIL, 0.0)
    return LIGHTEST_SHAPE + (NORMAL_SHAPE - LIGHTEST_SHAPE) * normal


@inlined
def excess_surprise(excess: float, square: float, lightest: float) -> float:
    """-ln P(excess this large | beyond the edge), in means; the shape is ``lightest`` or more."""
    shape = 0.5 * (1.0 - 1.0 / max(square - 1.0, 0.1))
    shape = min(max(shape, lightest), HEAVIEST_SHAPE)
    if abs(shape) < NEARLY_EXPONENTIAL:
        return excess
    if shape > 0.0 or excess < STRAIGHT_FROM:
        return math.log1p(shape * excess / (1.0 - shape)) / shape
    here = math.log1p(shape * STRAIGHT_FROM / (1.0 - shape)) / shape
    return here + (excess - STRAIGHT_FROM) / (1.0 - shape + shape * STRAIGHT_FROM)


@inlined
def tail_surprise(
    c: NDArray[np.float64], size: float, edge: int, excess: int, square: int, lightest: float
) -> float:
    """-ln p of a distance ``size`` >= 0; below the edge proportional to it.

    ``lightest`` is the least shape the row's bulk allows.
    """
    if size <= c[edge]:
        return float(EDGE_SURPRISE * size / c[edge])
    return float(EDGE_SURPRISE + excess_surprise((size - c[edge]) / c[excess], c[square], lightest))


@inlined
def learn_tail_of(
    c: NDArray[np.float64],
    size: float,
    edge: int,
    excess: int,
    square: int,
    pending: int,
    pending_n: int,
    n: float,
    weight: float,
    share: float,
    odd: bool,
    most: float,
    least_edge: float,
    least_excess: float,
) -> None:
    """Move a tail's edge, mean excess and mean square by one bucket; ``n`` were seen before.

    ``share`` of ``weight`` goes to the excess. An ``odd`` bucket belongs to an event, which counts
    as its largest, and as many as it had but not more than ``most``, once it is over.
    """
    mean = c[excess]
    over = size > c[edge]
    taught = min((size - c[edge]) / mean, EXCESS_CLIP) if over else 0.0
    rate = weight * share / (PRIOR_EXCESSES + SHARE * min(n, MEMORY))
    if odd:
        if over:
            c[pending] = max(c[pending], taught)
            c[pending_n] = min(c[pending_n] + 1.0, most)
        taught = 0.0
    elif c[pending] > 0.0:
        taught = max(c[pending], taught)
        rate *= c[pending_n]
        c[pending] = 0.0
        c[pending_n] = 0.0
    if taught > 0.0:
        c[square] += rate * (taught * taught - c[square])
        c[excess] = max(mean + rate * (taught - 1.0) * mean, least_excess)
    reach = weight * max(min(10.0 / (n + 1.0), 1.0), EDGE_STEP)
    c[edge] = max(c[edge] + reach * mean * ((1.0 if over else 0.0) - SHARE), least_edge)
