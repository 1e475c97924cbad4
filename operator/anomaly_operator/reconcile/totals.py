"""Sums over what each shard reports: the operator's part of the figures in the status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from anomaly_operator.api.quantities import MIB, format_byte_size
from anomaly_operator.api.v1alpha1.status import (
    MAX_RECENT_ANOMALIES,
    AnomalyCounts,
    Backfill,
    DataCounts,
    ModelSizeStats,
    RecentAnomaly,
    ShardStatus,
)
from anomaly_operator.reconcile.naming import Body

Model = TypeVar("Model", DataCounts, ModelSizeStats, AnomalyCounts)

RECENT_S = 3600.0  # "the last hour" of the column ANOMALOUS

_RANKS = {
    "memory_status": ("ok", "soft_limit", "hard_limit"),
    "categorization_status": ("ok", "warn"),
}
_EARLIEST = ("earliest_sample_time",)
_LATEST = ("latest_sample_time", "latest_bucket_time", "timestamp")


def totals(
    shards: Sequence[ShardStatus], *, memory_limit: int, span: timedelta, now_s: float
) -> Body:
    """Sum up; keys are the status's own, absent where no shard has said anything."""
    size = _sum(ModelSizeStats, (shard.model_size_stats for shard in shards))
    newest = recent(shards)
    document = {
        "worstScore": worst_score(shards, span=span, now_s=now_s),
        "lastAnomalyTime": newest[0].document()["time"] if newest else None,
        "backfill": _document(slowest(shards)),
        "dataCounts": _document(_sum(DataCounts, (shard.data_counts for shard in shards))),
        "modelSizeStats": _document(size),
        "seriesCount": size.series_count if size else None,
        "modelMemory": _memory(size, memory_limit),
        "anomalies": _document(_sum(AnomalyCounts, (shard.anomalies for shard in shards))),
        "recentAnomalies": [anomaly.document() for anomaly in newest] or None,
    }
    return {key: value for key, value in document.items() if value is not None}


def recent(shards: Sequence[ShardStatus]) -> list[RecentAnomaly]:
    """Return the newest anomalies of all shards, newest first; of equal times the worst first."""
    everything = [anomaly for shard in shards for anomaly in shard.recent_anomalies]
    everything.sort(key=lambda a: (-a.time.timestamp(), -a.score, a.entity, a.metric))
    return everything[:MAX_RECENT_ANOMALIES]


def worst_score(shards: Sequence[ShardStatus], *, span: timedelta, now_s: float) -> float | None:
    """Highest score of the last hour; None while no shard has judged anything.

    A worker writes at most once a minute and not at all when nothing changes, so a score it
    reported is held against the time of its newest anomaly: an old one does not stay for ever.
    """
    reported = [shard.worst_score for shard in shards if shard.worst_score is not None]
    if not reported:
        return None
    since = now_s - RECENT_S - span.total_seconds()
    scores = [a.score for a in recent(shards) if a.time.timestamp() >= since]
    low = [score for score in reported if score < 50.0]  # too low for recentAnomalies
    return max([*scores, *low], default=0.0)


def slowest(shards: Sequence[ShardStatus]) -> Backfill | None:
    """Return the backfill that is least far."""
    reported = [shard.backfill for shard in shards if shard.backfill is not None]
    return min(reported, key=lambda b: b.percent if b.percent is not None else 0.0, default=None)


def applied_generation(shards: Sequence[ShardStatus], *, count: int) -> int | None:
    """Return the generation that all of ``count`` workers follow; None until all have said one."""
    said = {
        shard.shard: shard.applied_generation
        for shard in shards
        if shard.applied_generation is not None
    }
    if not all(number in said for number in range(count)):
        return None
    return min(said[number] for number in range(count))


def _memory(size: ModelSizeStats | None, limit: int) -> str | None:
    if size is None or size.model_bytes is None:
        return None
    return f"{-(-size.model_bytes // MIB)}mb of {format_byte_size(limit)}"


def _sum(model: type[Model], parts: Iterable[Model | None]) -> Model | None:
    given = [part for part in parts if part is not None]
    if not given:
        return None
    values: dict[str, Any] = {}
    for name in model.model_fields:
        column = [value for part in given if (value := getattr(part, name)) is not None]
        if not column:
            continue
        if name in _RANKS:
            values[name] = max(column, key=_RANKS[name].index)
        elif name in _EARLIEST:
            values[name] = min(column)
        elif name in _LATEST:
            values[name] = max(column)
        else:
            values[name] = sum(column)
    return model(**values)


def _document(model: Any) -> Body | None:
    return model.document() if model is not None else None
