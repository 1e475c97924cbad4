"""A spec becomes what the engine must know: sides, filters, windows, defaults."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from anomaly_operator.adapters.settings import analysis_settings, base_function
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Condition,
    Rule,
    RuleAction,
    Scope,
    Side,
)
from anomaly_operator.errors import SpecError
from anomaly_operator.ports import MetricInfo, SampleKind

DAY_S = 86400.0


def at(written: str) -> float:
    return datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()


def settings(
    *,
    filters: dict[str, tuple[str, ...]] | None = None,
    horizon: tuple[str, str] = ("2024-03-01", "2024-03-08"),
    catalogue: dict[str, MetricInfo] | None = None,
    **spec: Any,
) -> AnalysisSettings:
    model = AnomalyDetectorSpec.parse(
        {"target": {"kind": "Pod"}, "detectors": [{"metric": "memory_usage"}], **spec}
    )
    return analysis_settings(
        model,
        filters or {},
        catalogue=catalogue or {},
        horizon_s=(at(horizon[0]), at(horizon[1])),
    )


@pytest.mark.parametrize(
    ("function", "side", "base"),
    [
        ("max", Side.BOTH, "max"),
        ("min", Side.BOTH, "min"),
        ("mean", Side.BOTH, "mean"),
        ("high_max", Side.HIGH, "max"),
        ("low_mean", Side.LOW, "mean"),
        ("high_median", Side.HIGH, "median"),
    ],
)
def test_the_side_is_what_the_functions_name_says(function: str, side: Side, base: str) -> None:
    (detector,) = settings(detectors=[{"metric": "m", "function": function}]).detectors
    assert (detector.side, base_function(detector.function)) == (side, base)


def test_defaults_are_filled_in() -> None:
    found = settings(bucketSpan="1d", partitionField="zone")
    (detector,) = found.detectors
    assert (detector.function, detector.by, detector.partition_field) == ("high_max", "pod", "zone")
    assert found.influencers == ("namespace", "node", "workload", "pod", "zone")
    assert found.prune_window_s == 30 * DAY_S
    assert found.renormalization_window_s == 100 * DAY_S
    assert found.model_memory_limit_bytes == 1024 * 2**20
    of_nodes = settings(target={"kind": "Node"})
    assert (of_nodes.detectors[0].by, of_nodes.influencers) == ("node", ("node",))


def test_what_the_metric_is_comes_from_the_catalogue() -> None:
    info = MetricInfo("memory_usage", "bytes", SampleKind.GAUGE, 4096.0, non_negative=True)
    known = settings(catalogue={"memory_usage": info}).detectors[0]
    unknown = settings().detectors[0]
    assert (known.resolution, known.non_negative) == (4096.0, True)
    assert (unknown.resolution, unknown.non_negative) == (0.0, False)


def test_rules_have_their_filters_items() -> None:
    rule = {
        "actions": ["skip_result", "skip_model_update"],
        "conditions": [{"appliesTo": "actual", "operator": "lt", "value": 5}],
        "scope": {
            "pod": {"filterId": "batch", "filterType": "exclude"},
            "namespace": {"values": ["dev-*"]},
        },
    }
    detector = {
        "metric": "memory_usage",
        "customRules": [rule],
        "minDeviation": {"absolute": 7, "relative": 0.1},
    }
    found = settings(
        detectors=[detector], filters={"batch": ("job-*", "cron")}, partitionField="namespace"
    ).detectors[0]
    assert found.rules == (
        Rule(
            actions=frozenset({RuleAction.SKIP_RESULT, RuleAction.SKIP_MODEL_UPDATE}),
            conditions=(Condition("actual", "lt", 5.0),),
            scopes=(
                Scope("namespace", ("dev-*",)),
                Scope("pod", ("job-*", "cron"), exclude=True),
            ),
        ),
    )
    assert (found.min_deviation_absolute, found.min_deviation_relative) == (7.0, 0.1)


def test_every_missing_filter_is_named_with_its_path() -> None:
    scope = {"pod": {"filterId": "gone"}}
    window = {
        "name": "w",
        "start": "2024-03-02T00:00:00Z",
        "end": "2024-03-02T01:00:00Z",
        "scope": scope,
    }
    with pytest.raises(SpecError) as raised:
        settings(
            detectors=[{"metric": "m", "customRules": [{"scope": scope}]}],
            maintenanceWindows=[window],
        )
    assert [problem.path for problem in raised.value.problems] == [
        "spec.detectors[0].customRules[0].scope.pod.filterId",
        "spec.maintenanceWindows[0].scope.pod.filterId",
    ]


def window_of(horizon: tuple[str, str] = ("2024-03-01", "2024-03-08"), **more: Any) -> list[str]:
    """Intervals of one window, spelt so that one can read them."""
    found = settings(maintenanceWindows=[{"name": "w", **more}], horizon=horizon)
    spelt = [
        [f"{datetime.fromtimestamp(time_s, UTC):%d %H:%M}" for time_s in interval]
        for interval in found.windows[0].intervals
    ]
    return [" to ".join(both) for both in spelt]


def test_a_window_that_happens_once_is_there_where_it_touches_the_horizon() -> None:
    once = {"start": "2024-03-02T10:00:00Z", "end": "2024-03-02T11:00:00Z"}
    assert window_of(**once) == ["02 10:00 to 02 11:00"]
    assert window_of(("2024-03-03", "2024-03-04"), **once) == []


def test_a_schedule_is_read_in_its_own_time_zone_also_across_daylight_saving() -> None:
    """Berlin is an hour ahead on 30 March 2024 and two on the 31st; "04:30" stays 04:30."""
    nightly = {"schedule": "30 4 * * *", "duration": "1h", "timezone": "Europe/Berlin"}
    assert window_of(("2024-03-30", "2024-04-01"), **nightly) == [
        "30 03:30 to 30 04:30",
        "31 02:30 to 31 03:30",
    ]


def test_a_window_that_began_before_the_horizon_is_still_open_in_it() -> None:
    weekly = {"schedule": "0 22 * * 4", "duration": "4h"}  # Thursday; 1 March 2024 is a Friday
    assert window_of(("2024-03-01", "2024-03-02"), **weekly) == ["29 22:00 to 01 02:00"]


def test_windows_that_overlap_themselves_are_one() -> None:
    hourly = {"schedule": "0 * * * *", "duration": "90m"}
    assert window_of(("2024-03-01", "2024-03-02"), **hourly) == ["29 23:00 to 02 00:30"]


def test_a_date_that_never_comes_is_no_window() -> None:
    assert window_of(schedule="0 0 30 2 *", duration="1h") == []
