"""What detectors' statuses say, as the demo needs it: pure readings of objects."""

from __future__ import annotations

from collections.abc import Iterable

from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.devcluster.controllers.templates import condition_status
from anomaly_operator.devcluster.demo.reporting import Anomaly


def shards(detector: JsonObject) -> list[JsonObject]:
    """What the workers report."""
    found: list[JsonObject] = (detector.get("status") or {}).get("shards") or []
    return found


def backfill_percent(detector: JsonObject) -> float:
    """How much of the past is analysed, 0 to 100."""
    shares = [(shard.get("backfill") or {}).get("percent") for shard in shards(detector)]
    known = [share for share in shares if share is not None]
    return min(known, default=0.0)


def buckets(detector: JsonObject) -> int:
    """Buckets judged so far."""
    counts = [(shard.get("dataCounts") or {}).get("bucketCount") or 0 for shard in shards(detector)]
    return min(counts, default=0)


def series(detector: JsonObject) -> int:
    """Series with a model."""
    sizes = [shard.get("modelSizeStats") or {} for shard in shards(detector)]
    return sum(size.get("seriesCount") or 0 for size in sizes)


def anomalies(detector: JsonObject) -> list[Anomaly]:
    """Recent anomalies, oldest first."""
    found = [
        Anomaly(
            detector=detector["metadata"]["name"],
            time=entry["time"],
            metric=entry["metric"],
            entity=entry["entity"],
            score=float(entry["score"]),
            actual=float(entry.get("actual") or 0.0),
            typical=float(entry.get("typical") or 0.0),
            summary=entry.get("summary") or "",
        )
        for shard in shards(detector)
        for entry in shard.get("recentAnomalies") or ()
    ]
    return sorted(found, key=lambda each: each.time)


def worst(found: Iterable[Anomaly]) -> list[Anomaly]:
    """Give the worst anomaly of each entity and metric, oldest first."""
    chosen: dict[tuple[str, str], Anomaly] = {}
    for each in sorted(found, key=lambda each: each.score):
        chosen[each.entity, each.metric] = each
    return sorted(chosen.values(), key=lambda each: each.time)


def row(detector: JsonObject) -> tuple[str, ...]:
    """Row of the table of detectors."""
    status = detector.get("status") or {}
    counts = [shard.get("anomalies") or {} for shard in shards(detector)]
    return (
        detector["metadata"]["name"],
        str(status.get("state") or "-"),
        condition_status(detector, "Ready") or "-",
        str(series(detector)),
        str(buckets(detector)),
        str(sum(count.get("major") or 0 for count in counts)),
        str(sum(count.get("critical") or 0 for count in counts)),
    )


def problems(detectors: Iterable[JsonObject]) -> list[str]:
    """What detectors complain of, one line each."""
    return [
        f"{detector['metadata']['name']}: {entry['type']}={entry['status']} {entry['reason']}: "
        f"{entry.get('message', '')}"
        for detector in detectors
        for entry in (detector.get("status") or {}).get("conditions") or ()
        if (entry["type"], entry["status"]) in {("Stalled", "True"), ("SourceReady", "False")}
    ]
