"""A backtest is the live engine over a file: same results whatever the file looks like."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomaly_operator.adapters.settings import analysis_settings
from anomaly_operator.adapters.sources import time_partitions
from anomaly_operator.adapters.sources.table_problems import TableError
from anomaly_operator.devtools import backtest
from anomaly_operator.devtools.backtest import Progress, Request, run
from anomaly_operator.devtools.backtest_manifest import load_detector
from anomaly_operator.devtools.backtest_summary import Summary
from anomaly_operator.engine.bucketing import Bucketing, BucketingSettings
from anomaly_operator.engine.engine import Engine
from anomaly_operator.errors import SpecError
from tests.backtest import data
from tests.backtest.data import SPAN_S, START_S, SURGE_S

COLUMNS = [
    "timestamp",
    "detector_index",
    "metric",
    "namespace",
    "pod",
    "actual",
    "typical",
    "lower",
    "upper",
    "probability",
    "multi_bucket_impact",
    "initial_record_score",
    "record_score",
    "log10_probability",
]


def backtested(
    folder: Path, table: Path | Sequence[data.Row], *others: dict[str, Any], **more: Any
) -> tuple[Summary, list[dict[str, str]]]:
    """Run, and read the results back."""
    given = {name: more.pop(name) for name in list(more) if name in Request.__slots__}
    spec, filters = load_detector(data.manifest(folder / "detector.yaml", *others, **more), ())
    path = table if isinstance(table, Path) else data.write(folder / "in.csv", table)
    request = Request(spec, filters, path, folder / "out.csv", **given)
    summary = run(request, Progress(lambda _rows: None, lambda _share: None))
    with (folder / "out.csv").open(newline="") as file:
        return summary, list(csv.DictReader(file))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data.write(tmp_path_factory.mktemp("table") / "in.csv", data.rows())


def test_a_surge_is_a_record_and_ordinary_days_are_quiet(tmp_path: Path, table: Path) -> None:
    summary, found = backtested(tmp_path, table)
    severe = [row for row in found if float(row["record_score"]) >= 50]
    assert severe
    assert {row["pod"] for row in severe} == {"db-0"}
    times = [int(row["timestamp"]) for row in severe]
    assert times[0] == SURGE_S
    assert len(set(times) & set(range(SURGE_S, SURGE_S + 7200, SPAN_S))) >= 5, "all of 8 are odd"
    assert list(found[0])[: len(COLUMNS)] == COLUMNS
    assert (summary.rows, summary.series, summary.buckets) == (2880, 3, 960)
    assert summary.alerts == len({row["pod"] for row in severe if float(row["record_score"]) >= 75})


def test_all_buckets_are_what_a_worker_would_conclude_bucket_by_bucket(
    tmp_path: Path, table: Path
) -> None:
    """The same samples, handed over live: one bucket at a time, and the engine asked each time."""
    _, found = backtested(tmp_path, table, all_buckets=True)
    spec, _ = load_detector(tmp_path / "detector.yaml", ())
    settings = analysis_settings(spec, {}, catalogue=backtest.BUILT_IN, horizon_s=(0, 1))
    bucketing = Bucketing(BucketingSettings(0, "max", SPAN_S, "pod"), START_S)
    engine = Engine(settings)
    series = tuple(
        {"namespace": "shop", "pod": pod, "workload": pod.split("-")[0]} for pod in data.PODS
    )
    live: dict[tuple[int, str], tuple[float, ...]] = {}
    for time_s in range(START_S, START_S + data.DAYS * 86400, SPAN_S):
        values = np.array([data.value_at(pod, time_s) for pod in data.PODS])
        bucketing.add(
            series, np.arange(3, dtype=np.int32), time_s=np.full(3, float(time_s)), value=values
        )
        block = bucketing.close(time_s + SPAN_S)
        assert block is not None
        columns = engine.advance([block]).columns[0]
        for position, labels in enumerate(block.series.labels):
            live[time_s, labels["pod"]] = (
                block.values[0, position],
                columns.typical[0, position],
                columns.lower[0, position],
                columns.upper[0, position],
                np.nan_to_num(columns.score[0, position]),
            )
    assert len(found) == len(live) == 2880
    for row in found:
        expected = live[int(row["timestamp"]), row["pod"]]
        names = ("actual", "typical", "lower", "upper", "record_score")
        got = [float(row[name] or "nan") for name in names]
        assert got == pytest.approx(expected, rel=1e-9, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("all_buckets", [False, True])
def test_order_and_repetition_of_rows_are_of_no_account(
    tmp_path: Path, table: Path, *, all_buckets: bool
) -> None:
    _, expected = backtested(tmp_path, table, all_buckets=all_buckets)
    shuffled = data.rows() + data.rows()[100:200]
    random.Random(7).shuffle(shuffled)
    summary, found = backtested(tmp_path, shuffled, all_buckets=all_buckets)
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert summary.samples.repeated == 100


def test_a_file_larger_than_memory_gives_the_same(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = backtested(tmp_path, table, all_buckets=True)
    small = time_partitions.TimePartitions
    monkeypatch.setattr(
        backtest, "TimePartitions", lambda width_s: small(width_s, memory_bytes=1000)
    )
    monkeypatch.setattr(backtest, "STEP_CELLS", 30)
    _, found = backtested(tmp_path, table, all_buckets=True)
    assert found == expected


def test_fine_samples_become_buckets_by_the_function(tmp_path: Path) -> None:
    rows = [
        (START_S + 60 * minute, "memory_usage", float(minute), "shop", "db-0")
        for minute in range(60)
    ]
    detectors = [
        {"metric": "memory_usage", "function": function} for function in ("max", "low_mean", "sum")
    ]
    _, found = backtested(tmp_path, rows, all_buckets=True, detectors=detectors)
    first = {int(row["detector_index"]): float(row["actual"]) for row in found[::4]}
    assert first == {0: 14.0, 1: 7.0, 2: 105.0}


def test_a_counter_becomes_a_rate(tmp_path: Path) -> None:
    rows = [(START_S + 60 * n, "network_in", 600.0 * n, "shop", "db-0") for n in range(60)]
    _, found = backtested(
        tmp_path,
        rows,
        all_buckets=True,
        counters=frozenset({"network_in"}),
        detectors=[{"metric": "network_in"}],
    )
    assert [float(row["actual"]) for row in found] == [10.0] * 4


def test_a_workload_is_the_sum_of_its_pods(tmp_path: Path) -> None:
    rows = [
        (START_S + n * SPAN_S, "memory_usage", 5.0, "shop", pod)
        for n in range(4)
        for pod in data.PODS
    ]
    detectors = [{"metric": "memory_usage", "by": "workload"}]
    _, found = backtested(tmp_path, rows, all_buckets=True, detectors=detectors)
    assert {float(row["actual"]) for row in found} == {5.0, 10.0}
    assert {row["pod"] for row in found} == {""}


def test_any_labels_make_entities_and_times_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    lines = [
        f"2024-05-01 {hour:02}:{minute:02}:00,{hour},{host}"
        for hour in range(24)
        for minute in (0, 15, 30, 45)
        for host in ("h1", '"h,2"')
    ]
    path.write_text("\n".join(["timestamp,value,host", *lines]))
    summary, found = backtested(tmp_path, path, all_buckets=True)
    assert summary.series == 2
    assert {row["host"] for row in found} == {"h1", "h,2"}
    assert {row["timestamp"] for row in found} >= {"2024-05-01T00:00:00Z", "2024-05-01T23:45:00Z"}
    assert any("no column 'pod'" in note for note in summary.notes)


def test_one_series_without_any_label_is_an_entity(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    lines = [f"{START_S + n * SPAN_S},{n % 5}" for n in range(100)]
    path.write_text("\n".join(["timestamp,value", *lines]))
    summary, found = backtested(tmp_path, path, all_buckets=True)
    assert (summary.series, len(found)) == (1, 100)


def test_only_the_time_asked_for_is_analysed(tmp_path: Path, table: Path) -> None:
    summary, found = backtested(
        tmp_path, table, all_buckets=True, from_s=START_S + 86400, to_s=START_S + 2 * 86400
    )
    assert summary.buckets == 96
    assert min(int(row["timestamp"]) for row in found) == START_S + 86400


def test_a_row_of_a_wrong_clock_does_not_cost_years(tmp_path: Path) -> None:
    wrong = (0, "memory_usage", 5.0, "shop", "db-0")
    summary, found = backtested(tmp_path, [wrong, *data.rows(days=2)], all_buckets=True)
    assert len(found) == 1 + 2 * 96 * 3
    assert summary.buckets < 5000  # and not the 1.9 million of 54 years


def test_rules_and_windows_withhold_what_they_cover(tmp_path: Path, table: Path) -> None:
    """A rule over a filter's pods, or a nightly window, mutes the surge; the summary says so."""
    items = {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "AnomalyFilter",
        "metadata": {"name": "databases", "namespace": "shop"},
        "spec": {"items": ["db-*"]},
    }
    rule = {"scope": {"pod": {"filterId": "databases"}}}
    ruled, quiet = backtested(
        tmp_path, table, items, detectors=[{"metric": "memory_usage", "customRules": [rule]}]
    )
    assert not [row for row in quiet if float(row["record_score"]) >= 50]
    window = {"name": "nightly", "schedule": "0 5 * * *", "duration": "3h"}
    windowed, still = backtested(tmp_path, table, maintenanceWindows=[window])
    assert not [row for row in still if SURGE_S <= int(row["timestamp"]) < SURGE_S + 7200]
    assert ruled.muted > 0
    assert windowed.muted > 0


def test_a_metric_that_is_not_there_is_told_with_those_that_are(
    tmp_path: Path, table: Path
) -> None:
    with pytest.raises(TableError, match=r"network_in.*it has memory_usage"):
        backtested(tmp_path, table, detectors=[{"metric": "network_in"}])
    some = [{"metric": "network_in"}, {"metric": "memory_usage"}]
    summary, _ = backtested(tmp_path, table, detectors=some)
    assert "no rows for network_in" in summary.notes


def test_a_failed_run_leaves_the_old_results(tmp_path: Path, table: Path) -> None:
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(TableError):
        backtested(tmp_path, table, from_s=1e12)
    assert (tmp_path / "out.csv").read_text() == "old"
    assert not list(tmp_path.glob("*.part"))


def test_a_filter_that_is_nowhere_is_told_with_its_line(tmp_path: Path, table: Path) -> None:
    rule = {"scope": {"pod": {"filterId": "nowhere"}}}
    with pytest.raises(SpecError, match=r"detector.yaml:\d+: .*nowhere"):
        backtested(tmp_path, table, detectors=[{"metric": "memory_usage", "customRules": [rule]}])


def test_two_detectors_in_a_file_are_one_too_many(tmp_path: Path) -> None:
    path = data.manifest(tmp_path / "one.yaml")
    text = path.read_text()
    path.write_text(f"{text}---\n{text.replace('name: shop', 'name: other')}")
    with pytest.raises(SpecError, match=r"holds 2 \(shop, other\)"):
        load_detector(path, ())


def test_the_summary_joins_records_that_follow_each_other_into_one_alert(
    tmp_path: Path, table: Path
) -> None:
    summary, found = backtested(tmp_path, table, alert_at=25.0)
    scored = [row for row in found if float(row["record_score"]) >= 25]
    assert len(scored) > 1
    assert 0 < summary.alerts < len(scored)
    (worst,) = [one for one in summary.top if one.start_s <= SURGE_S < one.end_s]
    assert worst.worst.series.family == "shop/db"
    assert replace(summary.samples, accepted=0) == type(summary.samples)()
