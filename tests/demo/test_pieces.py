"""The demo's pure parts: manifests, history, readings of statuses, what is said."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from anomaly_operator.devcluster.demo import (
    faults,
    history,
    installing,
    records,
    running,
    statuses,
    workloads,
)
from anomaly_operator.devcluster.demo.reporting import Anomaly, Report

POD = history.Entity(
    {"namespace": "shop", "workload": "uploader", "pod": "uploader-a-b", "node": "node-1"},
    {"memory_usage": 2e7, "network_in": 1e3, "network_out": 7e4},
)


def test_the_manifests_are_read_as_kustomize_would_apply_them() -> None:
    documents = installing.read_kustomization(installing.find_project() / "manifests" / "base")
    kinds = [document["kind"] for document in documents]
    assert kinds[0] == "Namespace"
    assert {"CustomResourceDefinition", "Deployment", "ClusterRole", "ConfigMap"} <= set(kinds)
    deployment = next(d for d in documents if d["kind"] == "Deployment")
    assert deployment["metadata"]["namespace"] == "anomaly-system"
    subjects = [s for d in documents for s in d.get("subjects") or ()]
    assert {s["namespace"] for s in subjects if s["kind"] == "ServiceAccount"} == {"anomaly-system"}


def test_four_weeks_are_written_around_the_level_a_pod_really_has(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    rows = history.write_past(path, [POD], end_s=1_800_000_000.0)
    with path.open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert rows == len(table) == 28 * 96 * 3
    sent = [float(row["value"]) for row in table if row["metric"] == "network_out"]
    assert np.median(sent) == pytest.approx(7e4, rel=0.15)
    # The incident of nine days ago, four times what a quiet hour sends, tops every busy one.
    assert max(sent) > 1.5 * np.quantile(sent, 0.98)
    times = [float(row["timestamp"]) for row in table]
    assert times == sorted(times)
    assert times[-1] < 1_800_000_000.0 <= times[-1] + 2 * history.STEP_S
    assert {row["workload"] for row in table} == {"uploader"}


def test_the_same_past_is_written_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        history.write_past(tmp_path / name, [POD], end_s=1_800_000_000.0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


DETECTOR = {
    "metadata": {"name": "pods-live"},
    "status": {
        "state": "opened",
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Opened"},
            {"type": "SourceReady", "status": "False", "reason": "TLS", "message": "no trust"},
        ],
        "shards": [
            {
                "backfill": {"percent": 40.0},
                "dataCounts": {"bucketCount": 7},
                "modelSizeStats": {"seriesCount": 3},
                "anomalies": {"major": 1, "critical": 2},
                "recentAnomalies": [
                    {
                        "time": "2026-11-22T11:00:02Z",
                        "metric": "memory_usage",
                        "entity": "basket-a-b",
                        "score": 90.4,
                        "actual": 2.0**27,
                        "typical": 2.0**25,
                        "summary": "4x higher",
                    }
                ],
            },
            {"backfill": {"percent": 20.0}, "dataCounts": {"bucketCount": 9}},
        ],
    },
}


def test_statuses_are_summed_over_shards_and_the_slowest_shard_counts() -> None:
    assert statuses.backfill_percent(DETECTOR) == 20.0
    assert statuses.buckets(DETECTOR) == 7
    assert statuses.row(DETECTOR) == ("pods-live", "opened", "True", "3", "7", "1", "2")
    assert statuses.problems([DETECTOR]) == ["pods-live: SourceReady=False TLS: no trust"]
    assert [a.entity for a in statuses.anomalies(DETECTOR)] == ["basket-a-b"]


def test_the_worst_anomaly_of_each_entity_and_metric_is_shown() -> None:
    found = statuses.anomalies(DETECTOR)[0]
    milder, other = replace(found, score=60.0), replace(found, entity="web-a-b", time="2026")
    assert statuses.worst([milder, found, other]) == [other, found]


def test_only_the_first_sign_of_a_fault_after_it_began_counts_as_caught() -> None:
    shown = statuses.anomalies(DETECTOR)[0]
    begun = datetime.fromisoformat("2026-11-22T11:00:03Z")
    verdict = faults.Verdict(begun=begun, span=timedelta(seconds=2))
    earlier = replace(shown, time="2026-11-22T11:00:00Z")
    of_another = replace(shown, entity="web-a-b")
    for other in (earlier, of_another, replace(shown, metric="network_out")):
        assert not list(verdict.judge(other, after_s=1.0))
    assert [fault.order for fault in verdict.judge(shown, after_s=9.0)] == ["leak"]
    assert not list(verdict.judge(shown, after_s=11.0))
    assert verdict.caught == {"leak": (9.0, shown)}
    assert not verdict.is_good
    list(verdict.judge(replace(shown, entity="uploader-a-b", metric="network_out"), after_s=9.0))
    assert verdict.is_good


def test_weekends_of_the_past_are_quiet_and_come_by_degrees() -> None:
    monday = 1_799_625_600  # 2027-01-11T00:00:00Z
    times = monday + np.arange(0, 7 * history.DAY_S, history.STEP_S, dtype=np.float64)
    values = history.generate(POD, "network_out", times=times)
    days = values.reshape(7, -1).mean(axis=1)
    assert days[5:].max() < 0.9 * days[:5].min()
    # A step of the week's 0.7 x 0.45 at midnight would change 30 % at once; noise is 6 %.
    smooth = np.convolve(values, np.ones(8) / 8, mode="valid")
    assert np.abs(np.diff(smooth) / smooth[1:]).max() < 0.1


def test_a_detector_without_a_status_yet_is_no_error() -> None:
    bare = {"metadata": {"name": "new"}}
    assert statuses.row(bare) == ("new", "-", "-", "0", "0", "0", "0")
    assert statuses.backfill_percent(bare) == 0.0


def test_without_a_terminal_all_is_said_in_plain_lines() -> None:
    written = io.StringIO()
    report = Report(Console(file=written, highlight=False))
    for percent in (0.0, 4.0, 12.0, 13.0, 100.0, 100.0):
        report.progress("pods-four-weeks", percent)
    report.end_progress()
    found: list[Anomaly] = statuses.anomalies(DETECTOR)
    report.anomaly(found[0])
    lines = [line[10:].strip() for line in written.getvalue().splitlines()]
    assert lines == [
        "pods-four-weeks: 0 %",
        "pods-four-weeks: 12 %",
        "pods-four-weeks: 100 %",
        (
            "anomaly pods-live: memory_usage of basket-a-b was 128 MiB, 32.0 MiB is typical "
            "(4x higher; score 90)"
        ),
    ]


def test_a_worker_that_does_not_answer_is_named_and_ends_nothing() -> None:
    """Killed on a bad day, or without an address yet."""
    labels = {"anomaly-operator.dev/detector": "pods-live"}
    pods = [
        {"metadata": {"name": "killed", "labels": labels}, "status": {"podIP": "127.99.99.99"}},
        {"metadata": {"name": "young", "labels": labels}},
        {"metadata": {"name": "operator"}},
    ]
    assert asyncio.run(records.of_workers(pods, ["pods-live"])) == ([], ["killed", "young"])


def test_a_detector_that_somebody_deletes_is_named() -> None:
    found = {"pods-live": DETECTOR}
    assert running.those(found, ["pods-live"]) == [DETECTOR]
    with pytest.raises(running.DemoFailed, match="AnomalyDetector nodes-live: deleted"):
        running.those(found, ["pods-live", "nodes-live"])


def test_where_to_look_further_can_be_copied_line_by_line() -> None:
    written = io.StringIO()
    report = Report(Console(file=written, highlight=False))
    report.pointers({f"export KUBECONFIG={'x' * 200}": "", "kubectl get andet": "how [they] are"})
    _, exported, command, _ = written.getvalue().split("\n")[:4]
    assert exported == f"  export KUBECONFIG={'x' * 200}"
    assert command == "  kubectl get andet  # how [they] are"


def test_every_workload_that_is_told_to_misbehave_is_there() -> None:
    deployments = [d for d in workloads.render_workloads() if d["kind"] == "Deployment"]
    names = {d["metadata"]["name"] for d in deployments}
    assert {"basket", "uploader", "web"} <= names
    assert workloads.render_orders(leak=True, surge=False)["data"] == {"leak": "on", "surge": "off"}
