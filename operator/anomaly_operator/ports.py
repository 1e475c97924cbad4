"""The seams between the worker's loop and the outside: what adapters implement and tests fake.

The loop knows only these Protocols; ``worker/assembly.py`` alone names adapters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.categorizing import Category, Standing
from anomaly_operator.engine.contract import AnalysisSettings, Block, Outcome, PlannedEnd


class SampleKind(StrEnum):
    """How a metric's samples become a bucket's value: as they are, or as a rate per second."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """One entry of a source's catalogue."""

    name: str
    unit: str
    kind: SampleKind
    resolution: float  # smallest meaningful difference, metric's unit
    non_negative: bool = True


@dataclass(frozen=True, slots=True)
class Scope:
    """What a worker may see; None for ``namespaces`` means all. Source and worker both apply it."""

    target_kind: str  # Pod | Node
    namespaces: tuple[str, ...] | None = None
    node_names: tuple[str, ...] = ()
    selector: Mapping[str, object] | None = None  # metav1.LabelSelector of pods or nodes
    namespace_selector: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Samples of one metric in [start_s, end_s), for entities named by ``by``."""

    metric: str
    by: str  # pod | workload | container | node | category
    start_s: float
    end_s: float
    step_s: float  # resolution wanted; a source may answer finer
    scope: Scope
    labels: tuple[str, ...] = ()  # wanted beside who it is: zone, instance-type, Kubernetes labels


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples in columns: ``series[index[i]]`` had ``value[i]`` at ``time_s[i]``.

    ``series`` are label sets (namespace, workload, pod, node, container, ...); ``index`` (N,)
    int32, ``time_s`` and ``value`` (N,) float64, in any order, duplicates possible. ``ends`` are of
    pods that were, or are being, deleted as planned about then; one may be told again, longer.
    """

    kind: SampleKind
    series: tuple[Mapping[str, str], ...]
    index: NDArray[np.int32]
    time_s: NDArray[np.float64]
    value: NDArray[np.float64]
    problems: tuple[Coverage, ...] = ()
    ends: tuple[PlannedEnd, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """Data that should be there and is not: the DataComplete condition's reason and message."""

    reason: str  # NoData | Stale | PartialCoverage | NoNetworkSeries | RBAC | TLS
    message: str


class MetricSource(Protocol):
    """Where samples come from. ``read`` raises SourceUnavailable, never returns invented data."""

    def catalogue(self) -> Mapping[str, MetricInfo]:
        """Metrics this source offers, by name."""

    def keeps_history(self) -> bool:
        """Whether the past can be asked for (Prometheus, tables) or only now (kubelets)."""

    def read(self, request: ReadRequest) -> Samples:
        """Return samples of one metric; takes long spans and splits them itself."""

    def close(self) -> None:
        """Release connections."""


@dataclass(frozen=True, slots=True)
class PlotSettings:
    """Whether typical and bounds of every bucket are kept, and for which entities (empty: all)."""

    enabled: bool = False
    annotations_enabled: bool = False
    terms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Advance:
    """One call of the engine: what went in, what it concluded, and under which settings.

    ``live`` is False while history is being analysed: nobody wants an Event for last month.
    """

    settings: AnalysisSettings
    plot: PlotSettings
    blocks: tuple[Block, ...]
    outcome: Outcome
    start_s: float  # of the first bucket
    end_s: float  # end of the last bucket
    live: bool
    processing_s: float = 0.0  # wall seconds the engine took


class ResultSink(Protocol):
    """Takes conclusions; writing the same one twice leaves the same state as once."""

    def write(self, advance: Advance) -> None:
        """Take one advance. Raises StoreUnavailable when it cannot be kept."""

    def flush(self) -> None:
        """Make everything written so far outlive a power cut. Raises StoreUnavailable."""

    def close(self) -> None:
        """Flush and release."""


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One stored model snapshot."""

    snapshot_id: str
    timestamp_s: float  # end of the last bucket it has learnt
    size_bytes: int
    retain: bool = False
    description: str = ""


class ResultStore(ResultSink, Protocol):
    """The sink that keeps results: what it cannot take now must be offered again."""

    def keep_statistics(
        self, result_type: str, timestamp_s: float, document: Mapping[str, object]
    ) -> None:
        """Keep data_counts, timing_stats or model_size_stats. Raises StoreUnavailable."""

    def keep_snapshots(self, snapshots: Sequence[SnapshotInfo]) -> None:
        """List these as the job's model snapshots. Raises StoreUnavailable."""

    def keep_categories(
        self, categories: Sequence[Category], standings: Sequence[Standing], *, field: str
    ) -> None:
        """Make these the job's categories; ``field`` is its partition field, or empty.

        Raises StoreUnavailable.
        """

    def latest_bucket_s(self) -> float | None:
        """Start of the newest bucket kept. Raises StoreUnavailable."""

    def delete_results(self, *, before_s: float | None = None, from_s: float | None = None) -> int:
        """Delete older or later results; people's annotations stay. Raises StoreUnavailable."""


class SnapshotStore(Protocol):
    """Versioned model state, written whole or not at all."""

    def save(self, info: SnapshotInfo, arrays: Mapping[str, NDArray[np.generic]]) -> SnapshotInfo:
        """Store under a temporary name, then rename. Raises StoreUnavailable.

        The arrays may be lent: the store is done with them when this returns.
        """

    def load(self, snapshot_id: str) -> Mapping[str, NDArray[np.generic]]:
        """Arrays of one snapshot. Raises SnapshotRejected when torn, foreign or too new."""

    def list(self) -> Sequence[SnapshotInfo]:
        """All snapshots, oldest first."""

    def delete(self, snapshot_ids: Iterable[str]) -> None:
        """Remove; absent ones are no error."""


@dataclass(frozen=True, slots=True)
class SettingsEntry:
    """The job document in force from here on; a replay must judge as was judged the first time."""

    job_json: bytes


@dataclass(frozen=True, slots=True, eq=False)
class SamplesEntry:
    """What one read of the source gave for one detector, after the worker's own filters."""

    detector_index: int
    start_s: float  # of what was asked for: where the read before ended
    through_s: float  # end of what was asked for
    samples: Samples


@dataclass(frozen=True, slots=True)
class CloseEntry:
    """All buckets up to ``end_s`` were closed and given to the engine in one call."""

    end_s: float
    live: bool


JournalEntry = SettingsEntry | SamplesEntry | CloseEntry


class Journal(Protocol):
    """What the worker was told and did since the last snapshots, in order.

    Samples rather than buckets, so that an open bucket and a counter's last value survive a kill.
    """

    def append(self, entry: JournalEntry) -> None:
        """Keep one entry. Raises StoreUnavailable and then leaves the journal as it was."""

    def rotate(self, position_s: float) -> None:
        """Start a new segment: a snapshot at ``position_s`` now stands for all before."""

    def replay(self, position_s: float) -> Iterator[JournalEntry]:
        """Entries from the segment that began at ``position_s`` on; ends at a torn tail."""

    def forget(self, before_s: float) -> None:
        """Drop segments that began before ``before_s``."""

    def close(self) -> None:
        """Release files."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One Kubernetes Event. ``key`` names the occasion, so that a repeat is recognised as one."""

    key: str
    warning: bool
    reason: str  # CamelCase, stable
    message: str
    pod: tuple[str, str] | None = None  # (namespace, name) of the affected pod; None: the detector


class Announcer(Protocol):
    """Tells people something once."""

    def announce(self, announcement: Announcement) -> None:
        """Queue one announcement; never blocks, never raises."""

    def close(self) -> None:
        """Deliver what is queued, within a few seconds, and release."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The job itself in numbers, as its own metrics show it; totals since the detector began."""

    state: str  # opening | backfill | live | suspended
    bucket_count: int
    late_samples: int
    records: Mapping[str, int]  # by severity
    series: int
    model_bytes: int
    memory_status: str
    bucket_lag_s: float | None  # how long the next bucket has been due; None before the first
    bucket_processing_s: float  # exponential average
    source_errors: Mapping[str, int]  # by reason, since the worker started
    store_errors: int  # since the worker started
    undelivered: int  # advances that the results store has not taken yet


class FiguresSink(Protocol):
    """Shows the job's own figures."""

    def publish(self, figures: Figures) -> None:
        """Show these from now on."""


class StatusReporter(Protocol):
    """Shows the shard's state where the operator and people look."""

    def report(self, entry: Mapping[str, object], *, urgent: bool = False) -> None:
        """Show this state, up to a minute late unless urgent. Never blocks or raises."""

    def report_trouble(self, condition: Mapping[str, object]) -> None:
        """Show why there is no state to show yet, beside what was shown before. As ``report``."""

    def close(self) -> None:
        """Deliver the last state, within a few seconds, and release."""


class Clock(Protocol):
    """Time as an argument, so that tests need not sleep."""

    def now_s(self) -> float:
        """Epoch seconds."""

    def monotonic_s(self) -> float:
        """Seconds that only ever grow, for measuring and for back-off."""

    def wait(self, seconds: float) -> bool:
        """Sleep; False at once when told to stop."""
