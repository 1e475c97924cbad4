"""AnomalyDetector.status: what the operator and the workers report, one writer a field.

The operator writes state, totals and conditions; each worker applies its own entry of ``shards``
under its own field manager. Nothing here grows with the cluster. Unknown fields pass: an older
operator may read what a newer worker wrote.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from anomaly_operator.api import patterns
from anomaly_operator.api.model import ApiModel, Time

MAX_RECENT_ANOMALIES = 20
MAX_SHARDS = 64
MAX_SNAPSHOTS_SHOWN = 30  # ten days by default: eight of today, and one of each day before

Text = Annotated[str, StringConstraints(max_length=1024)]
Name = Annotated[str, StringConstraints(max_length=253)]
State = Literal["opening", "opened", "closing", "closed", "failed"]
MemoryStatus = Literal["ok", "soft_limit", "hard_limit"]
CategorizationStatus = Literal["ok", "warn"]
Severity = Literal["warning", "minor", "major", "critical"]

SEVERITY_FROM: dict[Severity, float] = {
    "warning": 3.0,
    "minor": 25.0,
    "major": 50.0,
    "critical": 75.0,
}
"""Lowest score of each severity."""


def severity_of(score: float) -> Severity | None:
    """Severity of a score; None below the lowest.

    Examples
    --------
    >>> severity_of(74.9), severity_of(2.9)
    ('major', None)
    """
    reached = [name for name, least in SEVERITY_FROM.items() if score >= least]
    return reached[-1] if reached else None


def shown_score(score: float) -> int:
    """Score as people are shown it: whole, and never above what its severity says.

    Examples
    --------
    >>> shown_score(74.99), severity_of(74.99)
    (74, 'major')
    """
    return math.floor(score)


def kept_score(score: float) -> float:
    """Score as a status keeps it: two digits, never above what its severity says.

    Examples
    --------
    >>> kept_score(74.996), kept_score(75.0)
    (74.99, 75.0)
    """
    return math.floor(score * 100.0) / 100.0


class StatusModel(ApiModel):
    """Base of status objects: fields of newer versions are let through unseen."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)


class Condition(StatusModel):
    """One metav1.Condition."""

    type: Annotated[str, StringConstraints(max_length=316)]
    """Type in CamelCase, such as Ready."""
    status: Literal["True", "False", "Unknown"]
    """`True`, `False` or `Unknown`."""
    reason: Annotated[
        str,
        StringConstraints(pattern=patterns.REASON, max_length=1024),
    ]
    """Cause, one word in CamelCase, stable."""
    message: Annotated[str, StringConstraints(max_length=32768)] = ""
    """For people."""
    last_transition_time: Time
    """When `status` last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that the condition speaks of."""


StatusConditions = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    ),
]


class Backfill(StatusModel):
    """How far the analysis of the past has come."""

    from_: Annotated[Time | None, Field(alias="from")] = None
    """Where it began."""
    through: Time | None = None
    """End of the last bucket analysed."""
    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    """Share done."""


class DataCounts(StatusModel):
    """What was read and what became of it, since the detector was created."""

    bucket_count: int | None = None
    """Buckets judged."""
    empty_bucket_count: int | None = None
    """Buckets of a series in which it had no sample."""
    processed_sample_count: int | None = None
    """Samples that went into buckets."""
    late_sample_count: int | None = None
    """Samples that came after their bucket had closed; they were not analysed."""
    invalid_sample_count: int | None = None
    """Samples that were no finite number."""
    gap_count: int | None = None
    """Times the source had nothing for a whole bucket."""
    earliest_sample_time: Time | None = None
    """Time of the oldest sample."""
    latest_sample_time: Time | None = None
    """Time of the newest sample."""
    latest_bucket_time: Time | None = None
    """Start of the newest bucket judged."""


class ModelSizeStats(StatusModel):
    """What the models hold."""

    model_bytes: int | None = None
    """Bytes held by the models."""
    peak_model_bytes: int | None = None
    """The most it ever was."""
    model_bytes_memory_limit: int | None = None
    """The limit the models work under, bytes."""
    memory_status: MemoryStatus | None = None
    """`ok`; `soft_limit`: pruning is more aggressive; `hard_limit`: new series are not modelled."""
    series_count: int | None = None
    """Series with a model."""
    pruned_series_count: int | None = None
    """Series whose model was removed for want of data."""
    total_category_count: int | None = None
    """Categories of events; only of detectors `by: category`."""
    categorization_status: CategorizationStatus | None = None
    """`ok`; `warn`: events make no useful categories, at least in one partition."""
    bucket_allocation_failures_count: int | None = None
    """Buckets in which a new series had no room."""
    timestamp: Time | None = None
    """Bucket the figures belong to."""


class TimingStats(StatusModel):
    """How long buckets take."""

    bucket_count: int | None = None
    """Buckets timed."""
    total_bucket_processing_time_ms: float | None = None
    """All of them together, milliseconds."""
    average_bucket_processing_time_ms: float | None = None
    """On average, milliseconds."""
    maximum_bucket_processing_time_ms: float | None = None
    """The slowest, milliseconds."""
    exponential_average_bucket_processing_time_ms: float | None = None
    """On average with the newest weighing most, milliseconds."""


class ModelSnapshotStatus(StatusModel):
    """The newest stored state of the models."""

    id: Name
    """Id of the snapshot, as `anomaly snapshots` lists it."""
    time: Time
    """End of the last bucket it has learnt."""
    size_bytes: int | None = None
    """Its size, bytes."""


class StoredSnapshot(StatusModel):
    """A stored state of the models that can be gone back to."""

    id: Name
    """Id of the snapshot."""
    time: Time
    """End of the last bucket it has learnt."""
    size_bytes: int | None = None
    """Its size, bytes."""
    description: Annotated[str, StringConstraints(max_length=256)] = ""
    """Why it was stored; empty for the regular ones."""
    retain: bool = False
    """True: it is kept whatever its age."""


class RevertStatus(StatusModel):
    """What became of the last wish to go back to a snapshot."""

    request_id: Name
    """Id of the wish, as the annotation has it."""
    snapshot_id: Name
    """Snapshot that was wished for; `empty` is from scratch."""
    outcome: Literal["done", "refused"]
    """`done`, or `refused`: nothing was changed."""
    message: Text = ""
    """What was done, or why not."""
    time: Time | None = None
    """When."""


class AnomalyCounts(StatusModel):
    """Records of the last 24 hours by severity."""

    warning: int = 0
    """Score 3 to 25."""
    minor: int = 0
    """Score 25 to 50."""
    major: int = 0
    """Score 50 to 75."""
    critical: int = 0
    """Score 75 and more."""


class RecentAnomaly(StatusModel):
    """One record of score 50 or more."""

    time: Time
    """Start of the bucket."""
    detector_index: int | None = None
    """Position of the detector in `spec.detectors`, from 0."""
    metric: Annotated[str, StringConstraints(max_length=63)]
    """Metric of the detector."""
    function: Annotated[str, StringConstraints(max_length=63)] | None = None
    """Function of the detector."""
    entity: Name
    """The pod, workload, container or node."""
    namespace: Annotated[str, StringConstraints(max_length=63)] | None = None
    """Namespace of the entity, where it has one."""
    partition: Name | None = None
    """Value of the partition field, where there is one."""
    score: float
    """0 to 100, renormalised since."""
    initial_score: float | None = None
    """0 to 100, as first given."""
    actual: float | None = None
    """Value seen, metric's unit."""
    typical: float | None = None
    """Value expected, metric's unit."""
    summary: Annotated[str, StringConstraints(max_length=256)] = ""
    """Such as 3x higher."""
    explanation: Text | None = None
    """Why the score is what it is, in one sentence."""


RecentAnomalies = Annotated[tuple[RecentAnomaly, ...], Field(max_length=MAX_RECENT_ANOMALIES)]


class ShardStatus(StatusModel):
    """What one worker reports of its share of the series."""

    shard: Annotated[int, Field(ge=0)]
    """Number of the shard, from 0."""
    applied_generation: int | None = None
    """Generation of the spec that the worker follows."""
    applied_document: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Digest of the job document that the worker follows. It changes with the spec, and with the
    content of filters and the source that the spec names."""
    refused_document: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Digest of the job document that the worker refuses; its condition JobFollowed says why."""
    backfill: Backfill | None = None
    """How far the analysis of the past has come."""
    data_counts: DataCounts | None = None
    """What was read."""
    model_size_stats: ModelSizeStats | None = None
    """What the models hold."""
    timing_stats: TimingStats | None = None
    """How long buckets take."""
    model_snapshot: ModelSnapshotStatus | None = None
    """The newest stored state."""
    model_snapshots: Annotated[
        tuple[StoredSnapshot, ...], Field(max_length=MAX_SNAPSHOTS_SHOWN)
    ] = ()
    """Stored states that can be gone back to, newest first, at most 30."""
    revert: RevertStatus | None = None
    """What became of the last wish to go back to a snapshot."""
    anomalies: AnomalyCounts | None = None
    """Records of the last 24 hours."""
    worst_score: float | None = None
    """Highest record score of the last hour."""
    recent_anomalies: RecentAnomalies = ()
    """Records of score 50 or more, newest first, at most 20."""
    conditions: StatusConditions = ()
    """What the worker sees: SourceReady, DataComplete, ModelTrained, ModelMemoryOk,
    AnomalyDetected, which the operator sums up; JobFollowed and ResultsStored."""


class AnomalyDetectorStatus(StatusModel):
    """What the operator and the workers report."""

    observed_generation: int | None = None
    """Generation of the spec that the operator has dealt with."""
    applied_generation: int | None = None
    """Generation that every worker follows: the lowest of the shards'."""
    state: State | None = None
    """`opening`, `opened`, `closing`, `closed` or `failed`."""
    shard_count: int | None = None
    """How many workers share the series."""
    series_count: int | None = None
    """Series with a model, all shards together."""
    worst_score: float | None = None
    """Highest record score of the last hour, all shards together."""
    last_anomaly_time: Time | None = None
    """Start of the bucket of the newest record of score 50 or more."""
    backfill: Backfill | None = None
    """How far the analysis of the past has come; the slowest shard's."""
    data_counts: DataCounts | None = None
    """What was read, all shards together."""
    model_size_stats: ModelSizeStats | None = None
    """What the models hold, all shards together; `modelMemoryLimit` cannot go below its
    modelBytes."""
    anomalies: AnomalyCounts | None = None
    """Records of the last 24 hours, all shards together."""
    recent_anomalies: RecentAnomalies = ()
    """The newest records of score 50 or more of all shards, newest first, at most 20."""
    model_memory: Annotated[str, StringConstraints(max_length=32)] | None = None
    """Model memory as a person reads it, such as 12mb of 1024mb."""
    conditions: StatusConditions = ()
    """Ready, Reconciling, Stalled and the conditions beside them."""
    shards: Annotated[
        tuple[ShardStatus, ...],
        Field(
            max_length=MAX_SHARDS,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["shard"],
            },
        ),
    ] = ()
    """What each worker reports of its share of the series."""

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of a type, where there is one."""
        return next((c for c in self.conditions if c.type == type_), None)
