"""Tails against scipy: the compiled formulas are held to the textbook's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats
from scipy import special, stats

from anomaly_operator.engine.layout import CORE, TAIL_BINS, TAIL_UP, TAIL_UP_N
from anomaly_operator.engine.tails import (
    LN2,
    OWN_SHAPE,
    calibrated,
    learn_tail,
    log_sf,
    normal_score,
    pooled,
)


@settings(deadline=None)
@given(z=floats(-8.0, 1e6))
def test_log_survival_is_scipys_however_far_out(z: float) -> None:
    assert log_sf(z) == pytest.approx(float(special.log_ndtr(-z)), rel=2e-6, abs=1e-12)


@settings(deadline=None)
@given(t=floats(0.0, 60.0), nu=floats(3.0, 200.0))
def test_normal_score_has_the_probability_of_students_t(t: float, nu: float) -> None:
    """Wallace's formula is good to a few per cent of z."""
    expected = -stats.norm.ppf(stats.t.sf(t, nu)) if t < 30 else None
    score = normal_score(t, 1.0 / nu)
    assert normal_score(-t, 1.0 / nu) == -score
    if expected is not None and np.isfinite(expected):
        assert score == pytest.approx(expected, rel=0.04, abs=0.03)


@pytest.mark.parametrize("nu", [3.0, 6.0, 1e6])
def test_learns_the_degrees_of_freedom(nu: float) -> None:
    """After 40 000 values the tail gives p = 1e-4 within a factor three."""
    core = np.zeros(CORE)
    core[TAIL_UP] = 0.1
    for value in np.abs(stats.t.rvs(nu, size=40_000, random_state=1)):
        learn_tail(core, TAIL_UP, TAIL_UP_N, normal_score(value, core[TAIL_UP]), 1.0)
    far = stats.t.isf(0.5e-4, nu)
    share = 2.0 * np.exp(log_sf(normal_score(far, core[TAIL_UP])))
    assert 0.33e-4 < share < 3e-4


def test_pool_of_nothing_is_the_ideal() -> None:
    curve, scale = pooled(np.zeros(TAIL_BINS))
    assert curve == pytest.approx(-LN2 * np.arange(TAIL_BINS + 1), abs=1e-6)
    assert scale == pytest.approx(1.0)


def test_pool_follows_a_model_that_claims_too_much() -> None:
    """Surprises that are twice as large as they should be count half."""
    rng = np.random.default_rng(0)
    record = np.bincount(
        np.minimum(2.0 * rng.exponential(size=10**6) / LN2, TAIL_BINS - 1).astype(int),
        minlength=TAIL_BINS,
    ).astype(float)
    curve, _ = pooled(record)
    assert curve[12] == pytest.approx(-6.0 * LN2, rel=0.05)


def naive_calibrated(surprise: float, record: np.ndarray, pool: np.ndarray, scale: float) -> float:
    """The same with numpy, one edge after the other."""
    above = np.array([record[j:].sum() for j in range(TAIL_BINS + 1)])
    curve = np.log((above + OWN_SHAPE) / (record.sum() + OWN_SHAPE * np.exp(-pool)))
    octaves = surprise / LN2
    if octaves >= TAIL_BINS:
        return float(curve[-1] - (octaves - TAIL_BINS) * LN2 / scale)
    return float(np.interp(octaves, np.arange(TAIL_BINS + 1), curve))


@settings(deadline=None)
@given(surprise=floats(0.0, 40.0), scale=floats(0.7, 3.0))
def test_calibration_is_the_interpolation_it_stands_for(surprise: float, scale: float) -> None:
    rng = np.random.default_rng(3)
    record = np.round(2000 * 0.5 ** np.arange(TAIL_BINS)).astype(np.float32)
    pool = -LN2 * np.arange(TAIL_BINS + 1) * rng.uniform(0.8, 1.0)
    answer = calibrated(surprise, record, pool, scale)
    assert answer == pytest.approx(
        naive_calibrated(surprise, record, pool, scale), rel=1e-6, abs=1e-6
    )


def test_calibrated_falls_strictly() -> None:
    pool, scale = pooled(np.zeros(TAIL_BINS))
    record = np.zeros(TAIL_BINS, np.float32)
    grid = np.linspace(0.0, 60.0, 500)
    answers = [calibrated(s, record, pool, scale) for s in grid]
    assert np.all(np.diff(answers) < 0.0)
