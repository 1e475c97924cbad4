"""Four weeks that might have been, generated around what the pods really do, then really kept on.

Each series gets the level its pod really has, a day and a week to it, noise, and here and there an
incident; from the demo's start on, rows are what the kubelet really tells.
"""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.devcluster.kubelet.figures import NODE, Figures

DAYS = 28
STEP_S = 900
DAY_S, WEEK_S = 86_400, 604_800
COLUMNS = ("timestamp", "metric", "value", "namespace", "workload", "pod", "node")
FOLLOW_S = 15.0
SEED = 20240501
METRICS = ("memory_usage", "network_in", "network_out")
# Weekdays are busier than weekends, and people go and come over half a day.
WEEK_TURNS, WEEK_SHARES = (0.25, 4.75, 5.25, 6.75), (0.2, 0.2, -0.5, -0.5)
# How strongly day and week show: people cause traffic, and memory follows only a little.
RHYTHM = {"memory_usage": 0.05, "network_in": 0.45, "network_out": 0.45}
NOISE = {"memory_usage": 0.01, "network_in": 0.06, "network_out": 0.06}


@dataclass(frozen=True, slots=True)
class Entity:
    """A pod or a node, and the level each of its metrics has now."""

    labels: Mapping[str, str]
    levels: Mapping[str, float]


def with_memory(entity: Entity, more_bytes: float) -> Entity:
    """Give the entity as it will be when it holds more memory."""
    held = entity.levels["memory_usage"] + more_bytes
    return Entity(entity.labels, {**entity.levels, "memory_usage": held})


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong in the past of one workload's metric."""

    workload: str
    metric: str
    days_ago: float
    hours: float
    factor: float


INCIDENTS = (
    Incident("uploader", "network_out", days_ago=9.4, hours=3.0, factor=4.0),
    Incident("basket", "memory_usage", days_ago=5.2, hours=6.0, factor=2.5),
    Incident("web", "network_in", days_ago=2.6, hours=2.0, factor=4.0),
)


def generate(entity: Entity, metric: str, *, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of one series at ``times`` (epoch seconds); positive, in the metric's unit."""
    seed = [SEED, *"/".join([*entity.labels.values(), metric]).encode()]
    random = np.random.default_rng(seed)
    level, share = max(entity.levels.get(metric, 0.0), 1.0), RHYTHM[metric]
    day = np.sin(2 * np.pi * (times / DAY_S - 0.3))
    weekday = (times / DAY_S + 3) % 7  # 1970 began on a Thursday; 0 is Monday
    week = np.interp(weekday, WEEK_TURNS, WEEK_SHARES, period=7)
    values = level * (1 + share * (day + week))
    values *= np.exp(NOISE[metric] * random.standard_normal(len(times)))
    for incident in INCIDENTS:
        if (incident.workload, incident.metric) == (entity.labels.get("workload"), metric):
            age_days = (times[-1] - times) / DAY_S
            length = incident.hours / 24
            inside = (age_days <= incident.days_ago) & (age_days > incident.days_ago - length)
            values[inside] *= incident.factor
    return values


def write_past(path: Path, entities: Iterable[Entity], *, end_s: float) -> int:
    """Write the four weeks before ``end_s``; the number of rows."""
    end = end_s // STEP_S * STEP_S
    times = np.arange(end - DAYS * DAY_S, end, STEP_S, dtype=np.float64)
    columns: dict[tuple[Mapping[str, str] | int, str], NDArray[np.float64]] = {}
    known = list(entities)
    for index, entity in enumerate(known):
        for metric in METRICS:
            columns[index, metric] = generate(entity, metric, times=times)
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for step, moment in enumerate(times):
            for index, entity in enumerate(known):
                for metric in METRICS:
                    value = columns[index, metric][step]
                    writer.writerow(_row(moment, metric, float(value), entity.labels))
                    rows += 1
    return rows


def _row(time_s: float, metric: str, value: float, labels: Mapping[str, str]) -> tuple[object, ...]:
    rest = [labels.get(name, "") for name in COLUMNS[3:]]
    return (f"{time_s:.0f}", metric, f"{value:.6g}", *rest)


class Observation:
    """Reads a node's figures again and again, and makes rates of its traffic counters."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._before: dict[str, tuple[float, int, int]] = {}
        self._rates: dict[str, dict[str, float]] = {}

    def entities(self, kind: str, *, namespace: str) -> list[Entity]:
        """Pods of a namespace, or the node, with what their metrics are now."""
        node = self._figures.node_name
        if kind == "Node":
            return [Entity({"node": node}, self._levels(NODE))]
        found = []
        for run in self._figures.pods():
            metadata = run.pod["metadata"]
            if metadata["namespace"] == namespace and run.containers:
                name = metadata["name"]
                labels = {"namespace": namespace, "pod": name, "node": node}
                labels["workload"] = name.rsplit("-", 2)[0]  # all of the demo's are Deployments
                found.append(Entity(labels, self._levels(run.uid)))
        return sorted(found, key=lambda entity: entity.labels["pod"])

    def memory_of(self, *, namespace: str, prefix: str) -> float:
        """Bytes that the pods of a namespace hold whose names begin so."""
        total = 0.0
        for run in self._figures.pods():
            metadata = run.pod["metadata"]
            if metadata["namespace"] == namespace and metadata["name"].startswith(prefix):
                total += self._levels(run.uid).get("memory_usage", 0.0)
        return total

    def _levels(self, uid: str) -> dict[str, float]:
        levels: dict[str, float] = {}
        use, traffic = self._figures.use(uid), self._figures.traffic(uid)
        if use is not None:
            levels["memory_usage"] = float(use.use.rss_bytes)
        if traffic is not None:
            now = (traffic.time_s, traffic.traffic.received_bytes, traffic.traffic.sent_bytes)
            before = self._before.setdefault(uid, now)
            if now[0] > before[0]:
                elapsed_s = now[0] - before[0]
                rates = ((now[1] - before[1]) / elapsed_s, (now[2] - before[2]) / elapsed_s)
                self._rates[uid] = dict(zip(METRICS[1:], rates, strict=True))
                self._before[uid] = now
        # A figure stands until it is refreshed.
        levels |= self._rates.get(uid, {})
        return levels


async def keep_on(paths: Mapping[str, Path], figures: Figures, *, namespace: str) -> None:
    """Add what is really measured to the tables, for ever."""
    observations = {kind: Observation(figures) for kind in paths}
    while True:
        await asyncio.sleep(FOLLOW_S)
        moment = time.time()
        for kind, path in paths.items():
            lines = [
                _row(moment, metric, value, entity.labels)
                for entity in observations[kind].entities(kind, namespace=namespace)
                for metric, value in entity.levels.items()
            ]
            _append(path, lines)


def _append(path: Path, lines: list[tuple[object, ...]]) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
