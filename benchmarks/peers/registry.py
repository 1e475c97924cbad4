"""Which peers are run, in the order of the tables."""

from __future__ import annotations

import numpy as np

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import Detector, EachColumn
from benchmarks.peers.adtk_peers import AdtkSeasonal
from benchmarks.peers.bands import ProphetStyleBands
from benchmarks.peers.cache import Cached
from benchmarks.peers.forest import RandomCutForest, ThresholdedForest
from benchmarks.peers.matrix_profile import StreamingMatrixProfile
from benchmarks.peers.river_peers import RiverGaussian, RiverHalfSpaceTrees
from benchmarks.peers.simple import EwmaZ, RollingMad, SeasonalZ
from benchmarks.peers.windowed_gaussian import WindowedGaussian

SLOW_ROWS = 20_000  # a slow peer judges the last rows only; its memory is far shorter than that


class LastRows(EachColumn):
    """A slow detector on the last rows of a long series; rows before score 0."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.name = detector.name
        self.version = detector.version

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score the last rows and leave the others alone."""
        scores = np.zeros(len(values))
        scores[-SLOW_ROWS:] = self.detector.score(
            times_s[-SLOW_ROWS:], values[-SLOW_ROWS:], side=side
        )
        return scores


def fast_peers() -> list[Detector]:
    """Peers that keep up with any amount of data."""
    return [
        SeasonalZ(),
        RollingMad(),
        EwmaZ(),
        WindowedGaussian(),
        ProphetStyleBands(),
        Cached(AdtkSeasonal()),
        Cached(RiverGaussian()),
    ]


def slow_peers() -> list[Detector]:
    """Peers that take minutes where the others take seconds."""
    forest = Cached(RandomCutForest())
    return [
        Cached(RiverHalfSpaceTrees()),
        LastRows(ThresholdedForest(forest)),
        LastRows(forest),
        LastRows(Cached(StreamingMatrixProfile())),
    ]
