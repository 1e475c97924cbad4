"""Scores of buckets and influencers follow their records, where renormalisation changed these.

Scores are made of return periods, and a period can be read back from a score. So what a bucket or
an influencer had beyond its best record (common evidence, a lift for many) is the difference of
their initial scores' periods, and stays; the best record's part is what that is worth now. All of
it is reckoned from initial scores, so doing it again changes nothing.
"""

from __future__ import annotations

import math

from anomaly_operator.engine.scoring import (
    COMPRESS,
    CRITICAL,
    CRITICAL_AT,
    FALL,
    MAJOR,
    MAJOR_AT,
    MINOR,
    MINOR_AT,
    SINGLE_REACH,
    WARNING,
    WARNING_AT,
    score_of,
)

_MARKS = (
    (WARNING, WARNING_AT, MINOR, MINOR_AT),
    (MINOR, MINOR_AT, MAJOR, MAJOR_AT),
    (MAJOR, MAJOR_AT, CRITICAL, CRITICAL_AT),
)
_NO_MORE = 1e-9  # decades that reading back may be off
_LEAST_SCORE, _MOST_SCORE = 1e-300, 100.0 - 1e-9


def period_behind(score: float) -> float:
    """Return period, as log10 of days, that has this score: ``score_of`` the other way round.

    >>> [round(period_behind(score_of(period)), 6) for period in (-3.0, -0.5, 0.5, 1.2, 7.0)]
    [-3.0, -0.5, 0.5, 1.2, 7.0]
    """
    if score < WARNING:
        return WARNING_AT + math.log(max(score, _LEAST_SCORE) / WARNING) / FALL
    for low, low_at, high, high_at in _MARKS:
        if score < high:
            return low_at + (high_at - low_at) * (score - low) / (high - low)
    share = (min(score, _MOST_SCORE) - CRITICAL) / (100.0 - CRITICAL)
    return CRITICAL_AT + COMPRESS * share / (1.0 - share)


def bucket_score(initial: float, best_initially: float, best_now: float) -> float:
    """Score of a bucket whose best record's score has become another.

    >>> before = score_of(2.0)
    >>> bucket_score(score_of(_lifted(2.0)), before, before) == score_of(_lifted(2.0))
    True
    >>> round(bucket_score(score_of(_lifted(2.0) + 0.3), before, score_of(1.0)), 6) == round(
    ...     score_of(_lifted(1.0) + 0.3), 6)
    True
    """
    if best_now == best_initially:
        return initial
    told, best = period_behind(initial), _lifted(period_behind(best_initially))
    now = _lifted(period_behind(best_now))
    common = told - max(best, 0.0)  # evidence that adds to the best, from zero on
    if common > _NO_MORE and told > best + _NO_MORE:
        return score_of(max(now, 0.0) + common)
    return score_of(now)


def influencer_score(initial: float, best_initially: float, best_now: float) -> float:
    """Score of an influencer, of whose records the best has another score now."""
    if best_now == best_initially:
        return initial
    lift = period_behind(initial) - period_behind(best_initially)
    return score_of(period_behind(best_now) + lift)


def _lifted(period: float) -> float:
    """How far one record lifts its bucket."""
    return SINGLE_REACH * period / (SINGLE_REACH + period) if period > 0.0 else period
