"""``/stats/summary`` of a stand-in node, in the shape a real kubelet gives it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import Any

from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.devcluster.kubelet.figures import NODE, Figures, TrafficReading, UseReading
from anomaly_operator.devcluster.node.pods import PodRun
from anomaly_operator.reconcile.quantities import parse_quantity


def render_summary(figures: Figures) -> JsonObject:
    """Node and pods as last refreshed."""
    return {"node": _node(figures), "pods": [_pod(figures, run) for run in figures.pods()]}


def _moment(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _node(figures: Figures) -> JsonObject:
    reading = figures.use(NODE)
    node: JsonObject = {"nodeName": figures.node_name, "startTime": _moment(figures.started_s)}
    if reading is not None:
        node["cpu"] = _cpu(reading)
        node["memory"] = _memory(reading, limit_bytes=figures.memory_capacity_bytes)
        node["fs"] = _file_system(reading.time_s)
        node["runtime"] = {"imageFs": node["fs"], "containerFs": node["fs"]}
        node["systemContainers"] = [
            {"name": "pods", "startTime": _moment(figures.started_s), **_pods_total(figures)}
        ]
    network = figures.traffic(NODE)
    if network is not None:
        node["network"] = _network(network)
    return node


def _pods_total(figures: Figures) -> JsonObject:
    readings = [figures.use(run.uid) for run in figures.pods()]
    known = [reading for reading in readings if reading is not None]
    if not known:
        return {}
    rss = sum(reading.use.rss_bytes for reading in known)
    memory = {"usageBytes": rss, "workingSetBytes": rss, "rssBytes": rss}
    return {"memory": {"time": _moment(max(reading.time_s for reading in known)), **memory}}


def _pod(figures: Figures, run: PodRun) -> JsonObject:
    metadata = run.pod["metadata"]
    limits = [_memory_limit(run, name) for name in run.containers]
    pod: JsonObject = {
        "podRef": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": run.uid},
        "startTime": run.started_at,
        "containers": [_container(figures, run, name=name) for name in run.containers],
    }
    reading = figures.use(run.uid)
    if reading is not None:
        pod["cpu"] = _cpu(reading)
        pod["memory"] = _memory(reading, limit_bytes=sum(limits) if all(limits) else 0)
        pod["process_stats"] = {"process_count": reading.use.processes}
    network = figures.traffic(run.uid)
    if network is not None:
        pod["network"] = _network(network)
    return pod


def _container(figures: Figures, run: PodRun, *, name: str) -> JsonObject:
    state = run.containers[name].state.state
    container: JsonObject = {
        "name": name,
        "startTime": (state.get("running") or {}).get("startedAt", run.started_at),
    }
    reading = figures.use(run.uid, name)
    if reading is not None:
        container["cpu"] = _cpu(reading)
        container["memory"] = _memory(reading, limit_bytes=_memory_limit(run, name))
    return container


def _memory_limit(run: PodRun, container: str) -> float:
    spec = run.containers[container].spec
    limits = (spec.get("resources") or {}).get("limits") or {}
    return float(parse_quantity(limits.get("memory", 0)))


def _cpu(reading: UseReading) -> dict[str, Any]:
    return {
        "time": _moment(reading.time_s),
        "usageNanoCores": reading.nano_cores,
        "usageCoreNanoSeconds": int(reading.use.cpu_s * 1e9),
    }


def _memory(reading: UseReading, *, limit_bytes: float) -> dict[str, Any]:
    rss = reading.use.rss_bytes
    memory: dict[str, Any] = {"time": _moment(reading.time_s)}
    if limit_bytes:
        memory["availableBytes"] = max(int(limit_bytes) - rss, 0)
    # Without control groups there is no page cache to tell from resident memory.
    figures = {"usageBytes": rss, "workingSetBytes": rss, "rssBytes": rss}
    return {**memory, **figures, "pageFaults": 0, "majorPageFaults": 0}


def _network(reading: TrafficReading) -> dict[str, Any]:
    counters = {
        "name": "eth0",
        "rxBytes": reading.traffic.received_bytes,
        "rxErrors": 0,
        "txBytes": reading.traffic.sent_bytes,
        "txErrors": 0,
    }
    return {"time": _moment(reading.time_s), **counters, "interfaces": [counters]}


def _file_system(time_s: float) -> dict[str, Any]:
    usage = shutil.disk_usage("/")
    return {
        "time": _moment(time_s),
        "availableBytes": usage.free,
        "capacityBytes": usage.total,
        "usedBytes": usage.used,
    }
