"""A row that changes to the other scale goes on foreseeing what it foresaw."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.contract import Side
from anomaly_operator.engine.layout import (
    CORE,
    DAYS_KNOWN,
    ERROR,
    FIRST,
    LEVEL,
    LOGGED,
    OFFSET,
    RATES,
    SPREAD_LOW,
    SPREAD_UP,
    TRACKERS,
    UNVISITED,
    WEEK_UNIT,
    WEEKDAY,
    WEEKDAYS,
)
from anomaly_operator.engine.levels import SLOW
from anomaly_operator.engine.rescaling import change_scale
from anomaly_operator.engine.scales import from_scale
from tests.engine.building import DAY, analysis, run

HOURS = 24
LEVEL_OF_WEEK = 100.0


def learnt() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A week of offices: by day 190, by night 10; at weekends nobody comes."""
    core = np.zeros(CORE)
    core[LEVEL : LEVEL + TRACKERS] = LEVEL_OF_WEEK
    core[ERROR : ERROR + TRACKERS] = 25.0
    core[FIRST] = LEVEL_OF_WEEK
    core[SPREAD_UP] = core[SPREAD_LOW] = 5.0
    core[DAYS_KNOWN] = WEEKDAYS
    core[WEEK_UNIT] = 0.25
    core[WEEKDAY : WEEKDAY + WEEKDAYS] = [36.0] * 5 + [-90.0] * 2
    day = np.where((np.arange(HOURS) >= 8) & (np.arange(HOURS) < 20), 90.0, -90.0)
    wanted = np.where(np.arange(WEEKDAYS)[:, None] < 5, LEVEL_OF_WEEK + day, 8.0)
    rest = wanted - LEVEL_OF_WEEK - core[WEEKDAY : WEEKDAY + WEEKDAYS, None] - day
    week = np.round(rest.ravel() / core[WEEK_UNIT]).astype(np.int16)
    week[5] = UNVISITED
    return core, day.astype(np.float32), week


def foreseen(core: np.ndarray, day: np.ndarray, week: np.ndarray) -> np.ndarray:
    """(7, 24) what the weekly class says, in the metric's unit."""
    departure = np.where(week == UNVISITED, 0.0, week * core[WEEK_UNIT]).reshape(WEEKDAYS, HOURS)
    level = core[LEVEL + 2 * RATES + SLOW] + core[WEEKDAY : WEEKDAY + WEEKDAYS, None]
    scaled = level + day[None, :] + departure
    told = np.array([from_scale(core, u) for u in scaled.ravel()])
    return np.where(week == UNVISITED, 0.0, told).reshape(WEEKDAYS, HOURS)


def test_every_hour_of_the_week_is_foreseen_as_before() -> None:
    """Also where level and weekday together are below zero, and only the hour brings them back."""
    core, day, week = learnt()
    before = foreseen(core, day, week)
    assert LEVEL_OF_WEEK + core[WEEKDAY + 6] + day.min() < 0.0
    change_scale(core, day, week)
    assert core[LOGGED] == 1.0
    assert core[OFFSET] == pytest.approx(20.0)
    np.testing.assert_allclose(foreseen(core, day, week), before, rtol=0.02, atol=0.5)
    change_scale(core, day, week)
    assert core[LOGGED] == 0.0
    np.testing.assert_allclose(foreseen(core, day, week), before, rtol=0.05, atol=1.5)
    assert week[5] == UNVISITED


def test_traffic_is_never_told_to_be_typical_below_zero() -> None:
    """Quiet weekends of a busy office: the sum of level, weekday and hour may be negative."""
    rng = np.random.default_rng(4)
    hour = np.arange(35 * DAY) % DAY / 4.0
    open_now = (np.arange(35 * DAY) // DAY % 7 < 5) & (hour > 8.0) & (hour < 18.0)
    values = np.where(open_now, 5e5, 4e3)[:, None] * np.exp(0.1 * rng.normal(size=(35 * DAY, 3)))
    settings = analysis(side=Side.BOTH)
    _, columns, _ = run(values, settings)
    told = columns.typical[20:]
    assert np.nanmin(told) >= 0.0
    assert np.nanmin(columns.lower[20:]) >= 0.0
    weekend = ~open_now & (np.arange(35 * DAY) // DAY % 7 >= 5) & (np.arange(35 * DAY) > 21 * DAY)
    ratio = values[weekend] / np.maximum(columns.typical[weekend], 1.0)
    assert np.median(np.abs(np.log(ratio))) < 0.2
