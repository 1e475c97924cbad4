"""The generated fleet is what its labels say: same seed same bytes, events where they are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fleet import grading
from benchmarks.fleet.generate import generate
from benchmarks.fleet.measure import measure, threshold_for
from benchmarks.fleet.model import EventKind, Fleet, Settings

SMALL = Settings(seed=3, workloads=8, nodes=3, weeks=5.0, span_s=1800.0)


@pytest.fixture(scope="module")
def fleet():
    return generate(SMALL)


def test_the_same_settings_give_the_same_fleet(fleet: Fleet):
    again = generate(SMALL)
    assert np.array_equal(fleet.values, again.values, equal_nan=True)
    assert fleet.events == again.events
    other = generate(replace(SMALL, seed=4))
    assert not np.array_equal(fleet.values[:, 0], other.values[:, 0], equal_nan=True)


def test_values_are_what_a_metric_can_be(fleet: Fleet):
    known = fleet.values[np.isfinite(fleet.values)]
    assert known.min() >= 0.0
    assert np.isfinite(fleet.values).mean() > 0.8


def test_outside_of_events_nothing_differs_from_ordinary_life(fleet: Fleet):
    """A pod's event too small to be its node's may still move the node by less than chance does."""
    pods = [i for i, info in enumerate(fleet.series) if info.kind != "Node"]
    quiet = fleet.quiet()[:, pods]
    assert np.array_equal(fleet.values[:, pods][quiet], fleet.ordinary[:, pods][quiet])


def test_events_change_what_they_are_labelled_for(fleet: Fleet):
    changed = 0
    for event in fleet.events:
        inside = slice(event.first, event.last + 1)
        actual = fleet.values[inside, event.series]
        there = np.isfinite(actual)
        if event.kind is not EventKind.STEP and there.any():
            assert not np.array_equal(actual[there], fleet.ordinary[inside, event.series][there])
            changed += 1
    assert changed > 20


def test_no_event_comes_before_the_quiet_weeks_are_over(fleet: Fleet):
    start = SMALL.quiet_weeks * 7 * 86400 / SMALL.span_s
    assert min(event.first for event in fleet.events) >= start


def test_a_rollout_gives_a_deployments_slots_new_pod_names(fleet: Fleet):
    for info, held in zip(fleet.series, fleet.pods, strict=True):
        names = [name for _, name in held]
        if info.kind == "Deployment":
            assert len(set(names)) == len(names)
        if info.kind == "StatefulSet":
            assert set(names) == {f"{info.workload}-{info.slot}"}


def test_a_node_is_the_sum_of_its_pods_and_a_system(fleet: Fleet):
    column = next(i for i, info in enumerate(fleet.series) if info.kind == "Node")
    node = fleet.series[column]
    pods = [
        i
        for i, info in enumerate(fleet.series)
        if info.kind != "Node" and info.node == node.node and info.metric == node.metric
    ]
    pods_sum = np.nansum(fleet.ordinary[:, pods], axis=1)
    rest = fleet.ordinary[:, column] - pods_sum
    steady = np.abs(rest / np.median(rest) - 1.0)
    assert np.median(steady) < 0.2


def test_size_is_told_in_ordinary_half_ranges():
    """Ordinary ratios lie within 0.8..1.2; a value at 1.6 of what is due is three half ranges."""
    rows = 96 * 20
    ordinary = 100.0 * (1.0 + 0.2 * np.tile([1.0, -1.0], rows // 2))
    actual, due = ordinary.copy(), np.full(rows, 100.0)
    actual[1000:1004] = 160.0
    told = {"first": 1000, "last": 1003, "ordinary": ordinary, "due": due}
    told |= {"chance": ordinary / due, "span_s": 900.0}
    assert grading.size(kind=EventKind.SURGE, actual=actual, **told) == pytest.approx(3.0)
    assert grading.size(kind=EventKind.SURGE, actual=due * 1.1, **told) == pytest.approx(0.5)
    assert grading.size(kind=EventKind.SURGE, actual=due * np.nan, **told) == 0.0


def test_a_detector_that_knows_the_labels_finds_all_and_nothing_else(fleet: Fleet):
    scores = np.where(fleet.quiet() | ~np.isfinite(fleet.values), 0.0, 100.0)
    figures = measure(fleet, scores, threshold=50.0)
    assert figures.recall(least=0.0) == 1.0
    assert figures.false_rate == 0.0
    assert figures.median_delay == 0.0


def test_false_episodes_are_counted_a_series_month_and_traced_to_what_came_before(fleet: Fleet):
    scores = np.zeros(fleet.values.shape)
    column = next(i for i, info in enumerate(fleet.series) if info.kind == "Deployment")
    places = np.flatnonzero(fleet.quiet()[:, column])
    scores[places[50], column] = 80.0
    figures = measure(fleet, scores, threshold=50.0)
    assert len(figures.false) == 1
    assert figures.false_rate == pytest.approx(1 / figures.series_months)
    assert figures.false[0].cause in {"cold start", "gap", "rollout"}


def test_the_threshold_for_a_rate_keeps_to_the_rate(fleet: Fleet):
    scores = np.random.default_rng(0).random(fleet.values.shape)
    columns = list(range(len(fleet.series)))
    threshold = threshold_for(fleet, scores, rate=1.0, columns=columns)
    kept = measure(fleet, scores, threshold=threshold).false_rate
    assert 0.3 < kept <= 1.0
