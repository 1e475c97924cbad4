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
    "memory_usage": {"absolute": 2 * 2**20, "relative": 0.2},
    "network_in": {"absolute": 2 * 2**10, "relative": 0.25},
    "network_out": {"absolute": 2 * 2**10, "relative": 0.25},
}

GROUP, _, VERSION = API_VERSION.partition("/")
DETECTORS = Resource(GROUP, VERSION, "anomalydetectors", "AnomalyDetector")
SOURCES = Resource(GROUP, VERSION, "metricsources", "MetricSource", namespaced=False)


def render_past(tables: Mapping[str, Path], start: datetime) -> list[JsonObject]:
    """Render detectors over the generated past, which real figures go on filling."""
    found: list[JsonObject] = []
    for (kind, source), name in zip(HISTORY_SOURCES.items(), HISTORY_DETECTORS, strict=True):
        spec = {"type": "table", "table": {"path": str(tables[kind]), "follow": True}}
        found.append(_source(source, spec))
        more = {
            "bucketSpan": "15m",
            "start": start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "queryDelay": "60s",
        }
        found.append(_detector(name, kind, source=source, more=more))
    return found


def render_live() -> list[JsonObject]:
    """Render detectors over what the kubelets tell, in seconds."""
    kubelets = {
        "type": "kubelet",
        "default": True,
        "kubelet": {"tls": {"insecureSkipVerify": True}},
    }
    more = {"bucketSpan": f"{LIVE_SPAN_S}s", "frequency": "2s", "queryDelay": "3s"}
    kinds = zip(("Pod", "Node"), LIVE_DETECTORS, strict=True)
    return [
        _source(LIVE_SOURCE, kubelets),
        *(_detector(name, kind, source=LIVE_SOURCE, more=more) for kind, name in kinds),
    ]


def _source(name: str, spec: JsonObject) -> JsonObject:
    metadata = {"name": name}
    return {"apiVersion": API_VERSION, "kind": "MetricSource", "metadata": metadata, "spec": spec}


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
