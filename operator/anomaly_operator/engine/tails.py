"""From a standardised residual to a normal score, and from that to a log probability.

A residual is measured in spreads of its own side (two-piece scale, so skew is allowed) and sent
through a Student-t whose degrees of freedom each side learns from how far its own exceedances
reach. The result is a *normal score*: the z a normal would have at the same probability. Working in
normal scores keeps tails of any length comparable and never underflows.

References
----------
.. [1] D. L. Wallace, "Bounds on normal approximations to Student's and the chi-square
   distributions", Ann. Math. Statist. 30 (1959): the t-to-normal transformation.
.. [2] A. Siffer et al., "Anomaly detection in streams with extreme value theory", KDD 2017 (SPOT).
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
    TAIL_BINS,
    TAIL_LOW_N,
    TAIL_UP_N,
    VIEW_RUN,
    VIEWS,
)

LN2 = math.log(2.0)
LIGHTEST = 1e-3  # 1/degrees of freedom treated as normal
HEAVIEST = 0.5  # two degrees of freedom: variance no longer exists
EXCEED = 1.6448536269514722  # normal score one residual in twenty of a side exceeds
EXCEED_SURPRISE = 2.302585092994046  # -ln(2 sf(EXCEED)): one in ten given the side
EXCESS_CAP = 3.0  # a single value, however large, moves the tail by this much
ODD = 5.0  # excess from which a value is rather an anomaly than the tail
EXCESS_MEAN = 1.0 - math.exp(-EXCESS_CAP)  # of a capped standard exponential
KEPT = 0.2
PRIOR_WEIGHT = 2000.0  # ideal buckets the detector-wide record starts from
BULK = 2.0**-10.5  # of all buckets: what ordinary ones still decide of the detector-wide record
LEAST_ABOVE = 20.0
SLOPE_OVER = 4  # octaves
FLATTEST = 0.45  # octaves of probability an octave of surprise is worth at least
FULL = 13.0  # -ln p up to which a bucket fully enters the record
ODD_SURPRISE = 5.0  # -ln p from which buckets one after the other are one event ...
ODD_RUN = 3.0  # ... and of which this many count half
RECORD_MOST = 6000.0  # unsurprising buckets after which a record is halved
OWN_SHAPE = 5.0  # how alike rows are taken to be: coefficient of variation 1/sqrt(5) of their rates


@inlined
def log_sf(z: float) -> float:
    """Natural log of P(Z > z) for a standard normal; exact to 1e-9 relative from -8 to 1e150."""
    if z < 5.0:
        return math.log(0.5 * math.erfc(z * 0.7071067811865476))
    inverse = 1.0 / (z * z)  # asymptotic series, error below the last term
    series = 1.0 - inverse * (
        1.0 - 3.0 * inverse * (1.0 - 5.0 * inverse * (1.0 - 7.0 * inverse * (1.0 - 9.0 * inverse)))
    )
    return -0.5 * z * z - math.log(z) - 0.9189385332046727 + math.log(series)


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
def forget_surprises(c: NDArray[np.float64], record: NDArray[np.float32]) -> None:
    """Keep a fifth of what is known of surprises, because the model has just become better.

    What surprised before the day or the week was known says little of what will surprise now.
    """
    for v in range(VIEWS):
        for i in range(TAIL_BINS):
            record[v, i] *= KEPT
    for i in (TAIL_UP_N, TAIL_LOW_N, SHORT_EVENTS, SHORT_SIZE, LONG_EVENTS, LONG_SIZE):
        c[i] *= KEPT
    for b in range(BANDS):
        c[BAND_TAIL_N + b] *= KEPT


@inlined
def learn_record(
    c: NDArray[np.float64], record: NDArray[np.float32], view: int, surprise: float, weight: float
) -> None:
    """Count a bucket's surprise in the view's ``record`` (TAIL_BINS,).

    The buckets of one event count little more than one: what lasts must not become ordinary by
    lasting.
    """
    kept = weight
    if surprise > FULL:
        kept *= math.exp(0.5 * (FULL - surprise))
    if surprise > ODD_SURPRISE:
        lasted = c[VIEW_RUN + view] / ODD_RUN
        kept /= 1.0 + lasted * lasted
        c[VIEW_RUN + view] += weight
    else:
        c[VIEW_RUN + view] = max(c[VIEW_RUN + view] - 2.0 * weight, 0.0)
    record[min(int(surprise / LN2), TAIL_BINS - 1)] += kept
    if record[0] > RECORD_MOST:
        for i in range(TAIL_BINS):
            record[i] *= 0.5


@inlined
def calibrated(
    surprise: float, record: NDArray[np.float32], pool: NDArray[np.float64], tail_scale: float
) -> float:
    """Log probability of a surprise at least this large, by the record of past surprises.

    ``surprise`` is -ln p of the model. ``record[j]`` counts past surprises in octave j of p,
    ``pool[j]`` is the detector-wide ln P(surprise >= j ln 2), j = 0..TAIL_BINS. A row's rate above
    an edge has a gamma prior with the pool's mean and shape OWN_SHAPE, so with its own count C of n
    buckets it is (C + shape) / (n + shape / pool): the pool's until the row has seen several of its
    own, its own from then on. Between octave edges it is log-linear, beyond the last one
    exponential with scale ``tail_scale``.
    """
    octave = surprise / LN2
    j = int(octave) if octave < TAIL_BINS else TAIL_BINS
    above = 0.0
    for i in range(TAIL_BINS - 1, j, -1):
        above += record[i]
    here = above + (record[j] if j < TAIL_BINS else 0.0)
    total = here
    for i in range(j):
        total += record[i]
    lower = math.log((here + OWN_SHAPE) / (total + OWN_SHAPE * math.exp(-pool[j])))
    if j == TAIL_BINS:
        return lower - (surprise - TAIL_BINS * LN2) / tail_scale
    upper = math.log((above + OWN_SHAPE) / (total + OWN_SHAPE * math.exp(-pool[j + 1])))
    return lower + (octave - j) * (upper - lower)


def pooled(record: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Detector-wide ln P(surprise >= octave edge) and tail scale from summed records.

    The record is blended with PRIOR_WEIGHT ideal buckets. Where less than BULK of it is left above
    an edge, the curve goes on exponentially, as steep as over the SLOPE_OVER octaves before (the
    law of [2] with shape 0): what is rarer is mostly trouble, and must not teach that trouble is
    ordinary.
    """
    edges = np.arange(TAIL_BINS + 1)
    ideal = 0.5**edges
    above = np.concatenate([np.cumsum(record[::-1])[::-1], [0.0]])
    log_survival = np.log((above + PRIOR_WEIGHT * ideal) / (above[0] + PRIOR_WEIGHT))
    least = max(LEAST_ABOVE, BULK * above[0])
    start = int(np.searchsorted(-above, -least)) - 1  # last edge that ordinary buckets decide
    start = min(max(start, 6), TAIL_BINS - 2)
    slope = (log_survival[start - SLOPE_OVER] - log_survival[start]) / (SLOPE_OVER * LN2)
    slope = min(max(float(slope), FLATTEST), 1.0)
    beyond = np.arange(1, TAIL_BINS + 1 - start) * LN2
    log_survival[start + 1 :] = log_survival[start] - beyond * slope
    return log_survival, 1.0 / slope
