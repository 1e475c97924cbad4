"""The demo's sources and detectors: four weeks in quarters of an hour, and live in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from anomaly_operator.api.group import API_VERSION
from anomaly_operator.devcluster.apiclient.resources import JsonObject, Resource
from anomaly_operator.devcluster.demo.workloads import NAMESPACE

OPERATOR_NAMESPACE = "anomaly-system"
HISTORY_SOURCES = {"Pod": "history-of-pods", "Node": "history-of-nodes"}
LIVE_SOURCE = "kubelet"
HISTORY_DETECTORS = ("pods-four-weeks", "nodes-four-weeks")
LIVE_DETECTORS = ("pods-live", "nodes-live")
LIVE_SPAN_S = 2
METRICS = ("memory_usage", "network_in", "network_out")

# Differences that are nobody's concern, however rare: pods here hold some 20 MiB and send some KiB.
MIN_DEVIATION: Mapping[str, JsonObject] = {
    "memory_usage": {"absolute": 2 * 2**20, "relative": 0.1},
    "network_in": {"absolute": 2 * 2**10, "relative": 0.25},
    "network_out": {"absolute": 2 * 2**10, "relative": 0.25},
}

GROUP, _, VERSION = API_VERSION.partition("/")
DETECTORS = Resource(GROUP, VERSION, "anomalydetectors", "AnomalyDetector")
SOURCES = Resource(GROUP, VERSION, "metricsources", "MetricSource", namespaced=False)


def render_sources(tables: Mapping[str, Path]) -> list[JsonObject]:
    """Render the generated past, which real figures go on filling, and the kubelets themselves."""
    past: list[JsonObject] = [
        {
            "apiVersion": API_VERSION,
            "kind": "MetricSource",
            "metadata": {"name": name},
            "spec": {"type": "table", "table": {"path": str(tables[kind]), "follow": True}},
        }
        for kind, name in HISTORY_SOURCES.items()
    ]
    return [
        *past,
        {
            "apiVersion": API_VERSION,
            "kind": "MetricSource",
            "metadata": {"name": LIVE_SOURCE},
            "spec": {
                "type": "kubelet",
                "default": True,
                "kubelet": {"tls": {"insecureSkipVerify": True}},
            },
        },
    ]


def render_detectors(start: datetime) -> list[JsonObject]:
    """Render memory, traffic in and traffic out, for pods and for nodes, on both sources."""
    found = []
    for kind, name in zip(("Pod", "Node"), HISTORY_DETECTORS, strict=True):
        found.append(
            _detector(
                name,
                kind,
                source=HISTORY_SOURCES[kind],
                more={
                    "bucketSpan": "15m",
                    "start": start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "queryDelay": "60s",
                },
            )
        )
    for kind, name in zip(("Pod", "Node"), LIVE_DETECTORS, strict=True):
        more = {"bucketSpan": f"{LIVE_SPAN_S}s", "frequency": "2s", "queryDelay": "3s"}
        found.append(_detector(name, kind, source=LIVE_SOURCE, more=more))
    return found


def _detector(name: str, kind: str, *, source: str, more: JsonObject) -> JsonObject:
    target: JsonObject = {"kind": kind}
    if kind == "Pod":
        target["namespaces"] = [NAMESPACE]
    return {
        "apiVersion": API_VERSION,
        "kind": "AnomalyDetector",
        # Beside the operator: there a detector may watch nodes, and namespaces other than its own.
        "metadata": {"name": name, "namespace": OPERATOR_NAMESPACE},
        "spec": {
            "target": target,
            "sourceRef": {"name": source},
            "detectors": [
                {"metric": metric, "minDeviation": MIN_DEVIATION[metric]} for metric in METRICS
            ],
            "analysisLimits": {"modelMemoryLimit": "64mb"},
            **more,
        },
    }
