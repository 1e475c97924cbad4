"""Ten days of three pods' memory, with a surge, as rows of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import yaml

SPAN_S = 900
START_S = 1_714_521_600  # 2024-05-01T00:00:00Z
DAYS = 10
SURGE_S = START_S + 9 * 86400 + 5 * 3600
Row = tuple[int, str, float, str, str]  # timestamp, metric, value, namespace, pod
PODS = ("cart-6b7f9c5d48-x7k2p", "cart-6b7f9c5d48-b5v8d", "db-0")


def value_at(pod: str, time_s: int) -> float:
    """A daily rhythm with a deterministic jitter; one pod surges to the threefold for two hours."""
    seed = (time_s // SPAN_S * 7919 + len(pod) * 104_729 + ord(pod[-1]) * 611_953) % 1009
    value = 1e8 * (1 + 0.2 * math.sin(2 * math.pi * time_s / 86400)) + 1e6 * (seed / 1009 - 0.5)
    return value * 3 if pod == "db-0" and SURGE_S <= time_s < SURGE_S + 7200 else value


def rows(days: int = DAYS, step_s: int = SPAN_S) -> list[Row]:
    return [
        (time_s, "memory_usage", value_at(pod, time_s), "shop", pod)
        for time_s in range(START_S, START_S + days * 86400, step_s)
        for pod in PODS
    ]


def write(path: Path, table: Iterable[Row]) -> Path:
    lines = [",".join(str(field) for field in row) for row in table]
    path.write_text("\n".join(["timestamp,metric,value,namespace,pod", *lines, ""]))
    return path


def manifest(path: Path, *others: dict[str, object], **spec: object) -> Path:
    detector = {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "AnomalyDetector",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {
            "target": {"kind": "Pod"},
            "bucketSpan": "15m",
            "detectors": [{"metric": "memory_usage"}],
            **spec,
        },
    }
    path.write_text(yaml.safe_dump_all([detector, *others]))
    return path
