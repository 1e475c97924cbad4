"""What peers got wrong, and what an operator must see: one scenario a test."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.contract import Side
from tests.engine.building import DAY, analysis, days, noise, run

WEEKS = 4 * 7 * DAY
MINOR, MAJOR, CRITICAL = 25.0, 50.0, 75.0


def rhythm(buckets: int, *, seed: int = 1, weekend: float = 0.6) -> np.ndarray:
    """Days and weekends with five per cent of noise."""
    drawn = np.random.default_rng(seed).normal(size=buckets)
    return days(buckets, weekend=weekend) * (1.0 + 0.05 * drawn)


def late_scores(values: np.ndarray, since: int, **changes: object) -> np.ndarray:
    """Scores from a bucket on."""
    _, columns, _ = run(values, analysis(**changes))
    return columns.score[since:, 0]


def events(values: np.ndarray, **changes: object) -> list[tuple[str, int]]:
    """Annotations as (event, bucket)."""
    _, _, outcomes = run(values, analysis(**changes))
    start = outcomes[0].buckets[0].timestamp_s
    return [
        (each.event, round((each.timestamp_s - start) / 900))
        for outcome in outcomes
        for each in outcome.annotations
    ]


def test_what_is_still_critical_after_hours_ranks_below_its_beginning() -> None:
    """Whoever sorts by score wants to see first when it began."""
    values = noise(21 * DAY, seed=3)[:, 0]
    values[20 * DAY :] *= 10.0
    scores = late_scores(values, 20 * DAY)
    assert scores[1:8].min() > scores[18:24].max() + 5.0
    assert scores[:24].min() >= CRITICAL


def test_a_level_shift_near_the_end_of_training_is_reported_then_accepted() -> None:
    """Vmanomaly 1.30.1: and it must not go on for days."""
    values = rhythm(WEEKS + 3 * DAY)
    values[WEEKS:] *= 1.8
    scores = late_scores(values, WEEKS)
    assert scores[:8].max() >= MAJOR
    assert scores[DAY:].max() < MAJOR
    told = [at for event, at in events(values) if event == "level_accepted" and at >= WEEKS]
    assert told
    assert told[0] - WEEKS < DAY


def test_a_nightly_job_is_rhythm_after_a_few_nights() -> None:
    """Netdata 13584: the 6 a.m. cron."""
    values = noise(16 * DAY)[:, 0]
    values[24::DAY] *= 4.0
    _, columns, _ = run(values)
    nights = columns.score[24::DAY, 0]
    assert nights[5:].max() < MAJOR
    assert columns.typical[24 + 12 * DAY, 0] > 300.0


@pytest.mark.parametrize("seed", range(4))
def test_a_daily_job_that_comes_at_any_minute_stays_familiar(seed: int) -> None:
    """No slot of the day knows it; its row's events do, on the day the week becomes known too."""
    values = noise(22 * DAY, seed=seed, share=0.02)[:, 0]
    at = np.arange(22) * DAY + 48 + np.random.default_rng(seed).integers(-6, 7, 22)
    values[at] = 400.0
    _, columns, _ = run(values)
    assert columns.score[at[3:], 0].max() < MINOR
    assert columns.score[at[2], 0] >= MAJOR


def test_a_weekly_peak_is_rhythm_after_a_few_weeks() -> None:
    values = noise(8 * 7 * DAY)[:, 0]
    values[24 :: 7 * DAY] *= 4.0
    _, columns, _ = run(values)
    assert columns.score[24 :: 7 * DAY, 0][5:].max() < MAJOR
    assert columns.typical[24 + 6 * 7 * DAY, 0] > 200.0


def test_a_constant_series_that_moves_is_seen_once_it_moves() -> None:
    """Netdata 12967: a constant is no anomaly, leaving it is one."""
    values = np.full(16 * DAY, 50.0)
    values[-4:] = 80.0
    scores = late_scores(values, 1)
    assert scores[:-4].max() < 3.0
    assert scores[-4:].max() >= MAJOR


@pytest.mark.parametrize("side", [Side.LOW, Side.BOTH])
def test_traffic_that_drops_to_zero_is_seen(side: Side) -> None:
    values = rhythm(WEEKS)
    values[-8:] = 0.0
    assert late_scores(values, WEEKS - 8, side=side).max() >= MAJOR


def test_a_high_side_does_not_see_drops() -> None:
    values = rhythm(WEEKS)
    values[-8:] = 0.0
    assert late_scores(values, WEEKS - 8).max() < 3.0


def test_memory_that_falls_to_nothing_has_been_restarted() -> None:
    values = noise(WEEKS, share=0.01)[:, 0]
    values[-40:-30] = np.linspace(5.0, 100.0, 10)
    scores = late_scores(values, WEEKS - 42, side=Side.BOTH, metric="memory_usage")
    assert scores.max() < MAJOR
    assert late_scores(values, WEEKS - 42, side=Side.BOTH).max() >= MAJOR


def test_a_slow_leak_is_seen_before_half_of_its_way() -> None:
    """Two days from the level to twice of it; no single bucket rises by a spread."""
    values = noise(WEEKS, share=0.02)[:, 0]
    leak = np.linspace(0.0, 100.0, 2 * DAY)
    values[-2 * DAY :] += leak
    scores = late_scores(values, WEEKS - 2 * DAY)
    assert int(np.argmax(scores >= MAJOR)) < DAY
    assert scores.max() >= MAJOR


def test_daylight_saving_is_a_time_shift() -> None:
    values = rhythm(WEEKS + 7 * DAY, weekend=1.0)
    values[WEEKS:] = rhythm(7 * DAY + 4, weekend=1.0)[4:]  # the day begins an hour early
    told = [at for event, at in events(values) if event == "time_shift"]
    assert told
    assert 0 <= told[0] - WEEKS < 2 * DAY
    assert late_scores(values, WEEKS + 2 * DAY).max() < MAJOR


def test_growth_of_a_tenth_a_day_is_ordinary() -> None:
    values = rhythm(WEEKS) * np.linspace(1.0, 4.0, WEEKS)
    assert late_scores(values, 15 * DAY).max() < MAJOR


def test_variation_below_the_floor_is_never_anomalous() -> None:
    values = np.full(WEEKS, 1e9)
    values[-1] += 9e4  # below 0.01 % of the level
    assert late_scores(values, WEEKS - 1).max() < 3.0
    values[-1] = 1.3e9
    assert late_scores(values, WEEKS - 1).max() >= MAJOR
    assert late_scores(values, WEEKS - 1, resolution=4e8).max() < 3.0


def test_a_fifth_of_the_level_may_be_ruled_out() -> None:
    """OpenSearch's default, here ``minDeviation.relative``: no record nearer than that, ever."""
    values = noise(WEEKS, share=0.005)[:, 0]
    values[-1] = 115.0
    assert late_scores(values, WEEKS - 1).max() >= MAJOR
    assert late_scores(values, WEEKS - 1, min_deviation_relative=0.2).max() == 0.0
    values[-1] = 125.0
    assert late_scores(values, WEEKS - 1, min_deviation_relative=0.2).max() >= MAJOR


def test_the_first_small_move_of_a_series_that_never_moved_is_no_alarm() -> None:
    """A service that used 1000 MB for weeks has not failed when it uses 1010."""
    values = np.full(WEEKS, 1e9)
    values[-20:] = 1.01e9
    assert late_scores(values, WEEKS - 20).max() < MINOR


def test_a_new_constant_level_is_accepted_though_it_is_far_in_spreads() -> None:
    """After 24 buckets and some; spreads of a constant series are nothing to stand still in."""
    values = np.full(WEEKS, 1e9)
    values[-100:] = 2e9
    scores = late_scores(values, WEEKS - 100)
    assert scores[:4].max() >= MAJOR
    assert scores[60:].max() < MINOR


@pytest.mark.parametrize("level", [1.0, 1e5, 2.5e9])
def test_a_step_that_changes_the_scale_is_accepted_as_soon_as_any_other(level: float) -> None:
    """The step makes the logarithm fit better; what it had come so far was kept in bytes."""
    values = noise(WEEKS)[:, 0] * level / 100.0
    values[-2 * DAY :] *= 2.0
    told = [at for event, at in events(values, side=Side.BOTH) if event == "level_accepted"]
    assert [at - (WEEKS - 2 * DAY) for at in told] == [23]
    assert late_scores(values, WEEKS - DAY, side=Side.BOTH).max() < MAJOR


def test_ten_samples_give_no_severe_score() -> None:
    values = noise(10)[:, 0]
    values[-1] = 1e6
    assert late_scores(values, 1).max() < 25.0


def test_a_familiar_spike_loses_and_a_larger_one_stays() -> None:
    values = noise(WEEKS)[:, 0]
    rng = np.random.default_rng(3)
    for at in np.sort(rng.choice(np.arange(100, WEEKS - 200), 24, replace=False)):
        values[at] = 180.0
    usual, larger = values.copy(), values.copy()
    usual[-1], larger[-1] = 180.0, 1200.0
    assert late_scores(usual, WEEKS - 1).max() < MAJOR
    assert late_scores(larger, WEEKS - 1).max() > late_scores(usual, WEEKS - 1).max()


def test_a_continuing_anomaly_fades_unless_it_worsens() -> None:
    values = noise(WEEKS)[:, 0]
    values[-12:] = 170.0
    _, columns, _ = run(values)
    assert np.argmax(columns.score[-12:, 0]) < 8


def test_a_scale_change_is_reported() -> None:
    values = noise(WEEKS)[:, 0]
    values[14 * DAY :] = noise(WEEKS, seed=9, share=0.25)[14 * DAY :, 0]
    assert "scale_change" in {event for event, _ in events(values, side=Side.BOTH)}


def test_seasonality_is_found_and_lost() -> None:
    values = rhythm(20 * DAY, weekend=1.0)
    values[10 * DAY :] = noise(10 * DAY)[:, 0]
    told = [event for event, _ in events(values)]
    assert "seasonality_found" in told
    assert "seasonality_lost" in told
