"""Every shipped alert fires when it should and not before, as promtool sees it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from anomaly_operator.controller.alert_rules import render
from anomaly_operator.reconcile.configuration import OperatorConfig
from tests.support.debian_packages import environment, program

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "manifests/base/prometheus-rules.yaml"
JOB = 'namespace="shop", detector="memory", shard="0"'
SERIES = 'namespace="shop",detector="memory",metric="memory_usage",function="high_max",entity="web"'

# Alert -> series, minutes after which it fires and before which it does not (None: never).
CASES: dict[str, tuple[str, dict[str, str], int, int | None]] = {
    "a critical score": (
        "AnomalyCritical",
        {f"anomaly_record_score{{{SERIES}}}": "80x20"},
        1,
        None,
    ),
    "a major score is not critical": (
        "AnomalyCritical",
        {f"anomaly_record_score{{{SERIES}}}": "60x20"},
        -1,
        None,
    ),
    "a major score": ("AnomalyMajor", {f"anomaly_record_score{{{SERIES}}}": "60x20"}, 1, None),
    "a minor score": ("AnomalyMajor", {f"anomaly_record_score{{{SERIES}}}": "49x20"}, -1, None),
    "a failed detector": (
        "AnomalyDetectorFailed",
        {'anomaly_operator_detectors{state="failed"}': "1x30"},
        11,
        5,
    ),
    "no failed detector": (
        "AnomalyDetectorFailed",
        {'anomaly_operator_detectors{state="failed"}': "0x30"},
        -1,
        None,
    ),
    "a stalled detector": (
        "AnomalyDetectorStalled",
        {'anomaly_operator_detectors_stalled{reason="InvalidSpec"}': "1x30"},
        16,
        10,
    ),
    "a worker that is down": (
        "AnomalyWorkerDown",
        {'up{job="anomaly-workers",instance="10.0.0.7:8080"}': "0x30"},
        6,
        3,
    ),
    "another job that is down": (
        "AnomalyWorkerDown",
        {'up{job="node-exporter",instance="10.0.0.7:9100"}': "0x30"},
        -1,
        None,
    ),
    "a backfill that stands still": (
        "AnomalyBackfillStuck",
        {
            f"anomaly_detector_buckets_processed_total{{{JOB}}}": "100x80",
            f'anomaly_detector_state{{{JOB}, state="backfill"}}': "1x80",
        },
        50,
        14,
    ),
    "a backfill that moves": (
        "AnomalyBackfillStuck",
        {
            f"anomaly_detector_buckets_processed_total{{{JOB}}}": "100+50x80",
            f'anomaly_detector_state{{{JOB}, state="backfill"}}': "1x80",
        },
        -1,
        None,
    ),
    "a source that fails": (
        "AnomalySourceUnavailable",
        {f'anomaly_detector_source_errors_total{{{JOB}, reason="SourceUnavailable"}}': "0+1x40"},
        20,
        5,
    ),
    "a source that failed once": (
        "AnomalySourceUnavailable",
        {f'anomaly_detector_source_errors_total{{{JOB}, reason="SourceUnavailable"}}': "0 1x40"},
        -1,
        None,
    ),
    "no memory for new series": (
        "AnomalyModelMemoryHardLimit",
        {f'anomaly_detector_memory_status{{{JOB}, status="hard_limit"}}': "1x30"},
        16,
        10,
    ),
    "nothing judged for an hour": (
        "AnomalyNoData",
        {
            f"anomaly_detector_bucket_lag_seconds{{{JOB}}}": "4000x30",
            f'anomaly_detector_state{{{JOB}, state="live"}}': "1x30",
        },
        16,
        10,
    ),
    "a backfill is always behind": (
        "AnomalyNoData",
        {
            f"anomaly_detector_bucket_lag_seconds{{{JOB}}}": "400000x30",
            f'anomaly_detector_state{{{JOB}, state="live"}}': "0x30",
        },
        -1,
        None,
    ),
    "results that cannot be stored": (
        "AnomalyResultsNotStored",
        {f"anomaly_detector_store_errors_total{{{JOB}}}": "0+1x40"},
        15,
        5,
    ),
    "an operator that fails again and again": (
        "AnomalyOperatorErrors",
        {'anomaly_operator_reconcile_errors_total{reason="Forbidden"}': "0+1x60"},
        40,
        10,
    ),
    "no operator": ("AnomalyOperatorDown", {"something_else": "1x30"}, 11, 5),
}


@pytest.fixture(scope="module")
def promtool() -> Path:
    return program("prometheus", "promtool")


def run(promtool: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool, *arguments],
        env=environment("prometheus"),
        capture_output=True,
        text=True,
        check=False,
    )


def firing(promtool: Path, folder: Path, *, alert: str, series: dict[str, str], at: int) -> bool:
    """Whether the alert fires ``at`` minutes: promtool is told that nothing does, and disagrees."""
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in series.items()],
                "alert_rule_test": [{"eval_time": f"{at}m", "alertname": alert, "exp_alerts": []}],
            }
        ],
    }
    file = folder / f"{alert}-{at}.yaml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    done = run(promtool, "test", "rules", file)
    said = done.stdout + done.stderr
    assert done.returncode == 0 or f"alertname: {alert}" in said, said
    return done.returncode != 0


@pytest.mark.e2e
@pytest.mark.parametrize("sentence", CASES)
def test_alert(sentence: str, promtool: Path, tmp_path: Path):
    alert, series, fires_at, not_at = CASES[sentence]
    if fires_at < 0:
        assert not firing(promtool, tmp_path, alert=alert, series=series, at=20)
        return
    assert firing(promtool, tmp_path, alert=alert, series=series, at=fires_at)
    if not_at is not None:
        assert not firing(promtool, tmp_path, alert=alert, series=series, at=not_at)


@pytest.mark.e2e
def test_every_alert_has_a_case_and_promtool_finds_nothing_wrong(promtool: Path):
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert alerts == {alert for alert, *_ in CASES.values()}
    done = run(promtool, "check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_prometheus_rule_holds_the_same_groups():
    text = RULES.read_text()
    config = OperatorConfig(pod_monitor_labels={"release": "stack"})
    made = render({"data": {"rules.yaml": text}}, config=config)
    assert made["spec"] == yaml.safe_load(text)
    assert made["metadata"]["labels"]["release"] == "stack"
