"""The operator's part of the status: built whole, and written only when it says something new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anomaly_operator.api.group import API_VERSION
from anomaly_operator.reconcile.conditions import Condition, rendered, seconds
from anomaly_operator.reconcile.naming import FIELD_MANAGER, Body
from anomaly_operator.reconcile.state import Observed
from anomaly_operator.reconcile.totals import totals
from anomaly_operator.reconcile.verdicts import Verdict, shards_of

# Figures that move with every bucket: worth a write, but not at once.
_MOVING = frozenset(
    {"backfill", "dataCounts", "modelSizeStats", "seriesCount", "modelMemory", "anomalies"}
)
_OWNED = _MOVING | {
    "observedGeneration",
    "appliedGeneration",
    "state",
    "shardCount",
    "worstScore",
    "lastAnomalyTime",
    "recentAnomalies",
    "conditions",
}


def status_of(
    observed: Observed, verdict: Verdict, conditions: Sequence[Condition], *, applied: int | None
) -> Body:
    """Build every field of the status that the operator owns."""
    job = verdict.job
    existing = observed.body.get("status") or {}
    figures = (
        totals(
            shards_of(observed, job),
            memory_limit=job.spec.analysis_limits.model_memory_limit,
            span=job.spec.bucket_span,
            now_s=observed.now_s,
        )
        if job is not None
        else {}
    )
    return {
        "observedGeneration": observed.generation,
        **({"appliedGeneration": applied} if applied is not None else {}),
        "state": verdict.state,
        **({"shardCount": job.shards} if job is not None else {}),
        **figures,
        "conditions": rendered(
            conditions,
            existing.get("conditions") or [],
            generation=observed.generation,
            now_s=observed.now_s,
        ),
    }


def wait_s(observed: Observed, status: Body) -> float | None:
    """Seconds until the status should be written: 0 is now, None is not at all (nothing new)."""
    existing = observed.body.get("status") or {}
    mine = {key: existing[key] for key in _OWNED if key in existing}
    if mine == status:
        return None
    if _telling(mine) != _telling(status):
        return 0.0
    written = _written_at(observed.metadata)
    if written is None:
        return 0.0
    return max(0.0, written + observed.config.worker_status_interval_s - observed.now_s)


def document_of(observed: Observed, status: Body) -> Body:
    """Wrap the status for server-side apply; the UID keeps it off a successor of that name."""
    metadata = observed.metadata
    return {
        "apiVersion": API_VERSION,
        "kind": "AnomalyDetector",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "status": status,
    }


def _telling(status: Body) -> Body:
    """Return what is worth a write at once: all but the moving figures and conditions' wording."""
    conditions = [
        {key: value for key, value in condition.items() if key != "message"}
        for condition in status.get("conditions", [])
    ]
    kept = {key: value for key, value in status.items() if key not in _MOVING}
    return {**kept, "conditions": conditions}


def _written_at(metadata: Mapping[str, Any]) -> float | None:
    times = [
        seconds(entry.get("time"))
        for entry in metadata.get("managedFields") or []
        if entry.get("manager") == FIELD_MANAGER and entry.get("subresource") == "status"
    ]
    return max((time for time in times if time is not None), default=None)
