"""Counters become rates per second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import Floats


@dataclass(frozen=True, slots=True)
class Rates:
    """Rate that ends at each sample, NaN where there is none, and why some are missing or odd."""

    value: Floats
    resets: int  # the counter fell: its process began anew
    stale: int  # the sample before was too long ago


def rates(
    series: NDArray[np.int32],
    time_s: Floats,
    value: Floats,
    *,
    last_time_s: Floats,
    last_value: Floats,
    staleness_s: float,
) -> Rates:
    """Rate per second between each sample and the one before it in its series.

    Samples are in order of series, then time, strictly. The first sample of a series is measured
    against ``last_time_s[series]`` and ``last_value[series]`` (NaN: there was none, so no rate). A
    fall is a reset: what is counted since is the whole increase, as Prometheus has it. Across more
    than ``staleness_s`` nothing is said: an average over hours would pass for one bucket's rate.
    """
    if not len(value):
        return Rates(value.copy(), 0, 0)
    first = np.empty(len(series), bool)
    first[0] = True
    np.not_equal(series[1:], series[:-1], out=first[1:])
    before_s = np.empty_like(time_s)
    before = np.empty_like(value)
    before_s[1:], before[1:] = time_s[:-1], value[:-1]
    before_s[first], before[first] = last_time_s[series[first]], last_value[series[first]]
    elapsed_s = time_s - before_s
    known = np.isfinite(elapsed_s) & (elapsed_s > 0)
    stale = known & (elapsed_s > staleness_s)
    fell = known & (value < before)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rate = np.where(fell, value, value - before) / elapsed_s
    rate[~known | stale] = np.nan
    return Rates(rate, resets=int(np.count_nonzero(fell)), stale=int(np.count_nonzero(stale)))
