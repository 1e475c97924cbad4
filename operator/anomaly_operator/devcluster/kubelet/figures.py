"""Figures of a node and its pods, each refreshed at its own jittered time, as on a real kubelet.

A reader that took the time of its call for the time of a value would be wrong by up to a period;
so the time is kept with every value, and the value stands until its next refresh.
"""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from anomaly_operator.devcluster.node.measuring import ContainerUse, summed
from anomaly_operator.devcluster.node.pods import NodeContext, PodRun
from anomaly_operator.devcluster.node.processes import PAGE_BYTES
from anomaly_operator.devcluster.node.traffic import Traffic
from anomaly_operator.reconcile.quantities import parse_quantity

TICK_S = 0.25
NODE = ""  # takes the place of a pod's uid for figures of the node itself


@dataclass(frozen=True, slots=True)
class UseReading:
    """Memory and processor time at one moment."""

    time_s: float
    use: ContainerUse
    nano_cores: int


@dataclass(frozen=True, slots=True)
class TrafficReading:
    """Traffic counters at one moment."""

    time_s: float
    traffic: Traffic


class Figures:
    """The latest readings of one node, refreshed while ``run`` runs."""

    def __init__(self, context: NodeContext, pods: Mapping[str, PodRun]) -> None:
        self.node_name = context.settings.name
        self.started_s = time.time()
        self.memory_capacity_bytes = float(parse_quantity(context.settings.memory))
        self._context = context
        self._pods = pods
        self._uses: dict[tuple[str, str], UseReading] = {}  # (pod's uid, container or "")
        self._traffic: dict[str, TrafficReading] = {}
        self._due: dict[tuple[str, str], float] = {}

    def pods(self) -> list[PodRun]:
        """Pods on the node, in an order that changes from call to call."""
        runs = list(self._pods.values())
        random.shuffle(runs)
        return runs

    def use(self, pod_uid: str, container: str = "") -> UseReading | None:
        """Reading of a container, or of the whole pod; None until its first refresh."""
        return self._uses.get((pod_uid, container))

    def traffic(self, pod_uid: str) -> TrafficReading | None:
        """Traffic of a pod; None until its first refresh, or where it cannot be counted."""
        return self._traffic.get(pod_uid)

    async def run(self) -> None:
        """Refresh what is due, for ever."""
        while True:
            self.refresh(time.time())
            await asyncio.sleep(TICK_S)

    def refresh(self, now_s: float) -> None:
        """Refresh every figure that is due."""
        wanted: set[tuple[str, str]] = set()
        for run in self._pods.values():
            uses = {
                name: self._context.measurer.use(container.leader)
                for name, container in run.containers.items()
                if container.leader is not None
            }
            for name, use in uses.items():
                wanted.add((run.uid, name))
                self._refresh_use((run.uid, name), now_s, use=use)
            if uses:
                wanted |= {(run.uid, ""), (run.uid, "network")}
                self._refresh_use((run.uid, ""), now_s, use=summed(uses))
                self._refresh_traffic(run.uid, now_s)
        wanted |= {(NODE, ""), (NODE, "network")}
        self._refresh_use((NODE, ""), now_s, use=self._node_use())
        self._refresh_traffic(NODE, now_s)
        for place in set(self._due) - wanted:
            del self._due[place]
            self._uses.pop(place, None)
            if place[1] == "network":
                self._traffic.pop(place[0], None)

    def _node_use(self) -> ContainerUse:
        """All pods, and the process that stands for the node's own services."""
        uses = {
            f"{run.uid}/{name}": self._context.measurer.use(container.leader)
            for run in self._pods.values()
            for name, container in run.containers.items()
        }
        statm = Path("/proc/self/statm").read_text(encoding="ascii")
        own_rss = int(statm.split()[1]) * PAGE_BYTES
        own = resource.getrusage(resource.RUSAGE_SELF)
        uses["agent"] = ContainerUse(own_rss, own.ru_utime + own.ru_stime, 1)
        return summed(uses)

    def _is_due(self, place: tuple[str, str], now_s: float) -> bool:
        shortest, longest = self._context.settings.stats_period_s
        if place not in self._due:
            # Also the first figure of a new pod takes a while to appear.
            self._due[place] = now_s + random.uniform(0, shortest / 2)  # noqa: S311 - no secret
        if now_s < self._due[place]:
            return False
        self._due[place] = now_s + random.uniform(shortest, longest)  # noqa: S311 - no secret
        return True

    def _refresh_use(self, place: tuple[str, str], now_s: float, *, use: ContainerUse) -> None:
        if use.processes == 0 or not self._is_due(place, now_s):
            return
        before = self._uses.get(place)
        cpu_s, nano_cores = use.cpu_s, 0
        if before is not None:
            # A process that has ended takes its time with it; the counter must not fall.
            cpu_s = max(cpu_s, before.use.cpu_s)
            spent_s = cpu_s - before.use.cpu_s
            nano_cores = int(spent_s / max(now_s - before.time_s, 1e-3) * 1e9)
        self._uses[place] = UseReading(
            now_s, ContainerUse(use.rss_bytes, cpu_s, use.processes), nano_cores
        )

    def _refresh_traffic(self, pod_uid: str, now_s: float) -> None:
        meter = self._context.measurer.traffic_meter
        read: Callable[[], Traffic | None] = (
            (lambda: meter.node_total(self.node_name))
            if pod_uid == NODE
            else (lambda: meter.total(pod_uid))
        )
        if self._is_due((pod_uid, "network"), now_s):
            traffic = read()
            if traffic is not None:
                self._traffic[pod_uid] = TrafficReading(now_s, traffic)
