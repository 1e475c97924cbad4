"""Fakes of the worker's ports: they pass the same conformance suites as the real adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.categorizing import Category, Standing
from anomaly_operator.engine.contract import PlannedEnd
from anomaly_operator.errors import SnapshotRejected, SourceUnavailable, StoreUnavailable
from anomaly_operator.ports import (
    Advance,
    Announcement,
    Figures,
    JournalEntry,
    MetricInfo,
    ReadRequest,
    SampleKind,
    Samples,
    SnapshotInfo,
)


class FakeClock:
    """Time that passes only by waiting; ``stop_at`` ends waits as SIGTERM would."""

    def __init__(self, now_s: float, *, stop_at: float = float("inf")) -> None:
        self.now = now_s
        self.monotonic = 0.0
        self.stop_at = stop_at
        self.at: list[tuple[float, Callable[[], None]]] = []
        self.stopped = False

    def now_s(self) -> float:
        return self.now

    def monotonic_s(self) -> float:
        return self.monotonic

    def wait(self, seconds: float) -> bool:
        if self.stopped:
            return False
        step = max(seconds, 0.001)
        self.monotonic += step
        self.now += step
        while self.at and self.at[0][0] <= self.now:
            self.at.pop(0)[1]()
        return not self.stopped and self.now < self.stop_at

    def stop(self) -> None:
        self.stopped = True

    def schedule(self, at_s: float, act: Callable[[], None]) -> None:
        self.at.append((at_s, act))
        self.at.sort(key=lambda each: each[0])


Value = Callable[[str, str, NDArray[np.float64]], NDArray[np.float64]]


class ScriptedSource:
    """Values from a function of (metric, pod, times); records what it was asked."""

    def __init__(
        self, value: Value, *, pods: Sequence[str], history: bool = True, kind: str = "gauge"
    ) -> None:
        self.value = value
        self.pods = list(pods)
        self.history = history
        self.kind = SampleKind(kind)
        self.failure: SourceUnavailable | None = None
        self.reads: list[ReadRequest] = []
        self.ends: tuple[PlannedEnd, ...] = ()
        self.closed = False

    def catalogue(self) -> Mapping[str, MetricInfo]:
        return {
            name: MetricInfo(name, "bytes", self.kind, 0.0)
            for name in ("memory_usage", "network_in")
        }

    def keeps_history(self) -> bool:
        return self.history

    def read(self, request: ReadRequest) -> Samples:
        self.reads.append(request)
        if self.failure is not None:
            raise self.failure
        first = np.ceil(request.start_s / request.step_s) * request.step_s
        times = np.arange(first, request.end_s, request.step_s)
        series = tuple(
            {"namespace": "shop", "workload": pod.rsplit("-", 1)[0], "pod": pod, "node": "n1"}
            for pod in self.pods
        )
        return Samples(
            kind=self.kind,
            series=series,
            index=np.repeat(np.arange(len(series), dtype=np.int32), len(times)),
            time_s=np.tile(times, len(series)),
            value=np.concatenate([self.value(request.metric, pod, times) for pod in self.pods])
            if self.pods
            else np.empty(0),
            ends=tuple(end for end in self.ends if request.start_s <= end.until_s < request.end_s),
        )

    def close(self) -> None:
        self.closed = True


class MemoryStore:
    """ResultStore in dictionaries; ``failing`` makes every write raise."""

    def __init__(self) -> None:
        self.records: dict[tuple[Any, ...], tuple[float, float, float]] = {}
        self.buckets: dict[tuple[float, str], tuple[float, int]] = {}
        self.annotations: dict[tuple[Any, ...], str] = {}
        self.statistics: dict[str, Mapping[str, object]] = {}
        self.snapshots: list[SnapshotInfo] = []
        self.categories: dict[int, Category] = {}
        self.standings: list[Standing] = []
        self.failing = False
        self.writes = 0
        self.flushes = 0

    def write(self, advance: Advance) -> None:
        self._check()
        self.writes += 1
        for each in advance.outcome.records:
            key = (each.timestamp_s, each.detector_index, each.series)
            self.records[key] = (each.actual, each.record_score, each.initial_record_score)
        for note in advance.outcome.annotations:
            self.annotations[note.timestamp_s, note.event, note.series] = note.text
        for rescore in advance.outcome.rescores:
            key = (rescore.timestamp_s, rescore.detector_index, rescore.series)
            if key in self.records:
                actual, _, initial = self.records[key]
                self.records[key] = (actual, rescore.score, initial)
        for bucket in advance.outcome.buckets:
            self.buckets[bucket.timestamp_s, bucket.partition] = (
                bucket.anomaly_score,
                bucket.event_count,
            )

    def keep_statistics(
        self, result_type: str, timestamp_s: float, document: Mapping[str, object]
    ) -> None:
        self._check()
        self.statistics[result_type] = {**document, "timestamp_s": timestamp_s}

    def keep_snapshots(self, snapshots: Sequence[SnapshotInfo]) -> None:
        self._check()
        self.snapshots = list(snapshots)

    def keep_categories(
        self,
        categories: Sequence[Category],
        standings: Sequence[Standing],
        *,
        field: str,  # noqa: ARG002
    ) -> None:
        self._check()
        self.categories = {each.category_id: replace(each) for each in categories}
        self.standings = list(standings)

    def latest_bucket_s(self) -> float | None:
        self._check()
        return max((time_s for time_s, _ in self.buckets), default=None)

    def delete_results(self, *, before_s: float | None = None, from_s: float | None = None) -> int:
        self._check()

        def outside(time_s: float) -> bool:
            return (before_s is not None and time_s < before_s) or (
                from_s is not None and time_s >= from_s
            )

        gone = [key for key in self.records if outside(key[0])]
        gone_buckets = [key for key in self.buckets if outside(key[0])]
        for key in gone:
            del self.records[key]
        for bucket in gone_buckets:
            del self.buckets[bucket]
        return len(gone) + len(gone_buckets)

    def flush(self) -> None:
        self._check()
        self.flushes += 1

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.failing:
            raise StoreUnavailable("memory store: told to fail")


class MemorySnapshots:
    """SnapshotStore in a dictionary; ``torn`` names snapshots that cannot be read."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[SnapshotInfo, dict[str, NDArray[np.generic]]]] = {}
        self.torn: set[str] = set()
        self.failing = False

    def save(self, info: SnapshotInfo, arrays: Mapping[str, NDArray[np.generic]]) -> SnapshotInfo:
        self._check()
        size = sum(array.nbytes for array in arrays.values())
        stored = replace(info, size_bytes=max(1, size))
        self.kept[info.snapshot_id] = (stored, {key: a.copy() for key, a in arrays.items()})
        return stored

    def load(self, snapshot_id: str) -> Mapping[str, NDArray[np.generic]]:
        self._check()
        if snapshot_id in self.torn or snapshot_id not in self.kept:
            raise SnapshotRejected(f"snapshot {snapshot_id}: torn or not there")
        return {key: array.copy() for key, array in self.kept[snapshot_id][1].items()}

    def list(self) -> Sequence[SnapshotInfo]:
        self._check()
        return sorted((info for info, _ in self.kept.values()), key=lambda info: info.timestamp_s)

    def delete(self, snapshot_ids: Iterable[str]) -> None:
        self._check()
        for snapshot_id in snapshot_ids:
            self.kept.pop(snapshot_id, None)

    def _check(self) -> None:
        if self.failing:
            raise StoreUnavailable("memory snapshots: told to fail")


class MemoryJournal:
    """Journal in lists."""

    def __init__(self) -> None:
        self.segments: dict[float, list[JournalEntry]] = {}
        self.position_s = 0.0
        self.failing = False

    def append(self, entry: JournalEntry) -> None:
        if self.failing:
            raise StoreUnavailable("memory journal: told to fail")
        self.segments.setdefault(self.position_s, []).append(entry)

    def rotate(self, position_s: float) -> None:
        self.position_s = position_s

    def replay(self, position_s: float) -> Iterator[JournalEntry]:
        for began_s in sorted(self.segments):
            if began_s >= position_s:
                yield from list(self.segments[began_s])

    def forget(self, before_s: float) -> None:
        self.segments = {key: each for key, each in self.segments.items() if key >= before_s}

    def close(self) -> None:
        pass


class Recorder:
    """Announcer, StatusReporter and FiguresSink that remember what they were given."""

    def __init__(self) -> None:
        self.announcements: list[Announcement] = []
        self.entries: list[Mapping[str, Any]] = []
        self.urgent: list[bool] = []
        self.troubles: list[Mapping[str, Any]] = []
        self.figures: Figures | None = None

    def announce(self, announcement: Announcement) -> None:
        self.announcements.append(announcement)

    def report(self, entry: Mapping[str, Any], *, urgent: bool = False) -> None:
        self.entries.append(entry)
        self.urgent.append(urgent)

    def report_trouble(self, condition: Mapping[str, Any]) -> None:
        self.troubles.append(condition)

    def publish(self, figures: Figures) -> None:
        self.figures = figures

    def close(self) -> None:
        pass

    def reasons(self) -> list[str]:
        return [each.reason for each in self.announcements if each.pod is None]
