"""Random cut forests on shingles of eight: rrcf's codisplacement, raw and thresholded.

OpenSearch's detector is a *thresholded* random cut forest: 30 trees, shingle 8, 256 samples a
tree, and a running mean and deviation of the forest's own scores that decide when a score is an
anomaly. The package ``rrcf`` has the trees; the threshold on top is written here from that
description.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import rrcf

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import EachColumn

TREES = 30
SHINGLE = 8
SAMPLES = 256
FORGETTING = 1.0 / 1280.0  # of the running score moments: five times the sample
SEED = 42


def codisplacement(values: Floats) -> Floats:
    """Average codisplacement of each row's shingle in a streaming forest; 0 before the first."""
    rng_state = np.random.get_state()  # noqa: NPY002 - rrcf draws from the global generator
    np.random.seed(SEED)  # noqa: NPY002
    try:
        return _codisplacement(values)
    finally:
        np.random.set_state(rng_state)  # noqa: NPY002


def _codisplacement(values: Floats) -> Floats:
    forest = [rrcf.RCTree() for _ in range(TREES)]
    scores = np.zeros(len(values))
    shingles = np.lib.stride_tricks.sliding_window_view(values, SHINGLE)
    # Ties make rrcf merge leaves; a jitter far below any resolution keeps points apart.
    scale = 1e-9 * (np.abs(values).max() + 1e-9)
    jitter = np.random.default_rng(SEED).normal(0.0, scale, shingles.shape)
    for number, point in enumerate(shingles + jitter):
        total = 0.0
        for tree in forest:
            if len(tree.leaves) >= SAMPLES:
                tree.forget_point(number - SAMPLES)
            tree.insert_point(point, index=number)
            total += tree.codisp(number)
        scores[number + SHINGLE - 1] = total / TREES
    return scores


class RandomCutForest(EachColumn):
    """The forest's score as it is."""

    name = "rrcf"
    version = f"rrcf {version('rrcf')}, {TREES} trees, shingle {SHINGLE}, {SAMPLES} samples"

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score each row; the forest is two-sided."""
        del times_s, side
        return codisplacement(values) if len(values) > SHINGLE else np.zeros(len(values))


class ThresholdedForest(EachColumn):
    """How many deviations above its own running mean the forest's score is."""

    name = "thresholded forest (as OpenSearch)"
    version = RandomCutForest.version

    def __init__(self, forest: EachColumn | None = None) -> None:
        self.forest = forest or RandomCutForest()

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score each row; nothing before 32 shingles, as OpenSearch starts answering then."""
        raw = self.forest.score(times_s, values, side=side)
        grades = np.zeros(len(raw))
        mean, variance, seen = 0.0, 0.0, 0
        for i, value in enumerate(raw.tolist()):
            if i < SHINGLE:
                continue
            if seen >= 32:
                grades[i] = max(value - mean, 0.0) / (np.sqrt(variance) + 1e-9)
            seen += 1
            share = max(FORGETTING, 1.0 / seen)
            shift = value - mean
            mean += share * shift
            variance = (1.0 - share) * (variance + share * shift * shift)
        return grades
