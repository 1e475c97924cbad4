"""Job documents for worker tests: a small, valid one, and changes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from anomaly_operator.api.job import WorkerJob

START_S = 1_760_000_400.0  # a multiple of 900, in October 2025
UID = "5d0c7a52-6f8e-4b47-9b1c-2f6f3a1f0001"


def rfc3339(time_s: float) -> str:
    """Write epoch seconds as the API takes them."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def job_document(
    *,
    spec: dict[str, Any] | None = None,
    generation: int = 1,
    source: dict[str, Any] | None = None,
    **top: Any,
) -> dict[str, Any]:
    """Return a job over memory_usage of pods in 15-minute buckets, with the given changes."""
    return {
        "version": 1,
        "detector": {
            "namespace": "shop",
            "name": "memory",
            "uid": UID,
            "generation": generation,
            "creationTime": rfc3339(START_S),
        },
        "spec": {
            "target": {"kind": "Pod"},
            "start": rfc3339(START_S),
            "bucketSpan": "15m",
            "queryDelay": "90s",
            "frequency": "450s",
            "detectors": [{"metric": "memory_usage", "function": "high_max", "by": "pod"}],
            "influencers": ["workload", "pod"],
            "backgroundPersistInterval": "1h",
            **(spec or {}),
        },
        "source": {
            "name": "metrics",
            "spec": source or {"type": "prometheus", "prometheus": {"url": "http://prom:9090"}},
        },
        "operatorNamespace": "anomaly-system",
        **top,
    }


def job_json(**changes: Any) -> bytes:
    """Return the document as the worker reads it; it is a valid one."""
    text = orjson.dumps(job_document(**changes))
    WorkerJob.from_json(text)
    return text
