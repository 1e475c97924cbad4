"""Prophet-style bands: piecewise trend plus Fourier seasons by regularised least squares.

Prophet itself fits by Stan, minutes for each refit of each series; its model is linear in features,
so its posterior mode under normal priors is a ridge regression, which is what runs here: 25
change points in the first 80 % of the history, daily order 4, weekly order 3 (Prophet's defaults),
and the normal band of the residuals. It is refitted on expanding windows and judges what follows.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import EachColumn
from benchmarks.peers.simple import directed

DAY_S = 86400.0
CHANGE_POINTS = 25
REFITS = 16
DAILY_ORDER = 4
WEEKLY_ORDER = 3
TREND_PENALTY = 1.0 / 0.05**2  # Prophet's changepoint_prior_scale
SEASON_PENALTY = 1.0 / 10.0**2  # Prophet's seasonality_prior_scale


class ProphetStyleBands(EachColumn):
    """Distance from the forecast in residual standard deviations."""

    name = "Prophet-style bands"
    version = f"own ridge fit, refitted {REFITS} times"

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Judge each stretch by the fit on all rows before it; the first 5 % are not judged."""
        rows = len(values)
        cuts = np.unique(np.linspace(max(20, rows // 20), rows, REFITS + 1).astype(int))
        scores = np.zeros(rows)
        for first, stop in pairwise(cuts):
            history = slice(0, first)
            origin, length = times_s[0], times_s[first - 1] - times_s[0]
            size = max(np.nanmax(np.abs(values[history])), 1e-12)
            design, penalty = features(times_s[:stop], origin=origin, length=length)
            known = design[history]
            target = values[history] / size
            noise = max(np.var(target), 1e-12)
            weights = np.linalg.solve(known.T @ known + noise * np.diag(penalty), known.T @ target)
            spread = np.std(target - known @ weights) + 1e-9
            ahead = values[first:stop] / size - design[first:stop] @ weights
            scores[first:stop] = directed(ahead / spread, side)
        return scores


def features(times_s: Floats, *, origin: float, length: float) -> tuple[Floats, Floats]:
    """Columns of the linear model and the penalty of each; seasons only once seen twice."""
    place = (times_s - origin) / max(length, 1.0)
    columns = [np.ones_like(place), place]
    penalty = [1e-6, 1e-6]
    for point in np.linspace(0.0, 0.8, CHANGE_POINTS + 1)[1:]:
        columns.append(np.maximum(place - point, 0.0))
        penalty.append(TREND_PENALTY)
    for period_s, order in ((DAY_S, DAILY_ORDER), (7 * DAY_S, WEEKLY_ORDER)):
        if length < 2 * period_s:
            continue
        for harmonic in range(1, order + 1):
            angle = 2 * np.pi * harmonic * times_s / period_s
            columns += [np.sin(angle), np.cos(angle)]
            penalty += [SEASON_PENALTY, SEASON_PENALTY]
    return np.column_stack(columns), np.array(penalty)
