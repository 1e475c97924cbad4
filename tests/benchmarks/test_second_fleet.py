"""The second generator's fleet is what its labels say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fleet.model import MEMORY, Event, EventKind, Fleet, Settings
from benchmarks.fleet.second import generate, recorded
from benchmarks.fleet.second_trouble import half_range
from benchmarks.sections.second_fleet import FLEETS

SMALL = Settings(
    seed=2,
    workloads=16,
    nodes=3,
    weeks=5.0,
    span_s=3600.0,
    quiet_weeks=1.0,
    events_a_series_month=0.8,
)
DAY = 24  # buckets


@pytest.fixture(scope="module")
def fleet():
    return generate(SMALL)


def test_the_same_seed_gives_the_same_bytes(fleet: Fleet):
    again = generate(SMALL)
    assert fleet.values.tobytes() == again.values.tobytes()
    assert fleet.ordinary.tobytes() == again.ordinary.tobytes()
    assert (fleet.events, fleet.benign) == (again.events, again.benign)
    assert (fleet.series, fleet.pods) == (again.series, again.pods)
    other = generate(replace(SMALL, seed=3))
    assert not np.array_equal(fleet.values[:, 0], other.values[:, 0], equal_nan=True)


def test_values_are_what_a_metric_can_be(fleet: Fleet):
    known = fleet.values[np.isfinite(fleet.values)]
    assert known.min() > 0.0
    assert 0.9 < np.isfinite(fleet.values).mean() < 1.0


def test_every_shape_habit_and_trouble_occurs():
    """A kind that no seed draws would be promised in vain; exfiltration is the first fleet's."""
    fleets = [generate(settings) for settings in FLEETS]
    life = {(info.metric == MEMORY, info.shape) for one in fleets for info in one.series}
    assert {shape for memory, shape in life if memory} == {"flat", "gc", "follow", "grow"}
    assert {shape for memory, shape in life if not memory} == {
        "web",
        "flat",
        "bursty",
        "batch",
        "steady",
    }
    kinds = {event.kind for one in fleets for event in one.events}
    assert kinds == set(EventKind) - {EventKind.EXFILTRATION}


def test_events_lie_within_the_values_and_apart(fleet: Fleet):
    rows, columns = fleet.values.shape
    busy = np.zeros((rows, columns), int)
    for event in fleet.events:
        assert 0 <= event.series < columns
        assert 0 <= event.first <= event.last < event.ignored_until < rows
        assert event.size > 0.0
        inside = fleet.values[event.first : event.last + 1, event.series]
        assert np.isfinite(inside).mean() > 0.5
        busy[event.first : event.last + 1, event.series] += 1
    assert len(fleet.events) > 20
    assert busy.max() == 1


def test_nothing_is_labelled_in_the_quiet_days(fleet: Fleet):
    assert min(event.first for event in fleet.events) >= 7 * DAY
    later = generate(replace(SMALL, quiet_weeks=3.0))
    assert later.events
    assert min(event.first for event in later.events) >= 21 * DAY


def test_values_differ_from_ordinary_life_in_events_and_nowhere_else(fleet: Fleet):
    """A leak's and a step's aftermath is ordinary at once: only the event itself is changed."""
    labelled = np.zeros(fleet.values.shape, bool)
    for event in fleet.events:
        labelled[event.first : event.last + 1, event.series] = True
    there = np.isfinite(fleet.values)
    same = fleet.values == fleet.ordinary
    assert same[there & ~labelled].all()
    for event in fleet.events:
        inside = (slice(event.first, event.last + 1), event.series)
        assert not same[inside][there[inside]].all()


def test_an_events_size_is_its_largest_factor_in_ordinary_half_ranges(fleet: Fleet):
    """Memory is due at one level, so its size can be told from what the fleet shows."""
    checked = 0
    for event in fleet.events:
        values = fleet.values[event.first : event.last + 1, event.series]
        if fleet.series[event.series].metric != MEMORY or not np.isfinite(values).all():
            continue
        ordinary = fleet.ordinary[:, event.series]
        away = np.abs(np.log(ordinary) - np.median(np.log(ordinary)))
        factor = values / ordinary[event.first : event.last + 1]
        size = np.abs(np.log(factor)).max() / np.quantile(away, 0.995)
        assert event.size == pytest.approx(size)
        checked += 1
    assert checked > 5


def test_the_half_range_is_told_from_what_is_due():
    """None but one of 999 is more than a tenth off in logarithms: the quantile leaves it out."""
    due = np.geomspace(1.0, 100.0, 999)
    off = np.tile([0.1, 0.0, -0.1], 333)
    off[7] = 5.0
    assert half_range(7.0 * due * np.exp(off), due) == pytest.approx(0.1, rel=0.01)
    assert half_range(due, due) == 1e-3


def test_an_event_that_fell_into_a_gap_leaves_nothing_behind():
    values = np.ones(20)
    values[3:5] = np.nan
    lost = Event(0, EventKind.SURGE, 3, 6, 8, 2.0)
    kept = Event(0, EventKind.SURGE, 10, 12, 14, 2.0)
    assert recorded([lost, kept], values) == [kept]
    assert np.flatnonzero(np.isnan(values)).tolist() == [3, 4, 5, 6]
