"""Scores: what they promise, and that they keep their order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats

from anomaly_operator.engine.contract import SeriesKey
from anomaly_operator.engine.renormalising import LEAST_EPISODES, Claim, Ranking
from anomaly_operator.engine.scoring import (
    CLAIM_BINS,
    claim_at,
    corrected,
    period_of,
    score_of,
    score_rows,
)
from tests.engine.building import DAY, analysis, noise, run


@pytest.mark.parametrize(("days", "score"), [(0.1, 3.0), (1.0, 25.0), (7.0, 50.0), (30.0, 75.0)])
def test_marks_stand_at_their_return_periods(days: float, score: float) -> None:
    assert score_of(math.log10(days)) == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize("mark", [-1.0, 0.0, 2.5])
def test_a_claim_is_the_probability_that_has_the_return_period(mark: float) -> None:
    claim = claim_at(mark, 300.0)
    assert period_of(-claim, 0.0, 300.0) == pytest.approx(mark)
    assert period_of(-claim, 400.0, 300.0) < mark  # the more series, the more must be claimed


@given(period=floats(-30.0, 1e4), more=floats(1e-3, 100.0))
def test_rarer_is_never_lower_and_never_above_a_hundred(period: float, more: float) -> None:
    assert score_of(period) < score_of(period + more) <= 100.0


def test_ten_thousand_pods_page_no_more_often_than_a_hundred() -> None:
    """One in N * 672 quarter hours is once a week for N series, whatever N."""
    for series in (1_000.0, 10_000.0):
        log_p = -math.log(series * 672)
        assert score_of(period_of(log_p, series, 900.0)) == pytest.approx(50.0, abs=0.1)


def table(
    log_p: np.ndarray, *, joint: np.ndarray | None = None, surprise: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and bucket periods of (T, S) log probabilities in one partition."""
    shape = log_p.shape
    score, crowd, period = np.zeros(shape), np.zeros((shape[0], 1)), np.zeros((shape[0], 1))
    values, typical = np.full(shape, 2.0), np.full(shape, 1.0)
    score_rows(
        values,
        typical,
        log_p,
        -log_p if surprise is None else surprise,
        np.zeros(shape[1], np.int64),
        900.0,
        0.0,
        0.0,
        np.zeros(CLAIM_BINS),
        np.zeros(shape, np.int16),
        np.zeros((1, 3)) if joint is None else joint,
        score,
        crowd,
        period,
    )
    return score, period


def test_a_shift_of_the_whole_fleet_outranks_one_odd_pod() -> None:
    rng = np.random.default_rng(0)
    ordinary = np.log(rng.uniform(size=(500, 50)))
    joint = np.zeros((1, 3))
    table(ordinary, joint=joint)
    one = np.log(rng.uniform(size=(1, 50)))
    one[0, 7] = -400.0
    fleet = np.full((1, 50), -11.0)
    assert table(fleet, joint=joint.copy())[1] > table(one, joint=joint.copy())[1]


def test_what_orders_the_quiet_is_no_common_evidence() -> None:
    """Every pod in a place where it has hardly been: told of none, and not of all together."""
    rng = np.random.default_rng(0)
    ordinary = np.log(rng.uniform(size=(500, 50)))
    joint = np.zeros((1, 3))
    table(ordinary, joint=joint)
    quiet = np.full((1, 50), -6.0)
    mine = -np.log(rng.uniform(size=(1, 50)))
    assert table(quiet, joint=joint.copy())[1][0, 0] > 0.0
    assert table(quiet, joint=joint.copy(), surprise=mine)[1][0, 0] < 0.0


def test_what_was_not_judged_has_no_score() -> None:
    score, _ = table(np.array([[np.nan, -3.0]]))
    assert np.isnan(score[0, 0])
    assert score[0, 1] > 0.0


def flooded(times: int) -> Ranking:
    """A partition with an episode claimed to come once in 30 days, ``times`` times in ten days."""
    ranking = Ranking()
    periods = np.full((960, 1), -5.0)
    periods[:: 960 // times, 0] = math.log10(30.0) + 0.01
    ranking.learn(periods, np.ones((960, 1)))
    return ranking


def test_a_flood_is_corrected_with_a_trace_and_keeps_its_order() -> None:
    ranking = flooded(320)
    told = score_of(1.3)
    ranking.claims.append(Claim(0.0, SeriesKey("", "w"), 1.3, told))
    ranking.refresh(partitions=1, span_s=900.0, oldest_s=-1.0)
    (rescore,) = ranking.rescores(0)
    assert rescore.score < told
    assert "more often" in rescore.reason
    assert ranking.rescores(0) == []
    grid = [corrected(p, ranking.correction) for p in np.linspace(-2.0, 11.0, 200)]
    assert np.all(np.diff(grid) >= 0.0)


@pytest.mark.parametrize(("window_days", "rescored"), [(30.0, 3), (6.0, 2), (1.0, 0), (0.0, 0)])
def test_renormalisation_reaches_as_far_back_as_its_window(
    window_days: float, rescored: int
) -> None:
    """Spikes on days 16, 19 and 22; on day 24 history turns out to have promised too much."""
    values = noise(24 * DAY, series=3)
    for series, day in enumerate((16, 19, 22)):
        values[day * DAY - 20, series] = 160.0
    settings = analysis(renormalization_window_s=window_days * 86400.0)
    engine, _, outcomes = run(values, settings)
    told = {r.timestamp_s: r for one in outcomes for r in one.records if r.record_score >= 50}
    assert len(told) == 3
    engine.models[0].ranking.episodes[:] = 1e5
    _, _, (after, *later) = run(
        noise(130, series=3, seed=4), settings, engine=engine, first=24 * DAY, cut=65
    )
    changed = {r.timestamp_s: r for r in after.rescores if r.timestamp_s in told}
    assert len(changed) == rescored
    for time_s, rescore in changed.items():
        assert time_s >= after.buckets[0].timestamp_s - window_days * 86400.0
        assert rescore.score < told[time_s].initial_record_score - 1.5
        assert rescore.reason == "episodes like this came more often than its probability said"
    assert not [r for one in later for r in one.rescores if r.timestamp_s in changed]


def test_real_trouble_now_and_then_is_not_corrected() -> None:
    ranking = flooded(int(LEAST_EPISODES) - 1)
    ranking.refresh(partitions=1, span_s=900.0, oldest_s=0.0)
    assert not ranking.correction.any()
