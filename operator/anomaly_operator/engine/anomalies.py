"""What this series' anomalies look like: the familiar loses weight, the long run fades.

An *event* is a run of loud buckets, ended by a few quiet ones. A row counts its past events by the
size of their peak. A series that has had many events as large as this one is told so: the chance of
such a bucket is at least the observed rate, less FREE events that a series may have before they
count as a habit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import COUNT, EVENT_BINS, RUN, RUN_PEAK, RUN_QUIET

LOUD = 4.5  # normal score from which a bucket belongs to an event (3e-6)
QUIET_END = 6.0  # quiet buckets that end one
FREE = 2.0
MEMORY = 8000.0  # buckets after which an event counts 1/e
FADE = 64.0  # buckets after which a continuing event's surprise has halved


@inlined
def event_bin(z: float) -> int:
    """Half octaves of size above LOUD."""
    bin_ = int(2.0 * math.log2(max(z, LOUD) / LOUD))
    return min(max(bin_, 0), EVENT_BINS - 1)


@inlined
def familiar_p(c: NDArray[np.float64], events: NDArray[np.float32], z: float) -> float:
    """Probability of a bucket with an event at least this large, by this row's own history."""
    if z < LOUD:
        return 0.0
    first = event_bin(z)
    count = 0.0
    for i in range(first, EVENT_BINS):
        count += events[i]
    count -= FREE
    if count <= 0.0:
        return 0.0
    return count / max(min(c[COUNT], MEMORY), 100.0)


@inlined
def learn_event(
    c: NDArray[np.float64], events: NDArray[np.float32], z: float, weight: float
) -> None:
    """Follow the run under way; count it when it is over."""
    if z >= LOUD:
        c[RUN] += 1.0
        c[RUN_QUIET] = 0.0
        c[RUN_PEAK] = max(c[RUN_PEAK], z)
    elif c[RUN] > 0.0:
        c[RUN_QUIET] += 1.0
        if c[RUN_QUIET] >= QUIET_END:
            for i in range(EVENT_BINS):
                events[i] *= math.exp(-(c[RUN] + QUIET_END) / MEMORY)
            events[event_bin(c[RUN_PEAK])] += weight
            c[RUN] = 0.0
            c[RUN_PEAK] = 0.0
            c[RUN_QUIET] = 0.0
