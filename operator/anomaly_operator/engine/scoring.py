"""From log probability to a score of 0..100 that means the same everywhere: the return period.

A score says how rarely a bucket at least this unusual is expected among *all* series of its
partition: 25 about once a day, 50 about once a week, 75 about once a month, and towards 100 beyond.
So ten thousand pods page no more often than ten.

Small partitions are counted as LEAST_SERIES more than they have: with few series "once a week each"
would be too loud for whoever reads them all.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import compiled, inlined
from anomaly_operator.engine.tails import log_sf, normal_score

LEAST_SERIES = 60.0
LN10 = math.log(10.0)
DAY_LOG10 = math.log10(86400.0)

WARNING = 3.0
MINOR = 25.0
MAJOR = 50.0
CRITICAL = 75.0
# log10 of the return period in days at which each mark stands.
WARNING_AT = -1.0  # 2.4 hours
MINOR_AT = 0.0
MAJOR_AT = math.log10(7.0)
CRITICAL_AT = math.log10(30.0)
FALL = 1.5  # decades below WARNING_AT per e-fold of score: never flat, so every p has its own score
COMPRESS = 2.5  # decades beyond CRITICAL_AT that use half of the last quarter

CLAIM_BINS = 48  # quarters of a decade of claimed return period, from MINOR_AT on
CLAIM_STEP = 0.25

JOINT_CAP = 12.0  # -ln p one series may add to its partition's common evidence
ORDINARY = 1.0  # ... and one that is nearer to typical than the user cares for: the mean of all
JOINT_MEMORY = 1000.0  # buckets
JOINT_TAIL = 0.1  # 1/degrees of freedom of the common evidence
JOINT_TESTS = 10.0  # a partition's common evidence counts as this many series
LEAST_JOINT = 4  # series a partition needs for common evidence
SINGLE_REACH = 8.0  # decades one series can lift its bucket by


@inlined
def score_of(period: float) -> float:
    """Score of a return period given as log10 of days; strictly increasing over all reals."""
    if period < WARNING_AT:
        return WARNING * math.exp(max((period - WARNING_AT) * FALL, -700.0))
    if period < MINOR_AT:
        return WARNING + (MINOR - WARNING) * (period - WARNING_AT) / (MINOR_AT - WARNING_AT)
    if period < MAJOR_AT:
        return MINOR + (MAJOR - MINOR) * (period - MINOR_AT) / (MAJOR_AT - MINOR_AT)
    if period < CRITICAL_AT:
        return MAJOR + (CRITICAL - MAJOR) * (period - MAJOR_AT) / (CRITICAL_AT - MAJOR_AT)
    beyond = period - CRITICAL_AT
    return CRITICAL + (100.0 - CRITICAL) * beyond / (beyond + COMPRESS)


@inlined
def corrected(period: float, correction: NDArray[np.float64]) -> float:
    """A claimed return period less what history says it is too large by."""
    if period <= MINOR_AT:
        return period
    place = (period - MINOR_AT) / CLAIM_STEP
    i = int(place) if place < CLAIM_BINS - 1 else CLAIM_BINS - 1
    less = correction[i]
    if i < CLAIM_BINS - 1:
        less += (place - i) * (correction[i + 1] - correction[i])
    return float(period - less)


@inlined
def period_of(log_p: float, series: float, span_s: float) -> float:
    """log10 of the days between two such buckets among ``series`` series."""
    return (
        math.log10(span_s)
        - DAY_LOG10
        - log_p / LN10
        - 0.5 * math.log10(series * series + LEAST_SERIES**2)
    )


@inlined
def claim_at(period: float, span_s: float) -> float:
    """-ln p at which a bucket of one of LEAST_SERIES has this return period, log10 of days."""
    return LN10 * (math.log10(LEAST_SERIES) + period + DAY_LOG10 - math.log10(span_s))


@compiled
def score_rows(
    values: NDArray[np.float64],
    typical: NDArray[np.float64],
    log_p: NDArray[np.float64],
    surprise: NDArray[np.float64],
    partition: NDArray[np.int64],
    span_s: float,
    least_absolute: float,
    least_relative: float,
    correction: NDArray[np.float64],
    mute: NDArray[np.int16],
    joint: NDArray[np.float64],
    score: NDArray[np.float64],
    crowd: NDArray[np.float64],
    bucket_period: NDArray[np.float64],
) -> None:
    """Scores (T, S), and per partition the number judged and the bucket's period, both (T, P).

    ``surprise`` is what a series adds to the common evidence: -ln p without what orders the quiet.
    Where ``mute`` is not 0 a score is what it would be, but its bucket does not hear of it: what a
    rule or window withholds from the records must not come back as the bucket's score.
    ``joint`` (P, 3) is learnt here: mean and spread of the partition's common evidence, and its
    weight. Series of a partition are not independent; that is why the spread is learnt.
    """
    buckets, width = log_p.shape
    parts = joint.shape[0]
    evidence = np.zeros(parts)
    best = np.zeros(parts)
    heard = np.zeros(parts)
    for t in range(buckets):
        for k in range(parts):
            crowd[t, k] = 0.0
            evidence[k] = 0.0
            best[k] = -400.0
            heard[k] = 0.0
        for s in range(width):
            if not math.isnan(log_p[t, s]):
                crowd[t, partition[s]] += 1.0
        for s in range(width):
            if math.isnan(log_p[t, s]):
                score[t, s] = np.nan
                continue
            k = partition[s]
            deviation = abs(values[t, s] - typical[t, s])
            near = deviation < max(least_absolute, least_relative * abs(typical[t, s]))
            if mute[t, s] == 0:
                heard[k] += 1.0
                evidence[k] += min(surprise[t, s], ORDINARY if near else JOINT_CAP)
            if near:
                score[t, s] = 0.0
                continue
            period = corrected(period_of(log_p[t, s], crowd[t, k], span_s), correction)
            if mute[t, s] == 0:
                best[k] = max(best[k], period)
            score[t, s] = score_of(period)
        for k in range(parts):
            n = heard[k]
            bucket_period[t, k] = -400.0
            if n == 0.0:
                continue
            whole = best[k]
            if whole > 0.0:
                whole = SINGLE_REACH * whole / (SINGLE_REACH + whole)
            if n >= LEAST_JOINT:
                mean = evidence[k] / n
                weight = joint[k, 2]
                if weight == 0.0:
                    joint[k, 0] = 1.0
                    joint[k, 1] = 2.0 / math.sqrt(n)
                off = (mean - joint[k, 0]) / joint[k, 1]
                together = log_sf(normal_score(off, JOINT_TAIL + 1.0 / (1.0 + weight)))
                period = math.log10(span_s) - DAY_LOG10 - together / LN10 - math.log10(JOINT_TESTS)
                if period > 0.0:
                    whole = max(whole, 0.0) + period
                rate = 1.0 / min(weight + 20.0, JOINT_MEMORY)
                off = min(max(off, -3.0), 3.0)
                joint[k, 0] += rate * off * joint[k, 1]
                joint[k, 1] *= math.sqrt(1.0 + rate * (off * off - 1.0))
                joint[k, 1] = max(joint[k, 1], 0.2 / math.sqrt(n))
                joint[k, 2] = weight + 1.0
            bucket_period[t, k] = whole
