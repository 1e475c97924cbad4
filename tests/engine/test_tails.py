"""Tails against scipy: the compiled formulas are held to the textbook's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats
from scipy import special, stats

from anomaly_operator.engine.layout import CORE, TAIL_UP, TAIL_UP_N
from anomaly_operator.engine.tails import claimed_score, learn_tail, log_sf, normal_score


@settings(deadline=None)
@given(z=floats(-8.0, 1e6))
def test_log_survival_is_scipys_however_far_out(z: float) -> None:
    assert log_sf(z) == pytest.approx(float(special.log_ndtr(-z)), rel=2e-6, abs=1e-12)


@settings(deadline=None)
@given(claim=floats(4.0, 1e6))
def test_a_claim_is_as_rare_as_its_normal_score(claim: float) -> None:
    assert -log_sf(claimed_score(claim)) == pytest.approx(claim, rel=0.06)
    assert claimed_score(-np.log(0.5 * special.erfc(4.0 / np.sqrt(2.0)))) == pytest.approx(
        4.0, abs=0.05
    )


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
