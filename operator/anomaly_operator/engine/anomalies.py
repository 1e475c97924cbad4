"""What this series' anomalies look like: the familiar loses weight, the long run fades.

An *event* is a run of loud buckets, ended by a few quiet ones. A row remembers how many short and
how many long events it had and how large they were: a decayed count and the decayed sum of
ln(peak / LOUD), which is what Hill's estimator of a power law needs. So a series that spikes every
other day is told how often it spikes *that* high, and a spike of ten spreads is no news there:

    p(event of size z) = (N - FREE) / n * (z / LOUD) ** (-1 / h),   h = mean ln(peak / LOUD)

Short events excuse short ones only: when a run goes on, the long events' history is asked.

References
----------
.. [1] B. M. Hill, "A simple general approach to inference about the tail of a distribution",
   Ann. Statist. 3 (1975).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    COUNT,
    LAST_PEAK,
    LASTING_LOW,
    LASTING_UP,
    LONG_EVENTS,
    LONG_SIZE,
    RUN,
    RUN_NEWS,
    RUN_PEAK,
    RUN_QUIET,
    SHORT_EVENTS,
    SHORT_SIZE,
    VIEW_RUN,
)
from anomaly_operator.engine.records import ODD_RUN

LOUD = 4.0  # normal score from which a bucket belongs to an event
SHORT = 3.0  # loud buckets up to which an event is short
QUIET_END = 4.0  # quiet buckets that end one
FREE = 1.0  # events a series may have before they count as a habit
SIZE_PRIOR = 0.35  # mean ln(peak / LOUD) assumed with PRIOR_EVENTS' weight
PRIOR_EVENTS = 2.0
MEMORY = 8000.0  # buckets after which an event counts 1/e
REST_FROM = 4.0  # -ln p that is worth the same at any time
REST_SHARE = 0.3
FOLLOWS = 0.7  # the same, in the first buckets of an event that has already claimed more
FEW = 1.5  # events a series may have had for which ...
AS_LOUD = 0.92  # ... another this share as loud as the last is told in full
LOUDER = 0.3  # -ln p beyond it that is news while its event goes on ...
TOLD = 8.0  # ... and has gone on for this many buckets
ALARMED = 12.0  # -ln p of a peak that was an alarm for sure; beyond it only what is ...
MUCH_LOUDER = 0.2  # ... larger by this share is news
REST_KEPT = 0.997
SURELY = 1.0  # decades beyond the critical mark: critical among six hundred series, too


@inlined
def familiar_p(c: NDArray[np.float64], z: float) -> float:
    """Probability of a bucket of an event at least this large, by this row's own history."""
    if z < LOUD:
        return 0.0
    long_run = c[RUN] >= SHORT
    count = c[LONG_EVENTS] if long_run else c[SHORT_EVENTS]
    if count <= FREE:
        return 0.0
    size = c[LONG_SIZE] if long_run else c[SHORT_SIZE]
    mean = (size + PRIOR_EVENTS * SIZE_PRIOR) / (count + PRIOR_EVENTS)
    rate = (count - FREE) / min(max(c[COUNT], 100.0), MEMORY)
    return float(rate * math.exp(-math.log(z / LOUD) / mean))


@inlined
def learn_event(c: NDArray[np.float64], z: float, weight: float) -> None:
    """Follow the run under way; count it when it is over."""
    if z >= LOUD:
        c[RUN] += 1.0
        c[RUN_QUIET] = 0.0
        c[RUN_PEAK] = max(c[RUN_PEAK], z)
    elif c[RUN] > 0.0:
        c[RUN_QUIET] += 1.0
        if c[RUN_QUIET] >= QUIET_END:
            size = weight * math.log(c[RUN_PEAK] / LOUD)
            if c[RUN] <= SHORT:
                c[SHORT_EVENTS] += weight
                c[SHORT_SIZE] += size
            else:
                c[LONG_EVENTS] += weight
                c[LONG_SIZE] += size
            c[RUN] = 0.0
            c[RUN_PEAK] = 0.0
            c[RUN_QUIET] = 0.0
    if c[SHORT_EVENTS] + c[LONG_EVENTS] > 0.0:
        kept = 1.0 - weight / MEMORY
        c[SHORT_EVENTS] *= kept
        c[SHORT_SIZE] *= kept
        c[LONG_EVENTS] *= kept
        c[LONG_SIZE] *= kept


@inlined
def rested(c: NDArray[np.float64], surprise: float) -> float:
    """What a surprise is worth shortly after a larger one: its excess over REST_FROM shrinks.

    While an event is new that is a little, and only of what is less than the event has claimed
    already: it is at its loudest once.
    """
    alarm = c[LAST_PEAK]
    share = REST_SHARE
    often = c[SHORT_EVENTS] + c[LONG_EVENTS] >= FEW
    if 0.0 < c[RUN] <= TOLD:
        alarm = c[RUN_NEWS]
        share = FOLLOWS
    elif often or c[RUN] > TOLD:
        alarm += LOUDER
        if c[LAST_PEAK] > ALARMED:
            alarm += MUCH_LOUDER * (c[LAST_PEAK] - REST_FROM)
    elif c[RUN] == 0.0:
        alarm *= AS_LOUD
    if surprise <= REST_FROM or surprise >= alarm:
        return surprise
    return REST_FROM + share * (surprise - REST_FROM)


@inlined
def learn_rest(c: NDArray[np.float64], surprise: float) -> None:
    """Remember the largest recent surprise, less with every bucket, and that of the event."""
    c[LAST_PEAK] = max(REST_KEPT * c[LAST_PEAK], surprise)
    c[RUN_NEWS] = max(c[RUN_NEWS], surprise) if c[RUN] > 0.0 else 0.0


@inlined
def faded(c: NDArray[np.float64], surprise: float, certain: float) -> float:
    """What a surprise is worth the longer something lasts: its excess over ``certain`` fades.

    The beginning of trouble outranks its later hours, and what was critical stays so.
    """
    if surprise <= certain:
        return surprise
    lasted = max(c[VIEW_RUN + LASTING_UP], c[VIEW_RUN + LASTING_LOW]) / ODD_RUN
    return float(certain + (surprise - certain) / (1.0 + lasted * lasted))
