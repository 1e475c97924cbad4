"""Where a series has been all its life is one of the views that order what nobody is told of."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.contract import Side
from anomaly_operator.engine.layout import (
    BOOST,
    CORE,
    COUNT,
    LOGGED,
    OFFSET,
    PLACE,
    PLACE_SIZE,
    SPREAD_LOW,
    SPREAD_UP,
)
from anomaly_operator.engine.place import (
    SPEAKS,
    learn_place,
    place_surprise,
    without_rhythm,
)
from tests.engine.building import DAY, Floats, analysis, days, noise, run

SETTLED = 48.0  # buckets


def row(*, place: float = 100.0, size: float = 4.0, age: float = 5000.0) -> Floats:
    """A row that has long been there."""
    core = np.zeros(CORE)
    core[[COUNT, BOOST, PLACE, PLACE_SIZE]] = 5000.0, age, place, size
    core[[SPREAD_UP, SPREAD_LOW]] = 5.0
    return core


def surprise(core: Floats, value: float, *, side: int = 0) -> float:
    """What the place says of a value, 100 foreseen."""
    return place_surprise(core, value, 100.0, side, SETTLED)


def humps(*, share: float) -> tuple[Floats, Floats]:
    """Scores of 20 days of noise around 100, and of two days after at ``share`` of that."""
    values = noise(22 * DAY, seed=3)[:, 0]
    values[20 * DAY :] *= share
    _, columns, _ = run(values, analysis(side=Side.BOTH))
    return columns.score[15 * DAY : 20 * DAY, 0], columns.score[20 * DAY :, 0]


@pytest.mark.parametrize("share", [1.5, 0.6, 30.0])
def test_an_accepted_level_outranks_the_old_one_and_is_told_to_nobody(share: float) -> None:
    """It is accepted after hours; what follows is the odder for being there, but no record."""
    before, after = humps(share=share)
    accepted = after[DAY:]
    assert np.median(accepted) > np.quantile(before, 0.95)
    assert np.median(accepted) < 3.0
    assert np.quantile(accepted, 0.98) < 25.0


def test_the_hours_of_a_known_day_are_all_the_same_place() -> None:
    """Peaks of a rhythm are no odder than its troughs."""
    rng = np.random.default_rng(4)
    values = days(24 * DAY) * (1.0 + 0.05 * rng.normal(size=24 * DAY))
    _, columns, _ = run(values, analysis(side=Side.BOTH))
    late = -columns.log_p[16 * DAY :, 0].reshape(-1, DAY)
    by_hour = late.reshape(len(late), 24, -1).mean(axis=(0, 2))
    assert by_hour.max() < 3.0 * by_hour.min()


def test_farther_from_the_place_is_odder_and_sides_are_asked() -> None:
    core = row()
    claims = [surprise(core, 100.0 + off) for off in (0.0, 2.0, 10.0, 1e3, 1e9)]
    assert claims[0] == 0.0
    assert np.all(np.diff(claims) > 0.0)
    assert surprise(core, 110.0) == pytest.approx(surprise(core, 90.0))
    assert surprise(core, 110.0, side=1) > 0.0 == surprise(core, 90.0, side=1)
    assert surprise(core, 90.0, side=-1) > 0.0 == surprise(core, 110.0, side=-1)


def test_a_place_that_was_just_opened_or_is_not_known_says_nothing() -> None:
    assert surprise(row(age=SETTLED - 1.0), 500.0) == 0.0
    assert surprise(row(age=SETTLED), 500.0) > 0.0
    young = row()
    young[[COUNT, BOOST]] = SPEAKS - 1.0
    assert surprise(young, 500.0) == 0.0


def test_a_series_that_stood_still_for_long_is_measured_by_how_it_moves_now() -> None:
    """Else whatever comes after thousands of zeros is equally far out, for weeks."""
    core = row(size=1e-9)
    assert surprise(core, 104.0) < 10.0 < surprise(core, 120.0)


def test_the_clock_is_taken_off_on_either_scale() -> None:
    bases = np.array([0.0, 20.0, 30.0])
    shares = np.array([0.0, 0.0, 0.5, 0.25, 0.25])
    core = row()
    assert without_rhythm(core, 100.0, bases, shares, 1) == 100.0
    assert without_rhythm(core, 100.0, bases, shares, 2) == pytest.approx(95.0)
    assert without_rhythm(core, 100.0, bases, shares, 3) == pytest.approx(87.5)
    core[LOGGED], core[OFFSET] = 1.0, 10.0
    value = without_rhythm(core, np.log(110.0), bases / 100.0, shares, 3)
    assert value == pytest.approx(110.0 * np.exp(-0.125) - 10.0)


def test_a_place_moves_by_its_mean_distance_at_most() -> None:
    """A day at ten times the level hardly moves it; thousands of buckets at another one do."""
    core = row()
    for _ in range(DAY):
        learn_place(core, 1000.0, 1000.0, 1.0)
    assert core[PLACE] == pytest.approx(100.0, abs=0.5)
    assert core[PLACE_SIZE] < 5.0
    for _ in range(20_000):
        learn_place(core, 120.0, 120.0, 1.0)
    assert core[PLACE] == pytest.approx(120.0, abs=2.0)
