"""From this machine's real metrics to a delivered alert, through real programs.

Node exporter reports this machine; Prometheus scrapes it and holds a past in which the machine used
next to no memory; the worker reads Prometheus; what it finds is on its /metrics, which Prometheus
scrapes; a rule of ours fires, and Alertmanager delivers it.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.prometheus import Running, alertmanager, fill, node_exporter, openmetrics
from tests.support.prometheus import prometheus as running_prometheus
from tests.support.whole_cluster import ROOT, SYSTEM, WholeCluster

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]

SPAN_S = 5
PAST_S = 6 * 3600
NAME = "this-machine"


class Receiver:
    """What Alertmanager sends to: keeps every alert."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        alerts = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                alerts.extend(json.loads(self.rfile.read(length))["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def named(self, alert: str) -> list[dict[str, Any]]:
        return [each for each in self.alerts if each["labels"]["alertname"] == alert]


@contextmanager
def receiver() -> Iterator[Receiver]:
    receiving = Receiver()
    thread = threading.Thread(target=receiving.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiving
    finally:
        receiving.server.shutdown()
        thread.join(10)
        receiving.server.server_close()


def past(exporter: Running, *, until_s: float) -> str:
    """Six hours of a machine that uses 20 MB of its memory, give or take one."""
    labels = (("instance", exporter.address), ("job", "node"))
    answer = httpx.get(f"{exporter.url}/metrics", timeout=10).text
    total = next(
        float(line.split()[1])
        for line in answer.splitlines()
        if line.startswith("node_memory_MemTotal_bytes ")
    )
    times = [until_s - PAST_S + SPAN_S * i for i in range(PAST_S // SPAN_S)]
    used = [20e6 + 1e6 * math.sin(0.7 * i) + 3e5 * math.sin(2.3 * i) for i in range(len(times))]
    return openmetrics(
        {
            "node_memory_MemTotal_bytes": ("gauge", {labels: [(t, total) for t in times]}),
            "node_memory_MemAvailable_bytes": (
                "gauge",
                {labels: [(t, total - u) for t, u in zip(times, used, strict=True)]},
            ),
        }
    )


def detector() -> dict[str, Any]:
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - PAST_S + 60))
    return {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "AnomalyDetector",
        "metadata": {"name": NAME, "namespace": SYSTEM},
        "spec": {
            "target": {"kind": "Node"},
            "sourceRef": {"name": NAME},
            "start": start,
            "bucketSpan": f"{SPAN_S}s",
            "frequency": "1s",
            "queryDelay": "3s",
            "detectors": [{"metric": "memory_usage"}],
            "analysisLimits": {"modelMemoryLimit": "32mb"},
        },
    }


def source(prometheus: Running) -> dict[str, Any]:
    return {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "MetricSource",
        "metadata": {"name": NAME},
        "spec": {"type": "prometheus", "prometheus": {"url": prometheus.url}},
    }


def worker_address(cluster: WholeCluster) -> str:
    (pod,) = cluster.workers(NAME)
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    return f"{pod['status']['podIP']}:{port}"


def test_metrics_of_this_machine_become_a_delivered_alert(cluster: WholeCluster, tmp_path: Path):
    if not cluster.local:
        pytest.skip("the worker of an existing cluster cannot reach this machine's loopback")
    targets = tmp_path / "workers.json"
    targets.write_text("[]", encoding="utf-8")
    scrape = {
        "scrape_configs": [
            {"job_name": "anomaly-worker", "file_sd_configs": [{"files": [str(targets)]}]}
        ]
    }
    rules = [ROOT / "manifests" / "base" / "prometheus-rules.yaml"]
    with (
        node_exporter(tmp_path / "exporter") as exporter,
        receiver() as receiving,
        alertmanager(tmp_path / "alertmanager", webhook=receiving.url) as manager,
    ):
        scrape["scrape_configs"].append(
            {"job_name": "node", "static_configs": [{"targets": [exporter.address]}]}
        )
        fill(tmp_path / "prometheus", past(exporter, until_s=time.time()))
        with running_prometheus(
            tmp_path / "prometheus",
            rules=rules,
            alertmanagers=[manager.address],
            settings=scrape,
        ) as prometheus:
            cluster.apply(source(prometheus), detector())
            try:
                cluster.opened(NAME)
                targets.write_text(
                    json.dumps([{"targets": [worker_address(cluster)]}]), encoding="utf-8"
                )
                anomaly = cluster.until(
                    "an anomaly in the status",
                    lambda: next(iter(cluster.status(NAME).get("recentAnomalies") or ()), None),
                    within_s=120,
                )
                alert = cluster.until(
                    "the alert delivered",
                    lambda: next(iter(receiving.named("AnomalyCritical")), None),
                    within_s=60,
                )
                events = cluster.kubectl("-n", SYSTEM, "get", "events", "-o", "wide")
            finally:
                cluster.kubectl("-n", SYSTEM, "delete", "andet", NAME)
                cluster.kubectl("delete", "msrc", NAME)
    assert anomaly["metric"] == "memory_usage"
    assert anomaly["actual"] > 2 * anomaly["typical"]
    assert anomaly["score"] >= 75
    assert alert["labels"]["detector"] == NAME
    assert alert["labels"]["namespace"] == SYSTEM
    assert alert["labels"]["severity"] == "critical"
    assert f"anomalydetector/{NAME}" in events
