"""NAB's own simple detector, apart from the other peers for it needs no package of theirs."""

from __future__ import annotations

import math

import numba
import numpy as np

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import EachColumn


class WindowedGaussian(EachColumn):
    """NAB's own simple detector: upper tail of a normal over the last 6400 rows, moved in hundreds.

    Here because its published result proves that our NAB scorer scores as NAB's does.
    """

    name = "windowed Gaussian (NAB)"
    version = "6400/100"
    window = 6400
    step = 100

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Judge each row by the window before it; the side is both, whatever is asked."""
        del times_s, side
        return _windowed_gaussian(values, self.window, self.step)


@numba.njit(cache=True)
def _windowed_gaussian(values: Floats, window: int, step: int) -> Floats:
    scores = np.zeros(len(values))
    mean, spread, first = 0.0, 1.0, 0
    for i in range(len(values)):
        if i > 0:
            z = abs(values[i] - mean) / spread
            scores[i] = 1.0 - 0.5 * math.erfc(z / np.sqrt(2.0))
        if i < window or (i + 1 - window) % step == 0:
            first = max(0, i + 1 - window)
            held = values[first : i + 1]
            mean, spread = held.mean(), held.std()
            if spread == 0.0:
                spread = 1e-6
    return scores
