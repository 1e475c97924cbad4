"""What the pods of a node have in use right now: memory, processor time, traffic.

One look at the process table serves all pods of all nodes that share the measurer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from anomaly_operator.devcluster.node import processes
from anomaly_operator.devcluster.node.traffic import Traffic, TrafficMeter

PERIOD_S = 0.5


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """What the processes of one container have in use."""

    rss_bytes: int = 0
    cpu_s: float = 0.0
    processes: int = 0


class Measurer:
    """Looks at containers' processes and their sockets, every half second."""

    def __init__(self) -> None:
        self._owners: dict[int, str] = {}  # leader of a running container -> pod's uid
        self._use: dict[int, ContainerUse] = {}
        self.traffic_meter = TrafficMeter()

    def enlist(self, leader: int, pod_uid: str) -> None:
        """Start to look at a container."""
        self._owners[leader] = pod_uid

    def dismiss(self, leader: int) -> None:
        """Stop looking at a container that has ended."""
        self._owners.pop(leader, None)
        self._use.pop(leader, None)

    def use(self, leader: int | None) -> ContainerUse:
        """What a container had in use at the last look."""
        return self._use.get(leader or 0, ContainerUse())

    def traffic(self, pod_uid: str) -> Traffic | None:
        """Bytes of a pod since it started; None where the kernel does not tell."""
        return self.traffic_meter.total(pod_uid)

    async def run(self) -> None:
        """Look for ever."""
        with self.traffic_meter.listening():
            while True:
                self.look()
                await asyncio.sleep(PERIOD_S)

    def look(self) -> None:
        """Look once."""
        found = processes.trees(processes.scan(), self._owners)
        self._use = {
            leader: ContainerUse(
                rss_bytes=sum(use.rss_bytes for use in tree),
                cpu_s=sum(use.cpu_s for use in tree),
                processes=len(tree),
            )
            for leader, tree in found.items()
        }
        inodes: dict[int, str] = {}
        for leader, tree in found.items():
            for inode in processes.socket_inodes(use.pid for use in tree):
                inodes[inode] = self._owners[leader]
        self.traffic_meter.look(inodes)


def summed(uses: Mapping[str, ContainerUse]) -> ContainerUse:
    """Use of a whole pod."""
    return ContainerUse(
        rss_bytes=sum(use.rss_bytes for use in uses.values()),
        cpu_s=sum(use.cpu_s for use in uses.values()),
        processes=sum(use.processes for use in uses.values()),
    )
