"""What the young may claim, and what is told in the course of an event."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.anomalies import FOLLOWS, TOLD, faded, learn_rest, rested
from anomaly_operator.engine.caution import OPENED_CAP, OPENED_MORE, UNBENT, cautious
from anomaly_operator.engine.layout import (
    BOOST,
    CORE,
    COUNT,
    GROWN,
    LAST_PEAK,
    LASTING_UP,
    RUN,
    RUN_NEWS,
    VIEW_RUN,
)
from anomaly_operator.engine.scoring import MAJOR_AT, claim_at

OLD = 5000.0
SETTLED = 48.0  # buckets
WORKDAY, SATURDAY = 4, 2  # as weekdays.weekday_of counts


COLUMNS = {"run": RUN, "peak": LAST_PEAK, "grown": GROWN, "opened": BOOST, "claimed": RUN_NEWS}


def row(**columns: float) -> np.ndarray:
    core = np.zeros(CORE)
    core[COUNT], core[BOOST], core[GROWN] = OLD, OLD, 3.0
    for name, value in columns.items():
        core[COLUMNS[name]] = value
    return core


def test_a_level_that_was_just_opened_claims_little_and_more_with_every_quarter() -> None:
    claims = [cautious(row(opened=k), 30.0, 900.0, WORKDAY, SETTLED, 1.0) for k in range(48)]
    assert claims[0] == pytest.approx(OPENED_CAP, abs=0.01)
    assert np.all(np.diff(claims) > 0.0)
    assert claims[47] == pytest.approx(OPENED_CAP + 47 * OPENED_MORE, abs=0.5)
    assert cautious(row(opened=SETTLED), 30.0, 900.0, WORKDAY, SETTLED, 1.0) == 30.0
    assert cautious(row(opened=30.0), 30.0, 300.0, WORKDAY, SETTLED, 3.0) == pytest.approx(
        claims[10]
    )


def test_small_claims_are_left_as_they_are_and_order_stays() -> None:
    core = row(opened=0.0)
    small = UNBENT * OPENED_CAP - 0.1
    assert cautious(core, small, 900.0, WORKDAY, SETTLED, 1.0) == small
    claims = [
        cautious(core, claim, 900.0, WORKDAY, SETTLED, 1.0) for claim in np.linspace(0.0, 15.0, 40)
    ]
    assert np.all(np.diff(claims) > 0.0)


@pytest.mark.parametrize("span_s", [300.0, 600.0, 900.0, 3600.0])
def test_before_the_second_day_nothing_is_major_and_before_the_eighth_a_disaster_is(
    span_s: float,
) -> None:
    """The score of 50 asks the more of a bucket the shorter it is, and so the cap gives more."""
    major = claim_at(MAJOR_AT, span_s)
    assert cautious(row(grown=0.0), 100.0, span_s, WORKDAY, SETTLED, 1.0) < major
    assert cautious(row(grown=1.0), 100.0, span_s, WORKDAY, SETTLED, 1.0) > major
    assert cautious(row(grown=1.0), 12.0, span_s, WORKDAY, SETTLED, 1.0) < major


@pytest.mark.parametrize(
    ("run", "in_full"),
    [(0.0, False), (1.0, True), (TOLD, True), (TOLD + 1.0, False)],
    ids=["after it", "its second bucket", "its eighth", "for hours"],
)
def test_an_event_is_told_in_full_while_it_is_new(run: float, *, in_full: bool) -> None:
    told = rested(row(run=run, peak=16.0), 12.0)
    assert (told == 12.0) is in_full
    assert told > 4.0


def test_an_event_is_at_its_loudest_once() -> None:
    """What follows is told in full where it is no less than all before it, else a little less."""
    core = row(run=2.0, peak=16.0, claimed=12.0)
    assert rested(core, 12.0) == 12.0
    assert rested(core, 30.0) == 30.0
    less = [rested(core, claim) for claim in np.linspace(4.0, 11.9, 30)]
    assert np.all(np.diff(less) > 0.0)
    assert less[0] == 4.0
    assert less[-1] == pytest.approx(4.0 + FOLLOWS * 7.9)


def test_the_loudest_of_an_event_is_forgotten_when_it_is_over() -> None:
    core = row(run=3.0)
    for claim in (9.0, 14.0, 11.0):
        learn_rest(core, claim)
    assert core[RUN_NEWS] == 14.0
    core[RUN] = 0.0
    learn_rest(core, 1.0)
    assert core[RUN_NEWS] == 0.0
    assert core[LAST_PEAK] > 13.0


def test_the_beginning_of_trouble_outranks_what_lasts_and_both_stay_critical() -> None:
    """The same claim is worth less the longer it lasts, and never as little as what is certain."""
    told = []
    for lasted in range(60):
        core = row()
        core[VIEW_RUN + LASTING_UP] = lasted
        told.append(faded(core, 80.0, 15.0))
        assert faded(core, 14.0, 15.0) == 14.0
        assert faded(core, 90.0, 15.0) > told[-1]
    assert told[0] == 80.0
    assert np.all(np.diff(told) < 0.0)
    assert told[-1] > 15.0


def test_a_first_weekend_is_no_trouble() -> None:
    """Once a week among sixty series is out of its reach, as it is not on a working day before."""

    def claim(grown: float, weekday: int) -> float:
        return cautious(row(grown=grown), 30.0, 900.0, weekday, SETTLED, 1.0)

    major = claim_at(MAJOR_AT, 900.0)
    assert claim(0.0, WORKDAY) < claim(1.0, SATURDAY) < major < claim(1.0, WORKDAY)
    assert claim(2.0, SATURDAY) == claim(2.0, WORKDAY) > major
