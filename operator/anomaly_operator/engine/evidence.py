"""Two views of one bucket: what they say together, and what they teach.

The detector's records and the row's own tails are told how surprising the bucket was to each view.
Neither must take trouble for ordinary life: so the young teach little, and what belongs to an event
counts about once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.extremes import YOUNG_SHARE
from anomaly_operator.engine.lasting import learn_lasting
from anomaly_operator.engine.layout import (
    COUNT,
    LASTING_LOW,
    LASTING_UP,
    MOVES,
    RUN,
    SINGLE_LOW,
    SINGLE_UP,
    VIEW_RUN,
)
from anomaly_operator.engine.records import ODD_SURPRISE, YOUNG_WEIGHT, learn_record
from anomaly_operator.engine.single import learn_single

LEAST_COUNT = 20.0  # buckets before which a surprise is none


@inlined
def impact_of(log_single: float, log_multi: float) -> float:
    """Elastic's multi-bucket impact: -5 all in this bucket, +5 all in the past ones."""
    low = min(log_single, log_multi)
    high = min(max(log_single, log_multi), -0.001)
    value = 5.0 * low / high / 6.907755278982137 * (log_single - log_multi)
    return min(max(math.floor(100.0 * value) / 100.0, -5.0), 5.0)


@inlined
def learn_evidence(
    c: NDArray[np.float64],
    records: NDArray[np.int64],
    size: float,
    below: int,
    held: NDArray[np.float64],
    surprised: float,
    lasts_up: float,
    lasts_low: float,
    moved: bool,
    stage: int,
    pace: float,
    calm: float,
    still: float,
    weight: float,
) -> None:
    """Count a bucket's surprises and move the tails they came from.

    ``size`` is its bent size on a side, 1 if ``below``; ``held`` the windows' distances; a bucket
    that was just as foreseen has not ``moved`` and says nothing of tails. ``stage`` is how many of
    GROWN_DAYS the row has lived through, ``calm`` and ``still`` are what is left of ``weight``
    during an event and while something lasts.
    """
    above = SINGLE_LOW if below else SINGLE_UP
    beside = SINGLE_UP if below else SINGLE_LOW
    if c[COUNT] > LEAST_COUNT:
        share = YOUNG_WEIGHT[stage]
        learn_record(c, records[above], above, surprised, weight, share)
        learn_record(c, records[beside], beside, 0.0, weight, share)
        learn_record(c, records[LASTING_UP], LASTING_UP, lasts_up, weight, share)
        learn_record(c, records[LASTING_LOW], LASTING_LOW, lasts_low, weight, share)
    if moved:
        c[MOVES] += weight
        run = c[RUN]
        once = calm / (1.0 + run * run / (pace * pace))
        odd = surprised > ODD_SURPRISE or run > 0.0
        learn_single(c, size, below, once, YOUNG_SHARE[stage], odd)
        odd_up = c[VIEW_RUN + LASTING_UP] > 0.0
        odd_low = c[VIEW_RUN + LASTING_LOW] > 0.0
        learn_lasting(c, held, still, YOUNG_SHARE[stage], odd_up, odd_low)
