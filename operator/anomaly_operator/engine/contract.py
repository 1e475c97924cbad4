"""What goes into the engine and what comes out: the whole of its public vocabulary.

The worker translates API models into these plain values and metric samples into ``Block`` arrays;
sinks read ``Outcome``. Nothing here knows Kubernetes, pydantic or time of day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Side(StrEnum):
    """The direction in which a value can be anomalous."""

    HIGH = "high"
    LOW = "low"
    BOTH = "both"


class RuleAction(StrEnum):
    """What a custom rule or a maintenance window does to a sample it applies to."""

    SKIP_RESULT = "skip_result"
    SKIP_MODEL_UPDATE = "skip_model_update"


@dataclass(frozen=True, slots=True)
class Condition:
    """One numeric condition of a rule; ``time`` compares the bucket's start in epoch seconds."""

    applies_to: str  # actual | typical | diff_from_typical | ratio_to_typical | time
    operator: str  # gt | gte | lt | lte
    value: float


@dataclass(frozen=True, slots=True)
class Scope:
    """Restricts a rule or window to series whose label ``field`` matches one of ``patterns``.

    A pattern is a literal, or has ``*`` at its start, its end, or both.
    """

    field: str
    patterns: tuple[str, ...]
    exclude: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Applies where every scope and every condition holds; several rules are alternatives."""

    actions: frozenset[RuleAction]
    conditions: tuple[Condition, ...] = ()
    scopes: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """One maintenance window, already expanded to absolute intervals [start_s, end_s)."""

    name: str
    intervals: tuple[tuple[float, float], ...]
    actions: frozenset[RuleAction]
    scopes: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """One detector of an analysis: function x metric."""

    index: int
    metric: str
    function: str
    side: Side
    field_name: str = ""  # shown in results; the metric's source name
    non_negative: bool = True  # the metric cannot be below zero; bounds and typical neither
    resolution: float = 0.0  # metric's unit; smaller differences than this are never anomalous
    min_deviation_absolute: float = 0.0
    min_deviation_relative: float = 0.0
    by: str = ""  # label that names the entity: pod, workload, container, node
    partition_field: str = ""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """All the engine must know of an AnomalyDetector; durations in seconds, sizes in bytes."""

    span_s: float
    detectors: tuple[DetectorSettings, ...]
    influencers: tuple[str, ...] = ()  # label names
    windows: tuple[Window, ...] = ()
    model_memory_limit_bytes: int = 1024 * 2**20
    renormalization_window_s: float = 30 * 86400.0  # 0 switches renormalisation off
    prune_window_s: float = 30 * 86400.0
    time_zone_offset_s: float = 0.0  # where "Tuesday 14:00" in an explanation is reckoned


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """A series as its source names it, before replica slots.

    ``family`` is the workload (or node, or any lasting owner) and ``member`` the pod in it that
    comes and goes (empty where the series is lasting itself). The engine maps members of a family
    to lasting rows, so that a rollout neither resets nor floods.
    """

    partition: str
    family: str
    member: str = ""


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """An ordered set of series; blocks that share one share its look-ups. Compare by identity."""

    keys: tuple[SeriesKey, ...]
    labels: tuple[Mapping[str, str], ...]  # per key: namespace, workload, pod, node, container, ...


@dataclass(frozen=True, slots=True)
class PlannedEnd:
    """A pod's way out, as somebody wanted it: from when its end was asked for until it was gone.

    What its series say in that time is cut short. Crashes, evictions for want of memory and lost
    nodes are no planned ends.
    """

    namespace: str
    pod: str
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Block:
    """One detector's consecutive buckets; T = 1 live, more in backfill.

    ``values`` and ``counts`` are (T, S); NaN = no sample in that bucket, never zero instead.
    ``ended`` are the (bucket, position) that a planned end cut short. ``parts`` (T, S) are how many
    parts each value was added up of (the pods of a workload); None where each is one.
    """

    detector_index: int
    start_s: float  # start of the first bucket, epoch seconds
    series: SeriesSet
    values: Floats
    counts: Floats
    ended: frozenset[tuple[int, int]] = frozenset()
    parts: Floats | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Dense answers for one detector's block, each (T, S); NaN where nothing was judged."""

    typical: Floats
    lower: Floats
    upper: Floats
    log_p: Floats  # natural log, combined single and multi bucket
    multi_bucket_impact: Floats
    score: Floats  # 0..100


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a record's score is what it is; see docs/engine.md."""

    anomaly_type: str  # spike | dip
    anomaly_length: int  # buckets
    single_bucket_impact: int
    multi_bucket_impact: int
    anomaly_characteristics_impact: int
    lower_confidence_bound: float
    typical_value: float
    upper_confidence_bound: float
    high_variance_penalty: bool
    incomplete_bucket_penalty: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Record:
    """One detector's anomaly for one series in one bucket."""

    timestamp_s: float  # bucket start
    span_s: float
    detector_index: int
    series: SeriesKey
    labels: Mapping[str, str]
    actual: float
    typical: float
    log_p: float
    multi_bucket_impact: float
    initial_record_score: float
    record_score: float
    influencers: tuple[tuple[str, str], ...]
    explanation: Explanation
    summary: str  # "3x higher"


@dataclass(frozen=True, slots=True)
class InfluencerResult:
    """A label value that carries a bucket's anomaly."""

    timestamp_s: float
    field: str
    value: str
    log_p: float
    initial_influencer_score: float
    influencer_score: float


@dataclass(frozen=True, slots=True)
class BucketResult:
    """All of one bucket, also of a quiet one; ``partition`` is "" for the whole."""

    timestamp_s: float
    span_s: float
    partition: str
    anomaly_score: float
    initial_anomaly_score: float
    event_count: int
    record_count: int
    windows: tuple[str, ...] = ()  # maintenance windows in force, whoever they are for


@dataclass(frozen=True, slots=True)
class Muted:
    """A result that a rule or window withheld, so that it can be shown why nothing was shown."""

    timestamp_s: float
    detector_index: int
    series: SeriesKey
    window: str  # "" when a rule did
    score: float


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something the model wants to tell.

    ``event`` is one of level_shift, scale_change, time_shift, seasonality_found,
    seasonality_lost, level_accepted, rollout and categorization_status_change.
    """

    timestamp_s: float
    end_timestamp_s: float
    event: str
    detector_index: int
    series: SeriesKey
    text: str


@dataclass(frozen=True, slots=True)
class Rescore:
    """A score of the past that renormalisation changed; ``initial_*`` stays."""

    timestamp_s: float
    detector_index: int
    series: SeriesKey
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call of ``Engine.advance`` concluded."""

    buckets: tuple[BucketResult, ...]
    records: tuple[Record, ...]
    influencers: tuple[InfluencerResult, ...]
    annotations: tuple[Annotation, ...] = ()
    rescores: tuple[Rescore, ...] = ()
    muted: tuple[Muted, ...] = ()
    columns: Mapping[int, Columns] = field(default_factory=dict)  # by detector index


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Real bytes held by models, and what the limit did."""

    model_bytes: int
    peak_model_bytes: int
    model_bytes_limit: int
    memory_status: str  # ok | soft_limit | hard_limit
    series: int
    bucket_allocation_failures_count: int
    pruned_series: int


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How far learning is: share of series past their cold start, and how long the rest need."""

    percent: float
    remaining_s: float
