"""What the pods of the lab do: quiet for days, then strange in one bucket, and in another later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.updates.lab import AFTER, BEFORE, HISTORY, NOW_S, SPAN_S, START_S, bucket_s

STEPS = 3  # samples a bucket
LAST = 100  # buckets that the table reaches beyond NOW_S

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod: what it uses when quiet, and the one value that it has when strange."""

    namespace: str
    name: str
    quiet: float
    strange: float
    from_s: float = START_S
    until_s: float = float("inf")
    rises_to: float = 0.0  # from the bucket after the edit on
    strange_at: tuple[int, ...] = (BEFORE, AFTER)

    @property
    def workload(self) -> str:
        """What the pod is of."""
        return self.name.rpartition("-")[0]


PODS = (
    Pod("shop", "web-1", 100e6, 300e6),
    Pod("shop", "web-2", 100e6, 300e6),
    Pod("shop", "main-db", 200e6, 600e6),
    Pod("batch", "job-7", 100e6, 300e6),
    Pod("batch", "low-1", 100e6, 50e6),
    Pod("shop", "rise-1", 100e6, 100e6, rises_to=140e6),
    Pod("shop", "gone-1", 100e6, 100e6, until_s=bucket_s(-40)),
)
STRANGE = frozenset({"web-1", "web-2", "main-db", "job-7", "low-1"})
CROWD = tuple(Pod("shop", f"crowd{i}-1", 100e6, 100e6, from_s=bucket_s(7)) for i in range(400))
FLOOD_FROM_S = bucket_s(-820)  # older than a week: younger pods may not claim much
FLOOD = tuple(
    Pod(
        f"flood{place}",
        f"one{i}-1",
        100e6,
        300e6,
        from_s=FLOOD_FROM_S,
        strange_at=(6 + 2 * i, 48 + 2 * i),
    )
    for place in range(10)
    for i in range(21)
)
"""Pods of ten more partitions, each strange twice: in every other bucket somebody is."""


def values_of(pod: Pod, times: Floats) -> Floats:
    """Value of a pod at each time; noise of 2 % that is the same in every run."""
    noise = np.random.default_rng(sum(map(ord, pod.name))).uniform(-0.02, 0.02, len(times))
    values = pod.quiet * (1 + noise)
    if pod.rises_to:
        values = np.where(times >= bucket_s(7), pod.rises_to * (1 + noise), values)
    for number in pod.strange_at:
        within = (times >= bucket_s(number)) & (times < bucket_s(number + 1))
        if pod.strange != pod.quiet:
            values = np.where(within, pod.strange, values)
    return values


def write_table(path: Path, pods: Sequence[Pod] = PODS) -> Path:
    """Write the table of pods."""
    lines = ["timestamp,metric,value,namespace,workload,pod,node"]
    first_s = min(pod.from_s for pod in pods)
    times = np.arange(first_s, NOW_S + LAST * SPAN_S, SPAN_S / STEPS)
    inside: Callable[[Pod], Floats] = lambda pod: times[  # noqa: E731
        (times >= pod.from_s) & (times < pod.until_s)
    ]
    for pod in pods:
        lines += [
            f"{time:.0f},memory_usage,{value:.0f},{pod.namespace},{pod.workload},{pod.name},n1"
            for time, value in zip(inside(pod), values_of(pod, inside(pod)), strict=True)
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


__all__ = ["CROWD", "FLOOD", "FLOOD_FROM_S", "HISTORY", "PODS", "STRANGE", "Pod", "write_table"]
