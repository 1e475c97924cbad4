"""The detectors people write themselves: EWMA z, rolling median/MAD, recording-rule seasonal z.

Their windows are set once, here, from what their users commonly run, and not per data set.
"""

from __future__ import annotations

import numba
import numpy as np
import pandas as pd

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import EachColumn

TINY = 1e-9
HOUR_S = 3600.0
DAY_S = 86400.0


def directed(z: Floats, side: Side) -> Floats:
    """How far a signed deviation goes in the detector's direction; unknown counts as nothing."""
    z = np.nan_to_num(z, nan=0.0, posinf=1e12, neginf=-1e12)
    if side is Side.HIGH:
        return z
    return -z if side is Side.LOW else np.abs(z)


def scale_floor(values: Floats) -> Floats:
    """A spread below which nothing is divided by: a billionth of the largest value so far."""
    return TINY * np.maximum.accumulate(np.abs(np.nan_to_num(values))) + TINY


class EwmaZ(EachColumn):
    """Distance from an exponentially weighted mean in standard deviations weighted alike."""

    name = "EWMA z"
    version = "half life 50"
    half_life = 50.0

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Judge each row by the moments of the rows before it."""
        del times_s
        return directed(_ewma_z(values, 1.0 - 0.5 ** (1.0 / self.half_life)), side)


@numba.njit(cache=True)
def _ewma_z(values: Floats, rate: float) -> Floats:
    z = np.zeros(len(values))
    mean, variance, seen, largest = 0.0, 0.0, 0.0, 0.0
    for i in range(len(values)):
        x = values[i]
        if np.isnan(x):
            continue
        largest = max(largest, abs(x))
        if seen > 10:
            z[i] = (x - mean) / (np.sqrt(variance) + TINY * largest + TINY)
        seen += 1.0
        share = max(rate, 1.0 / seen)
        shift = x - mean
        mean += share * shift
        variance = (1.0 - share) * (variance + share * shift * shift)
    return z


class RollingMad(EachColumn):
    """Distance from the median of the last rows in median absolute deviations."""

    name = "rolling median/MAD"
    version = "window 200"
    window = 200

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Judge each row by the window before it."""
        del times_s
        past = pd.Series(values).shift(1).rolling(self.window, min_periods=10)
        median = past.median().to_numpy()
        gap = pd.Series(np.abs(values - median)).shift(1)
        mad = gap.rolling(self.window, min_periods=10).median().to_numpy()
        spread = 1.4826 * np.nan_to_num(mad) + scale_floor(values)
        return directed((values - median) / spread, side)


class SeasonalZ(EachColumn):
    """What recording rules do: bands around the last 26 hours and the same hour of the past.

    After Grafana's promql-anomaly-detection, strategy *adaptive*: a value is only odd outside the
    union of the short-term band and the seasonal bands (a day and a week ago, one hour wide), all
    as wide as a multiple of the 26-hour standard deviation. The score is the multiple at which the
    value would just touch the union.
    """

    name = "seasonal z (recording rules)"
    version = "26 h, 1 d, 7 d"
    short_s = 26 * HOUR_S

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Judge each row by what the rules had recorded before it."""
        span_s = float(np.median(np.diff(times_s)))
        stamped = pd.Series(values, pd.to_datetime(times_s, unit="s"))
        regular = stamped[~stamped.index.duplicated()]
        past = regular.rolling(pd.Timedelta(seconds=max(self.short_s, 12 * span_s)), closed="left")
        mean = past.mean().reindex(stamped.index).to_numpy()
        spread = past.std().reindex(stamped.index).to_numpy()
        centres = [mean]
        width = pd.Timedelta(seconds=max(HOUR_S, 3 * span_s))
        hourly = regular.rolling(width).mean()
        for back_s in (DAY_S, 7 * DAY_S):
            wanted = stamped.index - pd.Timedelta(seconds=back_s) + width / 2
            places = hourly.index.searchsorted(wanted, "right") - 1
            old = hourly.to_numpy()[np.maximum(places, 0)]
            centres.append(np.where(places >= 0, old, np.nan))
        spread = np.nan_to_num(spread) + scale_floor(values)
        z = (values - np.array(centres)) / spread
        with np.errstate(all="ignore"):
            high = np.where(np.isnan(z), np.inf, z).min(axis=0)
            low = np.where(np.isnan(z), -np.inf, z).max(axis=0)
        high = np.where(np.isfinite(high), np.maximum(high, 0.0), 0.0)
        low = np.where(np.isfinite(low), np.minimum(low, 0.0), 0.0)
        return directed(np.where(high > 0, high, low), side)
