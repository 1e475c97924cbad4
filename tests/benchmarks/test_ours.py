"""Our engine behind the benchmark's protocol: the same answers whichever way it is asked."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.contract import Side
from benchmarks.backtest import run_backtest
from benchmarks.datasets import Floats
from benchmarks.detectors import Ours
from benchmarks.fleet.generate import generate
from benchmarks.fleet.model import Settings
from benchmarks.fleet.running import run_ours

HOUR_S = 3600.0
SPIKE = 300


def daily_wave(rows: int = 400) -> tuple[Floats, Floats]:
    times = HOUR_S * np.arange(rows)
    noise = np.random.default_rng(8).normal(0.0, 2.0, rows)
    return times, 100.0 + 20.0 * np.sin(times * 2 * np.pi / 86400.0) + noise


def test_our_rows_get_the_score_of_the_bucket_they_lie_in():
    """Doubled and missing rows: the grid is regular, the answer has a score for every row."""
    times, values = daily_wave()
    values[SPIKE] += 1000.0
    rows = np.sort(np.r_[np.setdiff1d(np.arange(400), [50, 51, 52]), SPIKE])
    scores = Ours().score(times[rows], values[rows], side=Side.BOTH)
    doubled = np.flatnonzero(rows == SPIKE)
    assert len(scores) == len(rows)
    assert scores[doubled[0]] == scores[doubled[1]] == scores.max()


def test_buckets_handed_over_together_or_apart_get_the_same_scores():
    times, values = daily_wave()
    values[SPIKE] += 1000.0
    apart = Ours(block_buckets=1).score(times, values, side=Side.BOTH)
    assert np.allclose(apart, Ours(block_buckets=400).score(times, values, side=Side.BOTH))


@pytest.mark.slow
def test_the_command_and_the_engine_give_a_fleet_the_same_scores():
    fleet = generate(Settings(seed=5, workloads=3, nodes=2, weeks=3.0, span_s=3600.0))
    direct, command = run_ours(fleet)["score"], run_backtest(fleet)
    assert direct.max() > 0.0
    assert (np.abs(direct - command) > 1.0).mean() < 1e-3
