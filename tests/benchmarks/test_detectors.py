"""What every compared detector must hold to, or the comparison is worth nothing.

The peers come with the extra ``bench`` (``make bench`` installs it); without it this is skipped.
"""

# ruff: noqa: E402 - the peers are imported once they are known to be there

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import Detector, Ours

for package in ("pandas", "river", "adtk", "rrcf", "stumpy"):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install '.[bench]'")

from benchmarks.peers.adtk_peers import AdtkSeasonal, broken
from benchmarks.peers.bands import ProphetStyleBands
from benchmarks.peers.forest import RandomCutForest, ThresholdedForest
from benchmarks.peers.matrix_profile import StreamingMatrixProfile
from benchmarks.peers.river_peers import RiverGaussian, RiverHalfSpaceTrees
from benchmarks.peers.simple import EwmaZ, RollingMad, SeasonalZ
from benchmarks.peers.windowed_gaussian import WindowedGaussian

HOUR_S = 3600.0
ROWS, SPIKE = 250, 200
EVERYONE = [
    Ours(),
    EwmaZ(),
    RollingMad(),
    SeasonalZ(),
    WindowedGaussian(),
    ProphetStyleBands(),
    AdtkSeasonal(),
    RiverGaussian(),
    RiverHalfSpaceTrees(),
    ThresholdedForest(),
    RandomCutForest(),
    pytest.param(StreamingMatrixProfile(), marks=pytest.mark.slow),  # compiles for half a minute
]


def daily_wave(rows: int = ROWS) -> tuple[Floats, Floats]:
    times = HOUR_S * np.arange(rows)
    noise = np.random.default_rng(8).normal(0.0, 2.0, rows)
    return times, 100.0 + 20.0 * np.sin(times * 2 * np.pi / 86400.0) + noise


@pytest.fixture(params=EVERYONE, ids=lambda detector: detector.name)
def detector(request: pytest.FixtureRequest) -> Detector:
    return request.param


def test_no_score_depends_on_what_comes_later(detector: Detector):
    times, values = daily_wave()
    before = detector.score(times, values, side=Side.BOTH)
    changed = values.copy()
    changed[SPIKE + 1 :] = np.random.default_rng(9).normal(500.0, 300.0, len(values) - SPIKE - 1)
    after = detector.score(times, changed, side=Side.BOTH)
    assert np.array_equal(before[: SPIKE + 1], after[: SPIKE + 1])


def test_a_huge_spike_scores_among_the_highest_rows(detector: Detector):
    times, values = daily_wave()
    values[SPIKE] += 1000.0
    scores = detector.score(times, values, side=Side.BOTH)
    assert np.isfinite(scores).all()
    near = scores[SPIKE : SPIKE + 16].max()  # subsequences hold the spike for their whole length
    assert near >= np.quantile(scores[100:SPIKE], 0.98)


def test_adtk_is_left_out_only_where_it_cannot_run():
    """Should a release mend these detectors, this fails and they join the comparison."""
    failures = broken()
    assert set(failures) == {"PersistAD", "LevelShiftAD", "VolatilityShiftAD", "AutoregressionAD"}
    assert all("dtype 'bool'" in message for message in failures.values())
