"""A detector in buckets of a second, over a table whose pods go on into the future."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.jobs import rfc3339
from tests.support.whole_cluster import SYSTEM, WholeCluster

FUTURE_S = 1500  # longer than the tests that share a cluster take
_BEFORE_S = 60  # what is read before the start


def times_around(now_s: int, *, past_s: int) -> NDArray[np.int64]:
    """Seconds from before the detector's start until no test runs any more."""
    return np.arange(now_s - past_s - _BEFORE_S, now_s + FUTURE_S)


def write_table(
    path: Path, times: NDArray[np.int64], values: Mapping[str, NDArray[np.float64]]
) -> None:
    """Write the memory of pods of namespace shop; a pod's name begins with its workload's."""
    lines = ["timestamp,metric,value,namespace,workload,pod,node"]
    for pod, memory in values.items():
        place = f"shop,{pod.partition('-')[0]},{pod},n1"
        lines += [
            f"{time_s},memory_usage,{value:.0f},{place}"
            for time_s, value in zip(times.tolist(), memory.tolist(), strict=True)
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def begin(cluster: WholeCluster, name: str, *, table: Path, start_s: float, **spec: Any) -> None:
    """Apply the source, and a detector that reads it second by second."""
    api = {"apiVersion": "anomaly-operator.dev/v1alpha1"}
    source = {
        **api,
        "kind": "MetricSource",
        "metadata": {"name": "future"},
        "spec": {"type": "table", "table": {"path": str(table)}},
    }
    detector = {
        **api,
        "kind": "AnomalyDetector",
        "metadata": {"name": name, "namespace": SYSTEM},
        "spec": {
            "target": {"kind": "Pod"},
            "sourceRef": {"name": "future"},
            "start": rfc3339(start_s),
            "bucketSpan": "1s",
            "frequency": "1s",
            "queryDelay": "1s",
            "analysisLimits": {"modelMemoryLimit": "32mb"},
            **spec,
        },
    }
    cluster.apply(source, detector)
