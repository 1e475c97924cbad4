"""What models tell of themselves: each annotation provoked, and what its text says held true."""

from __future__ import annotations

import re

import numpy as np
import pytest

from anomaly_operator.engine.contract import Annotation, Condition, Rule, RuleAction, Side
from tests.engine.building import DAY, MONDAY_S, QUARTER, Floats, analysis, days, noise, run

WEEKS = 4 * 7 * DAY


def told(values: Floats, event: str, **changes: object) -> list[Annotation]:
    """Annotations of one event over a single series."""
    _, _, outcomes = run(values, analysis(**changes))
    return [each for one in outcomes for each in one.annotations if each.event == event]


def bucket_of(annotation: Annotation) -> int:
    return round((annotation.timestamp_s - MONDAY_S) / QUARTER)


def amount_in(text: str) -> float:
    return float(re.findall(r"[-\d.,e+]*\d", text)[0].replace(",", ""))


@pytest.mark.parametrize(("times", "unit"), [(3.0, 1.0), (0.3, 1.0), (2.0, 2.5e7)])
@pytest.mark.parametrize("event", ["level_shift", "level_accepted"])
def test_a_shift_names_the_level_the_series_has_gone_to(
    event: str, times: float, unit: float
) -> None:
    """Not the one it came from, which is what was typical in that bucket."""
    values = noise(WEEKS)[:, 0] * unit
    values[-DAY:] *= times
    (annotation,) = told(values, event, side=Side.BOTH)
    assert 0 <= bucket_of(annotation) - (WEEKS - DAY) < DAY / 2
    way = 100.0 * unit * abs(times - 1.0)
    assert amount_in(annotation.text) == pytest.approx(100.0 * unit * times, abs=0.1 * way)
    assert annotation.end_timestamp_s - annotation.timestamp_s == QUARTER


def test_a_daily_rhythm_is_found_once_and_lost_once() -> None:
    values = days(24 * DAY) * (1.0 + 0.05 * np.random.default_rng(1).normal(size=24 * DAY))
    values[12 * DAY :] = noise(12 * DAY)[:, 0]
    (found,) = told(values, "seasonality_found")
    (lost,) = told(values, "seasonality_lost")
    assert 3 * DAY <= bucket_of(found) < 4 * DAY
    assert found.text == "Values follow the time of day: a rhythm is now expected"
    assert 12 * DAY < bucket_of(lost) < 22 * DAY
    assert lost.text == "Values no longer follow the time of day"


def test_a_weekly_rhythm_is_told_apart_from_a_daily_one() -> None:
    drawn = np.random.default_rng(1).normal(size=WEEKS)
    values = days(WEEKS, weekend=0.5) * (1.0 + 0.05 * drawn)
    assert [each.text for each in told(values, "seasonality_found")] == [
        "Values follow the time of day: a rhythm is now expected",
        "Values follow the day of the week: a rhythm is now expected",
    ]


@pytest.mark.parametrize("kind", ["noise", "wandering", "heavy tails"])
def test_where_there_is_no_rhythm_none_is_announced(kind: str) -> None:
    drawn = np.random.default_rng(7).normal(size=WEEKS)
    values = {
        "noise": 100.0 + 5.0 * drawn,
        "wandering": 1000.0 + np.cumsum(drawn),
        "heavy tails": 100.0 * np.exp(0.8 * drawn),
    }[kind]
    assert told(values, "seasonality_found", side=Side.BOTH) == []


def test_clocks_that_change_and_a_spread_that_grows_are_told() -> None:
    drawn = np.random.default_rng(1).normal(size=WEEKS)
    values = days(WEEKS) * (1.0 + 0.03 * drawn)
    moved = np.concatenate([values[: 21 * DAY], values[21 * DAY + 4 :]])
    (shift,) = told(moved, "time_shift")
    assert 0 <= bucket_of(shift) - 21 * DAY < 2 * DAY
    wide = noise(WEEKS)[:, 0]
    wide[14 * DAY :] = noise(WEEKS, seed=9, share=0.25)[14 * DAY :, 0]
    assert told(wide, "scale_change", side=Side.BOTH)[0].text == "Values vary more than before"


def sentences(values: Floats, since: int, **changes: object) -> list[str]:
    """What the records from a bucket on say."""
    _, _, outcomes = run(values, analysis(**changes))
    return [
        record.explanation.sentence
        for one in outcomes
        for record in one.records
        if record.timestamp_s >= MONDAY_S + since * QUARTER
    ]


def test_the_clock_is_named_only_of_a_series_that_follows_it() -> None:
    flat = noise(WEEKS)[:, 0]
    flat[-1] *= 4.0
    (of_flat,) = sentences(flat, WEEKS - 1)
    assert "than typical; " in of_flat
    waves = days(WEEKS) * (1.0 + 0.05 * np.random.default_rng(1).normal(size=WEEKS))
    waves[-1] *= 4.0
    (of_waves,) = sentences(waves, WEEKS - 1)
    assert "than typical for a Sunday 23:45 UTC; " in of_waves


def test_a_young_series_is_not_said_to_have_done_so_before() -> None:
    values = noise(DAY)[:, 0]
    values[-1] *= 4.0
    (first,) = sentences(values, DAY - 1)
    assert first.endswith("told with caution, as little of this series is known yet")


def test_what_a_series_does_often_is_said_to_be_so() -> None:
    values = noise(WEEKS)[:, 0]
    at = np.sort(np.random.default_rng(3).choice(np.arange(100, WEEKS - 200), 30, replace=False))
    values[at] = 180.0
    known = "as this series has done so before"
    assert any(known in text for text in sentences(values, int(at[2])))
    once = noise(WEEKS)[:, 0]
    once[-1] = 180.0
    assert not any(known in text for text in sentences(once, 0))


@pytest.mark.parametrize("operator", ["lt", "gte"])
def test_a_rule_compares_with_the_typical_value_that_is_shown(operator: str) -> None:
    """While something lasts, what is shown is the level before; the forecast has followed."""
    values = noise(20 * DAY)[:, 0]
    values[-40:] += np.linspace(0.0, 60.0, 40)
    condition = Condition("diff_from_typical", operator, 25.0)
    rule = Rule(frozenset({RuleAction.SKIP_RESULT}), (condition,))
    _, columns, outcomes = run(values, analysis(rules=(rule,)))
    off = np.abs(values - columns.typical[:, 0])
    told_at = {round((r.timestamp_s - MONDAY_S) / QUARTER) for o in outcomes for r in o.records}
    muted_at = {round((m.timestamp_s - MONDAY_S) / QUARTER) for o in outcomes for m in o.muted}
    applies = off < 25.0 if operator == "lt" else off >= 25.0
    assert told_at
    assert muted_at
    assert not any(applies[t] for t in told_at)
    assert all(applies[t] for t in muted_at)
