"""The shard's entry of the detector's status, from the worker's state; bounded whatever happens.

Built through the API's own models, so that what is written is what the CRD allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from anomaly_operator.api.job import digest_of
from anomaly_operator.api.v1alpha1.conditions import ConditionType, Reason
from anomaly_operator.api.v1alpha1.status import (
    MAX_SNAPSHOTS_SHOWN,
    AnomalyCounts,
    Backfill,
    Condition,
    DataCounts,
    ModelSizeStats,
    ModelSnapshotStatus,
    RecentAnomaly,
    RevertStatus,
    ShardStatus,
    StoredSnapshot,
    TimingStats,
    kept_score,
    shown_score,
)
from anomaly_operator.engine.categorizing import Categorizer
from anomaly_operator.engine.contract import ModelSize, WarmUp
from anomaly_operator.engine.event_buckets import DEFINITION
from anomaly_operator.errors import SourceUnavailable, SpecError, StoreUnavailable
from anomaly_operator.ports import Coverage, SnapshotInfo
from anomaly_operator.worker.episodes import OPENS_AT
from anomaly_operator.worker.job_settings import JobSettings
from anomaly_operator.worker.state import WorkerState

_NAME_LENGTH, _TEXT_LENGTH, _SUMMARY_LENGTH, _LABEL_LENGTH = 253, 1024, 256, 63
_MESSAGE_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition as it is found now."""

    type: str
    holds: bool
    reason: str
    message: str = ""


def holds(type_: str, reason: str) -> Finding:
    """Say that all is well."""
    return Finding(type_, True, reason)  # noqa: FBT003 - the one place of each


def fails(type_: str, reason: str, message: str) -> Finding:
    """Say that something is not, and what."""
    return Finding(type_, False, reason, message)  # noqa: FBT003 - as above


@dataclass(frozen=True, slots=True)
class Refusal:
    """A job document that is not followed: for good, or until what it needs is there."""

    document: bytes
    reason: str
    message: str

    @property
    def digest(self) -> str | None:
        """Digest of a document that is refused for good; None where there is none to name."""
        if self.reason != Reason.JOB_REFUSED or not self.document:
            return None
        return digest_of(self.document)


@dataclass(slots=True)
class Conditions:
    """The shard's conditions with the time each last turned."""

    _since: dict[str, tuple[bool, datetime]] = field(default_factory=dict)

    def update(
        self, findings: Sequence[Finding], *, generation: int | None, now: datetime
    ) -> tuple[Condition, ...]:
        """Give the conditions their transition times."""
        given = []
        for each in findings:
            held, since = self._since.get(each.type, (None, now))
            if held is not each.holds:
                since = now
            self._since[each.type] = (each.holds, since)
            given.append(
                Condition(
                    type=each.type,
                    status="True" if each.holds else "False",
                    reason=each.reason,
                    message=each.message[:_MESSAGE_LENGTH],
                    last_transition_time=since,
                    observed_generation=generation,
                )
            )
        return tuple(given)


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a status entry is made from."""

    settings: JobSettings
    state: WorkerState
    shard: int
    due_s: float  # end of the newest bucket that is due
    model_size: ModelSize
    warm_up: WarmUp
    newest: SnapshotInfo | None
    source_problem: tuple[str, str] | None  # reason, message
    coverage: Sequence[Coverage]
    store_problem: str
    categorizer: Categorizer
    stored: Sequence[SnapshotInfo] = ()  # oldest first
    refusal: Refusal | None = None


def findings(situation: Situation) -> list[Finding]:
    """Judge what each condition says; ordered as people read them."""
    found = []
    if situation.source_problem:
        reason, message = situation.source_problem
        found.append(fails(ConditionType.SOURCE_READY, reason, message))
    else:
        found.append(holds(ConditionType.SOURCE_READY, Reason.SOURCE_ANSWERS))
    found.append(_data_complete(situation))
    found.append(_model_trained(situation.warm_up))
    found.append(_model_memory(situation.model_size))
    if situation.state.counts.bucket_count:
        found.append(_anomaly_detected(situation))
    if situation.store_problem:
        message = f"{situation.store_problem}; results wait and are offered again"
        found.append(fails(ConditionType.RESULTS_STORED, Reason.STORE_UNAVAILABLE, message))
    else:
        found.append(holds(ConditionType.RESULTS_STORED, Reason.STORED))
    refusal = situation.refusal
    if refusal is not None:
        found.append(fails(ConditionType.JOB_FOLLOWED, refusal.reason, refusal.message))
    else:
        found.append(holds(ConditionType.JOB_FOLLOWED, Reason.FOLLOWED))
    return found


def trouble(
    error: SpecError | StoreUnavailable | SourceUnavailable, now_s: float
) -> dict[str, Any]:
    """Say as one condition why a worker cannot start yet."""
    found = fails(ConditionType.RESULTS_STORED, Reason.STORE_UNAVAILABLE, str(error))
    if isinstance(error, SpecError):
        found = fails(ConditionType.JOB_FOLLOWED, Reason.JOB_REFUSED, str(error))
    elif isinstance(error, SourceUnavailable):
        found = fails(ConditionType.SOURCE_READY, error.reason, str(error))
    now = datetime.fromtimestamp(now_s, UTC)
    (condition,) = Conditions().update([found], generation=None, now=now)
    return condition.document()


def status_entry(situation: Situation, conditions: tuple[Condition, ...]) -> dict[str, Any]:
    """Return the entry of ``status.shards`` as the API takes it."""
    state = situation.state
    counts = state.counts
    return ShardStatus(
        shard=situation.shard,
        applied_generation=situation.settings.generation,
        applied_document=digest_of(situation.settings.job_json),
        refused_document=situation.refusal.digest if situation.refusal else None,
        backfill=backfill(state, situation.due_s),
        data_counts=DataCounts(
            bucket_count=counts.bucket_count,
            empty_bucket_count=counts.empty_bucket_count,
            processed_sample_count=counts.processed_sample_count,
            late_sample_count=counts.late_sample_count,
            invalid_sample_count=counts.invalid_sample_count,
            gap_count=counts.gap_count,
            earliest_sample_time=_time(counts.earliest_sample_s),
            latest_sample_time=_time(counts.latest_sample_s),
            latest_bucket_time=_time(counts.latest_bucket_s),
        ),
        model_size_stats=model_size_stats(
            situation.model_size, counts.latest_bucket_s, situation.categorizer
        ),
        timing_stats=timing_stats(state),
        model_snapshot=ModelSnapshotStatus(
            id=situation.newest.snapshot_id,
            time=datetime.fromtimestamp(situation.newest.timestamp_s, UTC),
            size_bytes=situation.newest.size_bytes,
        )
        if situation.newest
        else None,
        model_snapshots=stored_snapshots(situation.stored),
        revert=went_back(state),
        anomalies=AnomalyCounts(**state.severity_counts()),
        worst_score=kept_score(state.worst_score()),
        recent_anomalies=tuple(recent_anomaly(entry, situation.settings) for entry in state.recent),
        conditions=conditions,
    ).document()


def stored_snapshots(stored: Sequence[SnapshotInfo]) -> tuple[StoredSnapshot, ...]:
    """Give what can be gone back to, newest first; of very many the newest."""
    return tuple(
        StoredSnapshot(
            id=info.snapshot_id,
            time=datetime.fromtimestamp(info.timestamp_s, UTC),
            size_bytes=info.size_bytes,
            description=info.description[:_SUMMARY_LENGTH],
            retain=info.retain,
        )
        for info in reversed(stored[-MAX_SNAPSHOTS_SHOWN:])
    )


def went_back(state: WorkerState) -> RevertStatus | None:
    """What became of the last wish to go back, where there was one."""
    told = state.went_back
    if not told:
        return None
    return RevertStatus(
        request_id=told["request_id"][:_NAME_LENGTH],
        snapshot_id=told["snapshot_id"][:_NAME_LENGTH],
        outcome=told["outcome"],
        message=told["message"][:_TEXT_LENGTH],
        time=_time(told["time_s"]),
    )


def backfill(state: WorkerState, due_s: float) -> Backfill:
    """How far the analysis of the past has come."""
    whole_s = due_s - state.start_s
    done_s = state.position_s - state.start_s
    percent = 100.0 if state.caught_up or whole_s <= 0 else 100.0 * done_s / whole_s
    return Backfill(
        from_=datetime.fromtimestamp(state.start_s, UTC),
        through=datetime.fromtimestamp(state.position_s, UTC),
        percent=round(max(0.0, min(100.0, percent)), 1),
    )


def model_size_stats(
    size: ModelSize, latest_bucket_s: float | None, categorizer: Categorizer
) -> ModelSizeStats:
    """What the models hold."""
    standings = categorizer.standings()
    return ModelSizeStats(
        total_category_count=sum(one.total for one in standings) if standings else None,
        categorization_status=categorizer.status if standings else None,
        model_bytes=size.model_bytes,
        peak_model_bytes=size.peak_model_bytes,
        model_bytes_memory_limit=size.model_bytes_limit,
        memory_status=size.memory_status,
        series_count=size.series,
        pruned_series_count=size.pruned_series,
        bucket_allocation_failures_count=size.bucket_allocation_failures_count,
        timestamp=_time(latest_bucket_s),
    )


def timing_stats(state: WorkerState) -> TimingStats:
    """How long buckets take."""
    timings = state.timings
    return TimingStats(
        bucket_count=timings.bucket_count,
        total_bucket_processing_time_ms=round(timings.total_ms, 3),
        average_bucket_processing_time_ms=round(timings.total_ms / max(1, timings.bucket_count), 3),
        maximum_bucket_processing_time_ms=round(timings.maximum_ms, 3),
        exponential_average_bucket_processing_time_ms=round(timings.exponential_average_ms, 3),
    )


def recent_anomaly(entry: Mapping[str, Any], settings: JobSettings) -> RecentAnomaly:
    """One entry of ``recentAnomalies``; every text within the CRD's bounds."""
    detector = settings.analysis.detectors[entry["detector_index"]]
    partition, family, member = entry["series"]
    labels = entry["labels"]
    entity = labels.get(detector.by) or member or family or "all"
    if labels.get(DEFINITION):  # a category's number says nothing to a person
        entity = f"{entity}: {labels[DEFINITION]}"
    namespace = labels.get("namespace")
    return RecentAnomaly(
        time=datetime.fromtimestamp(entry["timestamp_s"], UTC),
        detector_index=detector.index,
        metric=detector.metric[:_LABEL_LENGTH],
        function=detector.function[:_LABEL_LENGTH],
        entity=entity[:_NAME_LENGTH],
        namespace=namespace[:_LABEL_LENGTH] if namespace else None,
        partition=partition[:_NAME_LENGTH] if partition else None,
        score=kept_score(entry["score"]),
        initial_score=kept_score(entry["initial_score"]),
        actual=entry["actual"],
        typical=entry["typical"],
        summary=entry["summary"][:_SUMMARY_LENGTH],
        explanation=entry["explanation"][:_TEXT_LENGTH] or None,
    )


def _data_complete(situation: Situation) -> Finding:
    for problem in situation.coverage:
        return fails(ConditionType.DATA_COMPLETE, problem.reason, problem.message)
    return holds(ConditionType.DATA_COMPLETE, Reason.COMPLETE)


def _model_trained(warm_up: WarmUp) -> Finding:
    if warm_up.percent >= 100.0:
        return holds(ConditionType.MODEL_TRAINED, Reason.TRAINED)
    message = f"{warm_up.percent:.0f} % of the series are past their cold start"
    if warm_up.remaining_s > 0:
        message += f"; the rest need up to {_rough(warm_up.remaining_s)}"
    return fails(ConditionType.MODEL_TRAINED, Reason.WARMING_UP, message)


def _model_memory(size: ModelSize) -> Finding:
    used = f"{size.model_bytes / 2**20:.0f} of {size.model_bytes_limit / 2**20:.0f} MiB"
    if size.memory_status == "ok":
        return holds(ConditionType.MODEL_MEMORY_OK, Reason.WITHIN_LIMIT)
    if size.memory_status == "soft_limit":
        message = f"{used} used; models without data are removed earlier"
        return fails(ConditionType.MODEL_MEMORY_OK, Reason.SOFT_LIMIT, message)
    message = (
        f"{used} used; new series are not modelled "
        f"({size.bucket_allocation_failures_count} buckets so far); "
        "raise spec.analysisLimits.modelMemoryLimit"
    )
    return fails(ConditionType.MODEL_MEMORY_OK, Reason.HARD_LIMIT, message)


def _anomaly_detected(situation: Situation) -> Finding:
    """Look at open episodes only, so that the condition ends when the anomaly does."""
    if not len(situation.state.episodes):
        message = f"no record of score {OPENS_AT:.0f} or more in the newest buckets"
        return fails(ConditionType.ANOMALY_DETECTED, Reason.NO_ANOMALY, message)
    message = f"{len(situation.state.episodes)} series are anomalous now"
    if situation.state.recent:
        newest = recent_anomaly(situation.state.recent[0], situation.settings)
        message += (
            f"; newest: {newest.metric} of {newest.entity}, score {shown_score(newest.score)}"
        )
        message += f", {newest.summary}" if newest.summary else ""
    return replace(holds(ConditionType.ANOMALY_DETECTED, Reason.ANOMALY), message=message)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _rough(seconds: float) -> str:
    for size, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(1.0, seconds):.0f} seconds"
