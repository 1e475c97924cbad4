"""Defaults that depend on something: bucket span, UID, target, creation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import integers, uuids

from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetector, AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.defaults import (
    default_frequency,
    default_persist_interval,
    default_prune_window,
    default_renormalization_days,
    with_defaults,
)
from tests.api.cases import EVENTS, detector

CREATED = datetime(2024, 5, 29, tzinfo=UTC)


def resolved(**spec: Any) -> AnomalyDetectorSpec:
    return with_defaults(AnomalyDetector.parse(detector(**spec)).spec, created=CREATED, uid="u")


@pytest.mark.parametrize(
    ("span_s", "frequency_s"), [(1, 1), (3, 1), (60, 30), (900, 450), (1200, 600), (86400, 600)]
)
def test_the_frequency_is_half_a_bucket_span_within_a_second_and_ten_minutes(
    span_s: int, frequency_s: int
) -> None:
    assert default_frequency(timedelta(seconds=span_s)) == timedelta(seconds=frequency_s)


@given(integers(min_value=1, max_value=86400))
def test_the_prune_window_is_whole_buckets_of_at_least_thirty_days(span_s: int) -> None:
    span = timedelta(seconds=span_s)
    window = default_prune_window(span)
    assert window % span == timedelta(0)
    assert timedelta(days=30) <= window < max(timedelta(days=30) + span, 20 * span + span)


@pytest.mark.parametrize(("hours", "days"), [(1, 30), (7, 30), (8, 34), (24, 100)])
def test_scores_are_adjusted_over_thirty_days_or_a_hundred_buckets(hours: int, days: int) -> None:
    assert default_renormalization_days(timedelta(hours=hours)) == days


@given(uuids())
def test_the_persist_interval_is_three_to_four_hours_and_lasting(uid: object) -> None:
    interval = default_persist_interval(str(uid))
    assert timedelta(hours=3) <= interval < timedelta(hours=4)
    assert interval == default_persist_interval(str(uid))


def test_detectors_do_not_all_store_at_once() -> None:
    intervals = {default_persist_interval(f"uid-{n}") for n in range(100)}
    assert len(intervals) > 90


@pytest.mark.parametrize(
    ("spec", "function", "by"),
    [
        ({"detectors": [{"metric": "memory_usage"}]}, "high_max", "pod"),
        ({"detectors": [{"metric": "network_in"}]}, "high_mean", "pod"),
        ({"detectors": [{"metric": "requests"}]}, "mean", "pod"),
        ({"detectors": [{"metric": "events"}]}, "count", "category"),
        ({"target": {"kind": "Node"}}, "high_max", "node"),
        ({"detectors": [{**EVENTS, "function": "rare"}]}, "rare", "category"),
    ],
)
def test_function_and_by_follow_the_metric_and_the_target(
    spec: dict[str, Any], function: str, by: str
) -> None:
    first = resolved(**spec).detectors[0]
    assert (first.function, first.by) == (function, by)


@pytest.mark.parametrize(
    ("spec", "influencers"),
    [
        ({}, ("namespace", "node", "workload", "pod")),
        ({"partitionField": "namespace"}, ("namespace", "node", "workload", "pod")),
        ({"partitionField": "tier"}, ("namespace", "node", "workload", "pod", "tier")),
        ({"target": {"kind": "Node"}, "partitionField": "zone"}, ("node", "zone")),
        ({"influencers": []}, ()),
    ],
)
def test_influencers_are_the_labels_that_apply(
    spec: dict[str, Any], influencers: tuple[str, ...]
) -> None:
    assert resolved(**spec).influencers == influencers


def test_what_was_written_stays() -> None:
    written = {
        "start": "2024-05-01T00:00:00Z",
        "frequency": "1m",
        "backgroundPersistInterval": "5h",
        "renormalizationWindowDays": 0,
        "modelPruneWindow": "40d",
    }
    document = resolved(**written).document()
    assert {name: document[name] for name in written} == written


def test_resolving_twice_changes_nothing_more() -> None:
    once = resolved()
    assert with_defaults(once, created=CREATED + timedelta(days=9), uid="other") == once


def test_annotations_follow_the_model_plot() -> None:
    plotted = resolved(modelPlotConfig={"enabled": True}).model_plot_config
    assert plotted is not None
    assert plotted.annotations_enabled is True
