"""What orders the buckets that nobody is told of: all views together, and the buckets before.

An alarm needs one view that is sure. Whether a bucket that raises none is an ordinary one is
another question, and there every view knows a part: that of the bucket, those of what lasts, the
place. So their claims are added, as the models make them: habit, youth and rest are about alarms.
And a bucket among odd ones is odder than one alone, whatever it looks like itself: the root of the
mean square over the last few and the last many buckets stands for it where that is larger.

What comes out is no probability; the detector's record of it says which share of buckets has that
much. It is told under the mark from which records are kept, and nothing else is told there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.caution import UNBENT
from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import COUNT, GATHERED_FEW, GATHERED_MANY
from anomaly_operator.engine.records import YOUNG_WEIGHT, count_surprise

FEW = 1.0 / 5.0  # share of a bucket in the mean of the last few
MANY = 1.0 / 17.0  # and of the last many
SPEAKS = 16.0  # buckets before which nothing is counted


@inlined
def mean_with(mean: float, odd: float, share: float) -> float:
    """Mean square with one more bucket."""
    return mean + share * (odd * odd - mean)


@inlined
def gathered(c: NDArray[np.float64], odd: float) -> float:
    """How odd a bucket is that is ``odd`` by itself, with those before it."""
    few = mean_with(c[GATHERED_FEW], odd, FEW)
    many = mean_with(c[GATHERED_MANY], odd, MANY)
    return max(odd, math.sqrt(max(few, many)))


@inlined
def quietly(claim: float, gathered_claim: float, quiet: float) -> float:
    """-ln p as told: ``claim`` from ``quiet`` on, else what all gathered, bent to stay below.

    Never flat, however much was gathered.
    """
    if claim >= quiet:
        return claim
    free = UNBENT * quiet
    more = gathered_claim - free
    if more <= 0.0:
        return gathered_claim
    return quiet - (quiet - free) ** 2 / (quiet - free + more)


@inlined
def learn_gathered(
    c: NDArray[np.float64],
    record: NDArray[np.int64],
    odd: float,
    told: float,
    stage: int,
    weight: float,
) -> None:
    """Count what was ``told`` of the bucket, and let the next ones know how ``odd`` it was.

    Every bucket counts in full in the record, of a run too: it is the share of buckets that the
    claim is about.
    """
    if c[COUNT] > SPEAKS:
        count_surprise(record, told, weight * YOUNG_WEIGHT[stage])
    c[GATHERED_FEW] = mean_with(c[GATHERED_FEW], odd, FEW * weight)
    c[GATHERED_MANY] = mean_with(c[GATHERED_MANY], odd, MANY * weight)
