"""A row's own tails against the laws they are to follow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats
from scipy import stats

from anomaly_operator.engine.extremes import (
    EDGE_SURPRISE,
    EXPONENTIAL,
    LIGHTEST_SHAPE,
    NORMAL_SHAPE,
    NORMAL_UNTIL,
    SHARE,
    excess_surprise,
    learn_tail_of,
    lightest_shape,
    tail_surprise,
)
from anomaly_operator.engine.layout import (
    CORE,
    LASTING_N,
    PENDING,
    PENDING_N,
    SINGLE_EDGE,
    SINGLE_EXCESS,
    SINGLE_SQUARE,
    TAIL_UP,
)
from anomaly_operator.engine.single import (
    bent_size,
    home_distance,
    learn_single,
    single_surprise,
    start_single,
)

COLUMNS = (SINGLE_EDGE, SINGLE_EXCESS, SINGLE_SQUARE)


def core() -> np.ndarray:
    fresh = np.zeros(CORE)
    start_single(fresh)
    return fresh


def taught(sizes: np.ndarray) -> np.ndarray:
    """A row that has seen these sizes on its upper side."""
    row = core()
    for n, size in enumerate(sizes):
        learn(row, float(size), n=n)
    return row


def learn(row: np.ndarray, size: float, *, n: int = 1000, odd: bool = False) -> None:
    learn_tail_of(row, size, *COLUMNS, PENDING, PENDING_N, float(n), 1.0, 1.0, odd, 3.0, 0.3, 0.05)


@settings(deadline=None)
@given(shape=floats(0.05, 0.4), excess=floats(0.0, 50.0))
def test_beyond_the_edge_it_is_the_generalised_pareto_law(shape: float, excess: float) -> None:
    """Scale is the mean times (1 - shape), mean square 2 (1 - shape) / (1 - 2 shape)."""
    square = 2.0 * (1.0 - shape) / (1.0 - 2.0 * shape)
    expected = -stats.genpareto.logsf(excess, shape, scale=1.0 - shape)
    assert excess_surprise(excess, square, LIGHTEST_SHAPE) == pytest.approx(
        expected, rel=1e-9, abs=1e-9
    )


@settings(deadline=None)
@given(
    square=floats(1.2, 60.0), edge=floats(0.4, 5.0), lightest=floats(NORMAL_SHAPE, LIGHTEST_SHAPE)
)
def test_a_larger_distance_is_never_less_surprising(
    square: float, edge: float, lightest: float
) -> None:
    row = core()
    row[SINGLE_EDGE], row[SINGLE_SQUARE] = edge, square
    answers = [tail_surprise(row, size, *COLUMNS, lightest) for size in np.linspace(0.0, 60.0, 400)]
    assert np.all(np.diff(answers) > 0.0)
    assert answers[0] == 0.0


def test_at_the_edge_a_share_of_the_buckets_is_beyond() -> None:
    sizes = np.abs(np.random.default_rng(1).normal(size=60_000))
    row = taught(sizes)
    assert np.mean(sizes > row[SINGLE_EDGE]) == pytest.approx(SHARE, rel=0.25)
    assert tail_surprise(row, row[SINGLE_EDGE], *COLUMNS, LIGHTEST_SHAPE) == pytest.approx(
        EDGE_SURPRISE
    )


@pytest.mark.parametrize(
    ("law", "rarity"),
    [(stats.halfnorm(), 1e-4), (stats.expon(), 1e-4), (stats.genpareto(0.2), 1e-4)],
    ids=["normal", "exponential", "power law"],
)
def test_what_is_learnt_tells_one_in_ten_thousand(law: object, rarity: float) -> None:
    """Extrapolated from the 2 % beyond the edge, within a factor three; the middle of five rows."""
    far = law.isf(rarity)  # type: ignore[attr-defined]
    claims = []
    for seed in range(5):
        row = taught(law.rvs(size=20_000, random_state=seed))  # type: ignore[attr-defined]
        claims.append(math.exp(-tail_surprise(row, far, *COLUMNS, LIGHTEST_SHAPE)))
    assert rarity / 3.0 < np.median(claims) < 3.0 * rarity


def test_one_event_does_not_make_its_like_ordinary() -> None:
    """After a single spike of forty spreads in a month a second one is still one in 10^5."""
    rng = np.random.default_rng(5)
    row = core()
    for n, t in enumerate(rng.normal(size=2880)):
        row[LASTING_N] = n
        size = bent_size(40.0 if n == 2000 else t, 1e9)
        learn_single(row, size, 0 if t > 0.0 or n == 2000 else 1, 1.0, 1.0, n == 2000)
    assert single_surprise(row, bent_size(40.0, 1e9), 0) > -math.log(1e-5)
    assert row[SINGLE_SQUARE + 1] < EXPONENTIAL, "the other side has the tail of a normal"


def test_an_event_teaches_when_it_is_over_and_by_its_largest() -> None:
    row, once = core(), core()
    before = row[SINGLE_EXCESS], row[SINGLE_SQUARE]
    for size in (4.0, 6.0, 5.0):
        learn(row, size, n=4000, odd=True)
    assert (row[SINGLE_EXCESS], row[SINGLE_SQUARE]) == before, "while it lasts"
    learn(row, 0.5, n=4000)
    learn(once, 6.0, n=4000)
    assert row[SINGLE_SQUARE] - before[1] == pytest.approx(
        3.0 * (once[SINGLE_SQUARE] - before[1]), rel=0.2
    )
    assert (row[PENDING], row[PENDING_N]) == (0.0, 0.0)


def test_where_the_bulk_is_a_normals_six_spreads_are_nearly_as_rare_as_a_normals() -> None:
    """And where it is Student's, a month that happens to look light is not believed."""
    rng = np.random.default_rng(8)
    row = core()
    for n, t in enumerate(rng.normal(size=20_000)):
        row[LASTING_N] = n
        learn_single(row, bent_size(t, 1e9), 0 if t > 0.0 else 1, 1.0, 1.0, odd=False)
    six = bent_size(6.0, 1e9)
    normal = -stats.norm.logsf(6.0)
    assert 0.85 * normal < single_surprise(row, six, 0) < 1.05 * normal
    row[TAIL_UP] = 0.25
    assert single_surprise(row, six, 0) < 0.75 * normal
    shapes = [lightest_shape(tail) for tail in (0.0, 0.5 * NORMAL_UNTIL, NORMAL_UNTIL, 0.3)]
    assert shapes[0] == pytest.approx(NORMAL_SHAPE)
    assert NORMAL_SHAPE < shapes[1] < shapes[2] == shapes[3] == LIGHTEST_SHAPE


def test_a_long_event_counts_no_more_than_a_short_one() -> None:
    short, long = core(), core()
    for row, buckets in ((short, 3), (long, 300)):
        edge = row[SINGLE_EDGE]
        for _ in range(buckets):
            learn(row, 6.0, odd=True)
            row[SINGLE_EDGE] = edge
        learn(row, 0.5)
    assert long[SINGLE_SQUARE] == short[SINGLE_SQUARE]


def test_what_a_forecast_that_has_left_comes_back_to_is_no_news() -> None:
    assert home_distance(0.5, 10.0, -10.0) == 0.5
    assert home_distance(3.0, 10.0, -10.0) == 9.0
    assert home_distance(0.5, 0.1, 10.0) > 1e5, "the forecast is still where the slow level is"


def test_the_way_home_is_no_larger_than_its_distance_from_the_slow_level() -> None:
    assert bent_size(30.0, 2.0) == bent_size(2.0, 1e9)
    assert bent_size(-30.0, 1e9) == bent_size(30.0, 1e9)
