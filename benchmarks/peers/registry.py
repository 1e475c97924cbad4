"""Which peers are run, in the order of the tables."""

from __future__ import annotations

from benchmarks.detectors import Detector
from benchmarks.peers.adtk_peers import AdtkSeasonal
from benchmarks.peers.bands import ProphetStyleBands
from benchmarks.peers.cache import Cached
from benchmarks.peers.forest import RandomCutForest, ThresholdedForest
from benchmarks.peers.matrix_profile import StreamingMatrixProfile
from benchmarks.peers.river_peers import RiverGaussian, RiverHalfSpaceTrees
from benchmarks.peers.simple import EwmaZ, RollingMad, SeasonalZ
from benchmarks.peers.windowed_gaussian import WindowedGaussian

SLOW_ROWS = 150_000  # a set with more rows is left out: a forest does 200 rows a second


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
        Cached(RiverHalfSpaceTrees()),
    ]


def slow_peers() -> list[Detector]:
    """Peers that take minutes where the others take seconds; not run on sets over SLOW_ROWS."""
    forest = Cached(RandomCutForest())
    return [
        ThresholdedForest(forest),
        forest,
        Cached(StreamingMatrixProfile()),
    ]
