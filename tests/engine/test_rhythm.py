"""The day's shape and width: as sharp as what a series does, and no sharper than what was seen."""

from __future__ import annotations

import numpy as np

from anomaly_operator.engine.contract import Side
from anomaly_operator.engine.layout import RowState
from anomaly_operator.engine.rhythm import slot_spread
from tests.engine.building import DAY, Floats, analysis, days, noise, run

BOTH = analysis(side=Side.BOTH)
WEEKS = 28 * DAY


def widths(state: RowState, row: int = 0) -> Floats:
    """Spread of every slot of the day over the row's own."""
    return np.array([slot_spread(state.daily_spread[row], d, 28.0) for d in range(DAY)])


def remembering(buckets: int, *, series: int, memory: float, share: float, seed: int) -> Floats:
    """Normal noise of which a part stays from bucket to bucket, as of traffic, (T, S)."""
    kept = np.exp(-1.0 / memory)
    drawn = np.random.default_rng(seed).normal(size=(buckets, series))
    out = np.empty_like(drawn)
    out[0] = drawn[0]
    for t in range(1, buckets):
        out[t] = kept * out[t - 1] + np.sqrt(1.0 - kept * kept) * drawn[t]
    return np.exp(share * out)


def test_an_even_series_has_an_even_width() -> None:
    """What a slot's few visits say by chance makes no hour jumpy and none deaf."""
    engine, _, _ = run(noise(WEEKS, series=20), BOTH)
    state = engine.models[0].state
    learnt = np.log(state.daily_spread[:20])
    told = np.log(np.array([widths(state, row) for row in range(20)]))
    assert learnt.std() > 0.15
    assert told.std() < 0.4 * learnt.std()


def test_a_wild_hour_keeps_its_own_width() -> None:
    values = noise(WEEKS)[:, 0]
    hour = np.arange(WEEKS) % DAY // 4 == 3
    values[hour] += 40.0 * np.random.default_rng(4).normal(size=hour.sum())
    engine, _, _ = run(values, BOTH)
    found = widths(engine.models[0].state)
    wild = np.arange(DAY) // 4 == 3
    assert found[wild].min() > 3.0 * np.median(found[~wild])
    assert found[30:].max() < 1.5 * np.median(found)


def test_hours_of_noise_are_seldom_a_clock_that_has_changed() -> None:
    """A memory of four hours looks like a rhythm that comes early, for a while."""
    buckets = 77 * DAY
    wiggle = remembering(buckets, series=60, memory=16.0, share=0.15, seed=12)
    _, _, outcomes = run(days(buckets, weekend=0.5)[:, None] * wiggle, BOTH)
    shifts = [a for one in outcomes for a in one.annotations if a.event == "time_shift"]
    assert len(shifts) <= 35  # in 4620 days; 49 while six hours' errors decided


def test_a_saw_tooth_comes_back_from_a_gap_in_any_phase() -> None:
    """Unseen for hours, garbage may have been collected or not."""
    tooth = 100.0 + 2.0 * (np.arange(WEEKS + DAY) % 23)
    values = np.column_stack([noise(WEEKS + DAY, seed=s, share=0.002)[:, 0] for s in range(12)])
    for column in range(12):
        values[:, column] *= tooth / 100.0
        values[WEEKS : WEEKS + 10 + column, column] = np.nan
    _, columns, _ = run(values, analysis(side=Side.BOTH, metric="memory_usage"))
    after = columns.score[WEEKS:]
    assert np.nanmax(after) < 50.0


def test_a_second_quiet_weekend_is_expected_from_its_first_bucket() -> None:
    """The first is told; what explains it then is the weekday, and nothing has to prove that."""
    size = 14 * DAY
    weekday = np.arange(size) // DAY % 7
    values = noise(size, series=8) * days(size)[:, None]
    values[weekday >= 5] *= 0.5
    _, columns, _ = run(values, BOTH)
    second = slice(12 * DAY, 12 * DAY + 8)
    assert np.abs(np.log(columns.typical[second] / values[second])).max() < 0.35
    assert columns.score[second].max() < 25.0
