"""One engine for a job's detectors of both kinds: over metrics, and over categories of events.

Each kind is judged by its own models; what they conclude of a bucket becomes one result. A job of
one kind is that kind's engine and nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    BucketResult,
    DetectorSettings,
    InfluencerResult,
    ModelSize,
    Outcome,
    WarmUp,
)
from anomaly_operator.engine.engine import Engine
from anomaly_operator.engine.event_buckets import CATEGORY
from anomaly_operator.engine.event_engine import EventEngine

_STATUSES = ("ok", "soft_limit", "hard_limit")


def is_over_events(detector: DetectorSettings) -> bool:
    """Whether a detector is over categories rather than a metric."""
    return detector.by == CATEGORY


class JointEngine:
    """Engine of metrics and engine of events, as one."""

    def __init__(self, metrics: Engine | None, events: EventEngine | None) -> None:
        self._metrics = metrics
        self._events = events

    @classmethod
    def create(cls, settings: AnalysisSettings) -> JointEngine:
        """Begin with nothing learnt."""
        metrics, events = _split(settings)
        return cls(
            Engine(metrics) if metrics.detectors else None,
            EventEngine(events) if events.detectors else None,
        )

    @classmethod
    def restore(
        cls, settings: AnalysisSettings, arrays: Mapping[str, NDArray[np.generic]]
    ) -> JointEngine:
        """Go on where ``snapshot`` left off. Raises SnapshotRejected."""
        metrics, events = _split(settings)
        return cls(
            Engine.restore(metrics, arrays) if metrics.detectors else None,
            EventEngine.restore(events, arrays) if events.detectors else None,
        )

    def snapshot(self, *, lent: bool = False) -> dict[str, NDArray[np.generic]]:
        """State of both; ``lent`` arrays are true until the next ``advance``."""
        arrays = self._metrics.snapshot(lent=lent) if self._metrics else {}
        return arrays | (self._events.snapshot() if self._events else {})

    def update(self, settings: AnalysisSettings) -> None:
        """Take over what may change while running."""
        metrics, events = _split(settings)
        if self._metrics:
            self._metrics.update(metrics)
        if self._events:
            self._events.update(events)

    def advance(self, blocks: Sequence[Block]) -> Outcome:
        """Judge, then learn; one outcome."""
        if self._events is None:
            return self._metrics.advance(blocks) if self._metrics else Outcome((), (), ())
        elsewhere = self._metrics.model_size().model_bytes if self._metrics else 0
        ours = [block for block in blocks if block.detector_index in self._events.models]
        theirs = [block for block in blocks if block.detector_index not in self._events.models]
        found = self._events.advance(ours, elsewhere=elsewhere)
        if self._metrics is None:
            return found
        events = self._events.held_bytes()
        return _merged(self._metrics.advance(theirs, elsewhere=events), found)

    def model_size(self) -> ModelSize:
        """Weight of both, against the one limit."""
        sizes = [each.model_size() for each in (self._metrics, self._events) if each]
        return ModelSize(
            model_bytes=sum(one.model_bytes for one in sizes),
            peak_model_bytes=sum(one.peak_model_bytes for one in sizes),
            model_bytes_limit=sizes[0].model_bytes_limit,
            memory_status=max((one.memory_status for one in sizes), key=_STATUSES.index),
            series=sum(one.series for one in sizes),
            bucket_allocation_failures_count=sum(
                one.bucket_allocation_failures_count for one in sizes
            ),
            pruned_series=sum(one.pruned_series for one in sizes),
        )

    def warm_up(self, now_s: float) -> WarmUp:
        """The one that is further from done."""
        found = [each.warm_up(now_s) for each in (self._metrics, self._events) if each]
        return min(found, key=lambda one: one.percent)


def _split(settings: AnalysisSettings) -> tuple[AnalysisSettings, AnalysisSettings]:
    events = tuple(each for each in settings.detectors if is_over_events(each))
    metrics = tuple(each for each in settings.detectors if not is_over_events(each))
    return replace(settings, detectors=metrics), replace(settings, detectors=events)


def _merged(one: Outcome, other: Outcome) -> Outcome:
    buckets: dict[tuple[float, str], BucketResult] = {}
    for result in (*one.buckets, *other.buckets):
        key = (result.timestamp_s, result.partition)
        before = buckets.get(key)
        buckets[key] = (
            result
            if before is None
            else replace(
                max(before, result, key=lambda each: each.anomaly_score),
                event_count=before.event_count + result.event_count,
                record_count=before.record_count + result.record_count,
            )
        )
    influencers: dict[tuple[float, str, str], InfluencerResult] = {}
    for found in (*one.influencers, *other.influencers):
        where = (found.timestamp_s, found.field, found.value)
        known = influencers.get(where)
        if known is None or known.influencer_score < found.influencer_score:
            influencers[where] = found
    return Outcome(
        buckets=tuple(buckets.values()),
        records=(*one.records, *other.records),
        influencers=tuple(influencers.values()),
        annotations=(*one.annotations, *other.annotations),
        rescores=(*one.rescores, *other.rescores),
        muted=(*one.muted, *other.muted),
        columns={**one.columns, **other.columns},
    )
