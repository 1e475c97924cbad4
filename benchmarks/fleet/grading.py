"""How large an event is, in units of what the series does by itself at that time of day.

The unit is the *ordinary half range*: how far the most extreme 0.2 % of ordinary values within 90
minutes of the same time of day lie from what was due, on the event's side, and no less than the
most extreme 0.05 % of chance at any time of day (bursts come when they like). Size 1 is therefore
as odd as the oddest ordinary moment in weeks; events from 1.5 on stand out.
"""

from __future__ import annotations

import numpy as np

from benchmarks.datasets import Floats
from benchmarks.fleet.model import EventKind
from benchmarks.fleet.noise import DAY_S

NEAR_S = 5400.0
EXTREME = 0.002
EVER = 0.0005
LEAST = 0.002  # of what is due: no series is calmer than this


def size(
    *,
    kind: EventKind,
    first: int,
    last: int,
    actual: Floats,
    ordinary: Floats,
    due: Floats,
    chance: Floats,
    span_s: float,
) -> float:
    """Size of an event in one series, in ordinary half ranges; 0 where nothing was recorded.

    A spike counts by its largest bucket, a leak by the median of its last third, the rest by the
    median of all its buckets. All arrays are (T,); ``actual`` contains the event.
    """
    core = np.arange(
        first + (2 * (last - first)) // 3 if kind is EventKind.LEAK else first, last + 1
    )
    core = core[np.isfinite(actual[core])]
    if not len(core):
        return 0.0
    share = (actual[core] - due[core]) / due[core]
    high = float(np.median(share)) >= 0.0
    here = half_range(
        ordinary / due, first=int(core[0]), last=int(core[-1]), span_s=span_s, high=high
    )
    sizes = np.abs(share) / max(here, extreme(chance, EVER, high=high), LEAST)
    return float(sizes.max() if kind is EventKind.SPIKE else np.median(sizes))


def half_range(ratio: Floats, *, first: int, last: int, span_s: float, high: bool) -> float:
    """Distance of the extreme ordinary ratios from 1 at the times of day of first..last."""
    day = DAY_S / span_s
    middle, reach = (first + last) / 2.0, (last - first) / 2.0 + NEAR_S / span_s
    away = np.abs((np.arange(len(ratio)) - middle + day / 2) % day - day / 2)
    near = ratio[(away <= reach) & np.isfinite(ratio)]
    return extreme(near, EXTREME, high=high)


def extreme(ratio: Floats, share: float, *, high: bool) -> float:
    """How far from 1 the given share of ratios lies on one side."""
    known = ratio[np.isfinite(ratio)]
    far = np.quantile(known, 1 - share) - 1 if high else 1 - np.quantile(known, share)
    return float(far)
