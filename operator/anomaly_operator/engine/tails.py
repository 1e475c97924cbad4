"""From a standardised residual to a normal score, and from that to a log probability.

A residual is measured in spreads of its own side (two-piece scale, so skew is allowed) and sent
through a Student-t whose degrees of freedom each side learns from how far its own exceedances
reach. The result is a *normal score*: the z a normal would have at the same probability. Working in
normal scores keeps tails of any length comparable and never underflows.

References
----------
.. [1] D. L. Wallace, "Bounds on normal approximations to Student's and the chi-square
   distributions", Ann. Math. Statist. 30 (1959): the t-to-normal transformation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    BAND_TAIL_N,
    BANDS,
    LONG_EVENTS,
    LONG_SIZE,
    SHORT_EVENTS,
    SHORT_SIZE,
    TAIL_LOW_N,
    TAIL_UP_N,
)

LN2 = math.log(2.0)
HALF_LN_2PI = 0.5 * math.log(2.0 * math.pi)
LEAST_CLAIM = 4.0  # -ln p below which no bucket is loud anyway
LIGHTEST = 1e-3  # 1/degrees of freedom treated as normal
HEAVIEST = 0.5  # two degrees of freedom: variance no longer exists
EXCEED = 1.6448536269514722  # normal score one residual in twenty of a side exceeds
EXCEED_SURPRISE = 2.302585092994046  # -ln(2 sf(EXCEED)): one in ten given the side
EXCESS_CAP = 3.0  # a single value, however large, moves the tail by this much
ODD = 5.0  # excess from which a value is rather an anomaly than the tail
EXCESS_MEAN = 1.0 - math.exp(-EXCESS_CAP)  # of a capped standard exponential
KEPT = 0.2  # of what is known of exceedances, when a row's model has grown ...
EVENTS_KEPT = 0.5  # ... and of its events: a job at no fixed minute stays one


@inlined
def log_sf(z: float) -> float:
    """Natural log of P(Z > z) for a standard normal; exact to 1e-9 relative from -8 to 1e150."""
    if z < 5.0:
        return math.log(0.5 * math.erfc(z * 0.7071067811865476))
    inverse = 1.0 / (z * z)  # asymptotic series, error below the last term
    series = 1.0 - inverse * (
        1.0 - 3.0 * inverse * (1.0 - 5.0 * inverse * (1.0 - 7.0 * inverse * (1.0 - 9.0 * inverse)))
    )
    return -0.5 * z * z - math.log(z) - HALF_LN_2PI + math.log(series)


@inlined
def claimed_score(surprise: float) -> float:
    """The z with -ln P(Z > z) = ``surprise``, to 1 % from where that is 4; 0 below."""
    if surprise < LEAST_CLAIM:
        return 0.0
    z = math.sqrt(2.0 * surprise)
    for _ in range(2):  # of the leading terms of log_sf
        z = math.sqrt(2.0 * (surprise - HALF_LN_2PI - math.log(z)))
    return z


@inlined
def normal_score(t: float, inverse_nu: float) -> float:
    """The z at which a normal is as improbable as ``t`` under Student's t (Wallace's formula)."""
    if inverse_nu < LIGHTEST:
        return t
    nu = 1.0 / inverse_nu
    shrink = (8.0 * nu + 1.0) / (8.0 * nu + 3.0)
    size = abs(t)
    size = min(size, 1e100)
    z = shrink * math.sqrt(nu * math.log1p(size * size / nu))
    return z if t >= 0.0 else -z


@inlined
def student_score(z: float, inverse_nu: float) -> float:
    """Inverse of ``normal_score``."""
    if inverse_nu < LIGHTEST:
        return z
    nu = 1.0 / inverse_nu
    shrink = (8.0 * nu + 1.0) / (8.0 * nu + 3.0)
    scaled = z / shrink
    t = math.sqrt(nu * math.expm1(min(scaled * scaled / nu, 400.0)))
    return t if z >= 0.0 else -t


@inlined
def learn_tail(c: NDArray[np.float64], tail: int, counter: int, z: float, weight: float) -> None:
    """Nudge one side's 1/degrees of freedom until its exceedances are exponential with mean one.

    Among residuals beyond EXCEED, -ln p is standard exponential when the tail is right. Heavier
    tails give a larger mean. A step per exceedance, smaller as they add up (Robbins-Monro).
    """
    size = abs(z)
    if size <= EXCEED:
        return
    excess = -LN2 - log_sf(size) - EXCEED_SURPRISE
    if excess > ODD:
        weight *= math.exp(0.5 * (ODD - excess))
    excess = min(excess, EXCESS_CAP)
    seen = c[counter] + weight
    c[counter] = seen
    step = max(0.25 / (seen + 8.0), 0.002)
    moved = c[tail] + weight * step * (excess - EXCESS_MEAN)
    c[tail] = min(max(moved, 0.0), HEAVIEST)


@inlined
def forget_tails(c: NDArray[np.float64]) -> None:
    """Keep a fifth of what is known of exceedances, because the model has just become better.

    What surprised before the day or the week was known says little of what will surprise now. Of
    events a half is kept: some are rhythm from now on, others go on to come at any minute.
    """
    for i in (TAIL_UP_N, TAIL_LOW_N):
        c[i] *= KEPT
    for i in (SHORT_EVENTS, SHORT_SIZE, LONG_EVENTS, LONG_SIZE):
        c[i] *= EVENTS_KEPT
    for b in range(BANDS):
        c[BAND_TAIL_N + b] *= KEPT
