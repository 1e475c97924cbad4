"""River's online detectors, as its documentation runs them: score, then learn."""

from __future__ import annotations

from collections import deque
from importlib.metadata import version

import numpy as np
from river import anomaly, preprocessing

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import EachColumn


class RiverGaussian(EachColumn):
    """``GaussianScorer`` over a rolling window; its 0..1 scale saturates at 1 from 8.3 sigma on."""

    name = "River GaussianScorer"
    version = f"river {version('river')}, window 500"
    window = 500

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score each row before it is learnt; the scorer is two-sided."""
        del times_s, side
        model = anomaly.GaussianScorer(window_size=self.window, grace_period=50)
        scores = np.zeros(len(values))
        for i, value in enumerate(values.tolist()):
            try:
                scores[i] = model.score_one(None, value)
            except TypeError:  # its rolling variance fell below zero by rounding: no answer
                scores[i] = 0.0
            model.learn_one(None, value)
        return np.nan_to_num(scores)


class RiverHalfSpaceTrees(EachColumn):
    """``HalfSpaceTrees`` on the last eight values, scaled to 0..1 as the trees require."""

    name = "River HalfSpaceTrees"
    version = f"river {version('river')}, 25 trees, shingle 8"
    shingle = 8

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score each row before it is learnt; the trees are two-sided."""
        del times_s, side
        model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(
            n_trees=25, height=8, window_size=250, seed=42
        )
        held: deque[float] = deque(maxlen=self.shingle)
        scores = np.zeros(len(values))
        for i, value in enumerate(values.tolist()):
            held.append(value)
            if len(held) == self.shingle:
                features = dict(enumerate(held))
                model["MinMaxScaler"].learn_one(features)
                scores[i] = model.score_one(features)
                model.learn_one(features)
        return scores
