"""What a worker knows beside its models: position, counts, recent anomalies, open episodes; pure.

It is stored in every snapshot next to the engine's arrays and rebuilt by the replay, so counts
after a crash are what they would have been without one. Only timings are not reproducible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from anomaly_operator.api.v1alpha1.status import MAX_RECENT_ANOMALIES, severity_of
from anomaly_operator.engine.contract import Block, Record
from anomaly_operator.ports import Advance
from anomaly_operator.worker.episodes import OPENS_AT, Episodes

_DAY_S = 86400.0
_HOUR_S = 3600.0
_TALLY_S = 60.0  # severity counts are kept by the minute, however short the buckets are
_FIRST_CHUNK = 1  # buckets; of 100 000 series they are 1.5 million samples already
_RECENT_WEIGHT = 0.01  # exponential average of processing time: about the last hundred buckets


@dataclass(slots=True)
class Counts:
    """Data counts since the detector was created."""

    bucket_count: int = 0
    empty_bucket_count: int = 0
    processed_sample_count: int = 0
    late_sample_count: int = 0
    invalid_sample_count: int = 0
    gap_count: int = 0
    earliest_sample_s: float | None = None
    latest_sample_s: float | None = None
    latest_bucket_s: float | None = None


@dataclass(slots=True)
class Timings:
    """How long the engine takes for a bucket, milliseconds."""

    bucket_count: int = 0
    total_ms: float = 0.0
    maximum_ms: float = 0.0
    exponential_average_ms: float = 0.0

    def take(self, buckets: int, seconds: float) -> None:
        """Add one call of the engine over so many buckets."""
        each_ms = 1000.0 * seconds / max(1, buckets)
        first = self.bucket_count == 0
        self.bucket_count += buckets
        self.total_ms += 1000.0 * seconds
        self.maximum_ms = max(self.maximum_ms, each_ms)
        if first:
            self.exponential_average_ms = each_ms
        else:
            kept = (1.0 - _RECENT_WEIGHT) ** buckets
            self.exponential_average_ms = kept * self.exponential_average_ms + (1 - kept) * each_ms


@dataclass(slots=True)
class WorkerState:
    """All of it. ``position_s`` is the end of the last bucket analysed: the next one's start."""

    start_s: float
    position_s: float
    caught_up: bool = False  # the first backfill is over
    job_json: bytes = b""  # document in force at ``position_s``
    chunk: int = _FIRST_CHUNK  # buckets that the backfill reads at once
    reverted: str = ""  # id of the last wish to revert that was dealt with
    went_back: dict[str, Any] = field(default_factory=dict)  # what became of that wish
    counts: Counts = field(default_factory=Counts)
    timings: Timings = field(default_factory=Timings)
    recent: list[dict[str, Any]] = field(default_factory=list)  # newest first
    tallies: dict[int, dict[str, float]] = field(default_factory=dict)  # by minute of the bucket
    records_total: Counter[str] = field(default_factory=Counter)
    episodes: Episodes = field(default_factory=Episodes)

    def take(self, advance: Advance) -> None:
        """Count one advance; episodes are the narrator's to move."""
        buckets = round((advance.end_s - advance.start_s) / advance.settings.span_s)
        self.position_s = advance.end_s
        self.counts.bucket_count += buckets
        self.counts.latest_bucket_s = advance.end_s - advance.settings.span_s
        seen = np.zeros(buckets, dtype=bool)
        for block in advance.blocks:
            present = np.isfinite(block.values)
            self.counts.empty_bucket_count += int(present.size - np.count_nonzero(present))
            seen |= present.any(axis=1) if present.size else False
        self.counts.gap_count += int(buckets - np.count_nonzero(seen))
        self._take_sample_times(advance.blocks, seen, advance)
        self.timings.take(buckets, advance.processing_s)
        for record in advance.outcome.records:
            self._take_record(record)
        self._take_rescores(advance)
        self._forget_old()

    def severity_counts(self) -> dict[str, int]:
        """Records of the last 24 hours before the position, by severity."""
        since = (self.position_s - _DAY_S) / _TALLY_S
        totals: Counter[str] = Counter()
        for minute, tally in self.tallies.items():
            if minute >= since:
                totals.update(
                    {name: int(count) for name, count in tally.items() if name != "worst"}
                )
        return {name: totals[name] for name in ("warning", "minor", "major", "critical")}

    def worst_score(self) -> float:
        """Highest record score of the last hour before the position."""
        since = (self.position_s - _HOUR_S) / _TALLY_S
        found = [tally["worst"] for minute, tally in self.tallies.items() if minute >= since]
        return max(found, default=0.0)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for the snapshot."""
        document = {
            "start_s": self.start_s,
            "position_s": self.position_s,
            "caught_up": self.caught_up,
            "chunk": self.chunk,
            "reverted": self.reverted,
            "went_back": self.went_back,
            "counts": asdict(self.counts),
            "timings": asdict(self.timings),
            "recent": self.recent,
            "tallies": {str(minute): tally for minute, tally in self.tallies.items()},
            "records_total": dict(self.records_total),
            "episodes": self.episodes.document(),
        }
        return {
            "state": np.frombuffer(
                orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), dtype=np.uint8
            ),
            "job": np.frombuffer(self.job_json, dtype=np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Continue from a snapshot. Raises KeyError, TypeError or ValueError on anything else."""
        document = orjson.loads(arrays["state"].tobytes())
        return cls(
            start_s=document["start_s"],
            position_s=document["position_s"],
            caught_up=document["caught_up"],
            job_json=arrays["job"].tobytes(),
            chunk=document["chunk"],
            reverted=document["reverted"],
            went_back=document.get("went_back", {}),
            counts=Counts(**document["counts"]),
            timings=Timings(**document["timings"]),
            recent=document["recent"],
            tallies={int(minute): tally for minute, tally in document["tallies"].items()},
            records_total=Counter(document["records_total"]),
            episodes=Episodes.from_document(document["episodes"]),
        )

    def _take_sample_times(
        self, blocks: tuple[Block, ...], seen: NDArray[np.bool_], advance: Advance
    ) -> None:
        # Buckets are what is known of samples here, so times are good to one bucket.
        if not blocks or not seen.any():
            return
        where = np.flatnonzero(seen)
        span_s = advance.settings.span_s
        if self.counts.earliest_sample_s is None:
            self.counts.earliest_sample_s = advance.start_s + float(where[0]) * span_s
        self.counts.latest_sample_s = advance.start_s + float(where[-1] + 1) * span_s

    def _take_record(self, record: Record) -> None:
        severity = severity_of(record.record_score)
        if severity is None:
            return
        self.records_total[severity] += 1
        tally = self.tallies.setdefault(int(record.timestamp_s // _TALLY_S), {"worst": 0.0})
        tally[severity] = tally.get(severity, 0) + 1
        tally["worst"] = max(tally["worst"], record.record_score)
        if record.record_score >= OPENS_AT:
            self.recent.append(
                {
                    "timestamp_s": record.timestamp_s,
                    "detector_index": record.detector_index,
                    "series": [
                        record.series.partition,
                        record.series.family,
                        record.series.member,
                    ],
                    "labels": dict(record.labels),
                    "score": record.record_score,
                    "initial_score": record.initial_record_score,
                    "actual": record.actual,
                    "typical": record.typical,
                    "summary": record.summary,
                    "explanation": record.explanation.sentence,
                }
            )

    def _take_rescores(self, advance: Advance) -> None:
        if not self.recent:
            return
        scores = {
            (
                each.timestamp_s,
                each.detector_index,
                each.series.partition,
                each.series.family,
                each.series.member,
            ): each.score
            for each in advance.outcome.rescores
        }
        for entry in self.recent:
            key = (entry["timestamp_s"], entry["detector_index"], *entry["series"])
            entry["score"] = scores.get(key, entry["score"])

    def _forget_old(self) -> None:
        self.recent.sort(key=lambda entry: (-entry["timestamp_s"], -entry["score"]))
        del self.recent[MAX_RECENT_ANOMALIES:]
        oldest = (self.position_s - _DAY_S) / _TALLY_S - 1
        self.tallies = {m: tally for m, tally in self.tallies.items() if m >= oldest}
