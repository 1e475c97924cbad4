"""stumpy's streaming matrix profile (STUMPI): distance of the newest subsequence to its nearest."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import numpy as np
import stumpy

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import EachColumn

SUBSEQUENCE = 16
HISTORY = 4096  # rows kept: the update is linear in them
START = 4 * SUBSEQUENCE


class StreamingMatrixProfile(EachColumn):
    """Left matrix profile of the newest subsequence of 16 rows over the last 4096."""

    name = "stumpy stumpi"
    version = f"stumpy {version('stumpy')}, m = {SUBSEQUENCE}, {HISTORY} rows kept"

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score each row by the subsequence that ends in it; two-sided by nature."""
        del times_s, side
        scores = np.zeros(len(values))
        if len(values) <= START:
            return scores
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where all distances are infinite or zero
            _stream(values, scores)
        return scores


def _stream(values: Floats, scores: Floats) -> None:
    """Fill in the scores from START on."""
    stream = stumpy.stumpi(values[:START].copy(), SUBSEQUENCE, egress=False)
    kept = START
    for i in range(START, len(values)):
        if kept >= 2 * HISTORY:
            stream = stumpy.stumpi(values[i - HISTORY : i].copy(), SUBSEQUENCE, egress=False)
            kept = HISTORY
        stream.update(float(values[i]))
        kept += 1
        newest = stream.left_P_[-1]
        scores[i] = newest if np.isfinite(newest) else 0.0
