"""The third generator's fleet is what its labels say, and its goals count what both units name."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from benchmarks.fleet.model import MEMORY, METRICS, EventKind, Fleet, Settings
from benchmarks.fleet.third import Made, fair, generate
from benchmarks.fleet.third_columns import local_sd
from benchmarks.fleet.third_day import Job, draw_course, planned
from benchmarks.fleet.third_grid import CLOCK_CHANGE_S, Grid, overlap
from benchmarks.fleet.third_noise import sawtooth
from benchmarks.fleet.third_trouble import UNIT, deviations
from benchmarks.sections.third_fleet import PLANS

SMALL = Settings(seed=4, workloads=20, nodes=4, weeks=6.0, span_s=3600.0)
DAY = 24  # buckets


@pytest.fixture(scope="module")
def made():
    return generate(SMALL)


@pytest.fixture(scope="module")
def fleet(made: Made):
    return made.fleet


def test_the_same_seed_gives_the_same_bytes(fleet: Fleet):
    again = generate(SMALL).fleet
    assert fleet.values.tobytes() == again.values.tobytes()
    assert fleet.ordinary.tobytes() == again.ordinary.tobytes()
    assert (fleet.events, fleet.benign) == (again.events, again.benign)
    assert (fleet.series, fleet.pods) == (again.series, again.pods)
    other = generate(replace(SMALL, seed=5)).fleet
    assert not np.array_equal(fleet.values[:, 0], other.values[:, 0], equal_nan=True)


def test_values_are_what_a_metric_can_be(fleet: Fleet):
    known = np.isfinite(fleet.values)
    assert fleet.values[known].min() >= 0.0
    assert 0.8 < known.mean() < 1.0
    memory = fleet.values[:, fleet.columns_of(MEMORY)]
    assert (memory[np.isfinite(memory)] % 4096 == 0).all()


def test_every_role_habit_and_trouble_occurs():
    """A kind that no seed draws would be promised in vain."""
    fleets = [plan.make().fleet for plan in PLANS]
    infos = [info for fleet in fleets for info in fleet.series]
    life = {(info.metric == MEMORY, *info.shape.split("/")[:2]) for info in infos}
    pods = [each for each in life if each[1] != "node"]
    assert {role for _, role, *_ in pods} == {
        "web",
        "api",
        "worker",
        "db",
        "cache",
        "batch",
        "idle",
    }
    assert {habit for memory, _, habit in pods if memory} == {"gc", "load", "plain", "warm"}
    shapes = {shape for memory, _, shape in pods if not memory}
    assert shapes == {"flat", "sine", "office", "bumps"}
    kinds = {event.kind for each in fleets for event in each.events}
    assert kinds == set(EventKind)
    benign = {each.kind for fleet in fleets for each in fleet.benign}
    assert benign == {"rollout", "scale_out", "arrival", "gap", "clock_change"}


def test_events_lie_within_the_values_and_apart(fleet: Fleet):
    """In a node, events of two of its pods may meet; in a pod there is one at a time."""
    rows, columns = fleet.values.shape
    busy = np.zeros((rows, columns), int)
    for event in fleet.events:
        assert 0 <= event.series < columns
        assert 0 <= event.first <= event.last <= event.ignored_until < rows
        assert event.size > 0.0
        inside = fleet.values[event.first : event.last + 1, event.series]
        assert np.isfinite(inside).mean() > 0.5
        assert event.from_a_pod == (fleet.series[event.series].kind == "Node")
        if not event.from_a_pod:
            busy[event.first : event.last + 1, event.series] += 1
    assert len(fleet.events) > 100
    assert busy.max() == 1


def test_nothing_is_labelled_in_the_first_days(fleet: Fleet):
    assert min(event.first for event in fleet.events) >= 5 * DAY


def test_values_differ_from_ordinary_life_in_events_and_nowhere_else(fleet: Fleet):
    """What a lasting step leaves is ordinary at once, and memory is told in whole pages.

    Right after an event a bucket may be touched by less than the share that makes it the event's.
    """
    labelled = np.zeros(fleet.values.shape, bool)
    for event in fleet.events:
        labelled[max(0, event.first - 1) : event.ignored_until + 1, event.series] = True
    pods = [column for column, info in enumerate(fleet.series) if info.kind != "Node"]
    there = np.isfinite(fleet.values)
    near = np.isclose(fleet.values, fleet.ordinary, rtol=1e-9, atol=4096)
    assert near[:, pods][(there & ~labelled)[:, pods]].all()
    changed = ~np.isclose(fleet.values, fleet.ordinary, rtol=1e-6)
    for event in fleet.events:
        if event.stands_out and not event.from_a_pod:
            assert changed[event.first : event.last + 1, event.series].any()


def test_a_node_holds_the_sum_of_its_pods(made: Made):
    """What remains is what a node uses itself: steady, whatever befalls its pods."""
    fleet = made.fleet
    for metric in METRICS:
        least, most = (2.0**30, 2.0**32) if metric == MEMORY else (1e5, 1e6)
        for column in fleet.columns_of(metric):
            node = fleet.series[column]
            if node.kind != "Node":
                continue
            pods = [
                other
                for other in fleet.columns_of(metric)
                if fleet.series[other].node == node.node and other != column
            ]
            # Where one pod's sample was lost, the node's still holds what that pod used; slots of
            # a scale-out are empty most of the time.
            lasting = [each for each in pods if np.isfinite(fleet.values[:, each]).mean() > 0.9]
            seen = np.isfinite(fleet.values[:, [column, *lasting]]).all(axis=1)
            own = fleet.values[:, column] - np.nansum(fleet.values[:, pods], axis=1)
            own = own[seen]
            assert len(own) > 20 * DAY
            usual = np.median(own)
            assert 0.95 * least < usual < 1.05 * most
            assert np.quantile(np.abs(own - usual), 0.95) < 0.1 * usual


def test_an_events_size_is_its_median_distance_in_local_deviations(made: Made):
    """Told anew from the arrays, for missing traffic; what it hardly touched does not count.

    Samples that were lost since make the deviation another by a little.
    """
    fleet, checked = made.fleet, 0
    for event in fleet.events:
        column = event.series
        inside = slice(event.first, event.last + 1)
        values, due = fleet.values[inside, column], made.due[inside, column]
        if event.kind is not EventKind.MISSING or event.from_a_pod or np.isnan(values).any():
            continue
        ratio = np.where(np.isfinite(fleet.values[:, column]), made.chance[:, column], np.nan)
        away = np.abs(values - due) / due
        sizes = []
        for left, right in product((0, 1), repeat=2):
            core = away[left : len(away) - right]
            if len(core):
                middle = (event.first + left + event.last - right) / 2
                sd = local_sd(ratio, middle=middle, span_s=SMALL.span_s)
                sizes.append(UNIT * np.median(core) / sd)
        assert any(event.size == pytest.approx(size, rel=0.02) for size in sizes)
        checked += 1
    assert checked > 5


def test_distance_is_told_by_the_core_of_each_kind():
    due, values = np.ones(6), np.array([1.1, 1.1, 1.1, 1.2, 1.3, 1.9])
    told = {kind: deviations(kind, values, due, due, sd=0.1) for kind in EventKind}
    assert told[EventKind.SPIKE] == pytest.approx(9.0)
    assert told[EventKind.LEAK] == pytest.approx(6.0)
    assert told[EventKind.SURGE] == pytest.approx(1.5)


def test_fair_keeps_the_smaller_size_and_all_else(made: Made):
    """Local deviations know nothing of tails: in some series five of them are nothing odd."""
    judged, agreed = made.fleet.events, fair(made).events
    assert len(judged) == len(agreed)
    for ours, theirs in zip(agreed, judged, strict=True):
        assert ours.size <= theirs.size
        assert replace(ours, size=theirs.size) == theirs
    assert 0 < sum(each.stands_out for each in agreed) < sum(each.stands_out for each in judged)
    assert fair(made).values is made.fleet.values


def test_pods_follow_each_other_in_their_slot(fleet: Fleet):
    for info, pods in zip(fleet.series, fleet.pods, strict=True):
        since = [first for first, _ in pods]
        assert since == sorted(set(since))
        assert max(since) < len(fleet.values)
        if info.kind == "StatefulSet":
            assert len(pods) == 1
    assert max(len(pods) for pods in fleet.pods) > 2


def test_the_clock_changes_where_it_is_asked_to():
    moved = generate(SMALL, clock_change=True).fleet
    assert moved.start_s < CLOCK_CHANGE_S < moved.times_s[-1]
    changes = {each.first for each in moved.benign if each.kind == "clock_change"}
    assert changes == {int((CLOCK_CHANGE_S - moved.start_s) // SMALL.span_s)}


def test_a_job_adds_its_height_while_it_runs():
    """Planned at 03:30 for an hour: half of the bucket of 03:00, half of the next."""
    grid = Grid(0.0, 3 * DAY, 3600.0, np.zeros(3 * DAY), changes=False)
    job = Job(hour=3.5, length_h=1.0, height=4.0, weekday=None, jitter_s=0.0, utc=True, spread=0.0)
    load = planned([job], grid)
    assert load[3] == load[4] == pytest.approx(2.0)
    assert load.sum() == pytest.approx(3 * 4.0)
    # 1 January 1970 was a Thursday, which is 3.
    assert planned([replace(job, weekday=4)], grid)[:DAY].sum() == 0.0
    assert planned([replace(job, weekday=3)], grid)[:DAY].sum() == pytest.approx(4.0)


def test_overlap_is_the_share_of_each_bucket():
    share = overlap(np.array([0.0, 10.0, 20.0]), 10.0, first_s=5.0, last_s=22.0)
    assert share.tolist() == [0.5, 1.0, 0.2]


def test_teeth_begin_anew_with_every_pod():
    teeth = sawtooth(
        np.random.default_rng(1), 200, span_s=3600.0, period_h=(30.0, 30.0), births=[100]
    )
    assert teeth[100] < 0.06
    assert teeth.min() >= 0.0
    assert teeth.max() < 1.3


def test_people_do_not_make_the_load_of_most_machines():
    shapes = [draw_course(np.random.default_rng(seed), "worker").shape for seed in range(200)]
    assert 0.5 < shapes.count("flat") / len(shapes) < 0.7
    assert "office" not in shapes
