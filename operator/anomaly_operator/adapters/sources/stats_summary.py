"""Reading a kubelet's ``/stats/summary``: entries with the time each value was really taken.

Memory, container memory and network carry times of their own, and a value is served again until
the kubelet has a newer one. What is absent is left out: a container runtime may give no network,
and a pod a few seconds old may lack anything or show zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from anomaly_operator.adapters.sources.interfaces import is_physical

Kind = tuple[str, str]  # metric; node, pod or container
YOUNG_S = 60.0  # a pod younger than this may show zero for what it does not know yet


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of one thing; pod and container are empty for a node's own."""

    metric: str
    namespace: str
    pod: str
    container: str
    node: str
    time_s: float
    value: float

    @property
    def kind(self) -> Kind:
        """What is read together: the metric, of nodes, pods or containers."""
        return (self.metric, "container" if self.container else "pod" if self.pod else "node")

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What has one value of a kind at a time."""
        return (self.namespace, self.pod, self.container, self.node)


def entries(document: Mapping[str, Any], *, node: str) -> Iterator[Entry]:
    """All values of one answer. Raises KeyError, TypeError, ValueError where it is no summary."""
    about = document["node"]
    yield from _memory(about, Entry("memory_usage", "", "", "", node, 0.0, 0.0))
    yield from _network(about, Entry("", "", "", "", node, 0.0, 0.0), young=False)
    for pod in document.get("pods") or ():
        reference = pod["podRef"]
        where = Entry("memory_usage", reference["namespace"], reference["name"], "", node, 0.0, 0.0)
        containers = pod.get("containers") or ()
        if "memory" in pod:
            yield from _memory(pod, where)
        else:
            yield from _summed(containers, where)
        for container in containers:
            yield from _memory(container, replace(where, container=container["name"]))
        yield from _network(pod, where, young=_is_young(pod))


def _memory(part: Mapping[str, Any], where: Entry) -> Iterator[Entry]:
    memory = part.get("memory") or {}
    value = memory.get("workingSetBytes")
    if value and "time" in memory:  # nothing that runs works in no memory: zero is not known yet
        yield replace(where, time_s=epoch_s(memory["time"]), value=float(value))


def _summed(containers: Sequence[Mapping[str, Any]], where: Entry) -> Iterator[Entry]:
    """Pod memory where the runtime gives it for containers alone."""
    memories = [one.get("memory") or {} for one in containers]
    found = [memory for memory in memories if memory.get("workingSetBytes")]
    if found and len(found) == len(containers):
        newest_s = max(epoch_s(memory["time"]) for memory in found)
        total = float(sum(memory["workingSetBytes"] for memory in found))
        yield replace(where, time_s=newest_s, value=total)


def _network(part: Mapping[str, Any], where: Entry, *, young: bool) -> Iterator[Entry]:
    network = part.get("network") or {}
    if "time" not in network:
        return
    interfaces = network.get("interfaces") or [network]
    counted = [one for one in interfaces if is_physical(one.get("name", "")) and "rxBytes" in one]
    if not counted:
        return
    received = float(sum(one.get("rxBytes", 0) for one in counted))
    sent = float(sum(one.get("txBytes", 0) for one in counted))
    if young and not received and not sent:
        return
    time_s = epoch_s(network["time"])
    for metric, value in (("network_in", received), ("network_out", sent)):
        yield replace(where, metric=metric, time_s=time_s, value=value)


def _is_young(pod: Mapping[str, Any]) -> bool:
    network = pod.get("network") or {}
    if "startTime" not in pod or "time" not in network:
        return False
    return epoch_s(network["time"]) - epoch_s(pod["startTime"]) < YOUNG_S


def epoch_s(written: str) -> float:
    """Seconds of an RFC 3339 time; more digits than microseconds are cut."""
    if "." in written:
        whole, rest = written.split(".", 1)
        digits = len(rest) - len(rest.lstrip("0123456789"))
        written = f"{whole}.{rest[: min(digits, 6)]}{rest[digits:]}"
    return datetime.fromisoformat(written).timestamp()
