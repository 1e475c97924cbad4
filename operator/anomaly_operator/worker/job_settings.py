"""A job document as the loop needs it: plain seconds and settings, and what a change of it means.

``worker/assembly.py`` supplies the translation, since it needs the source's catalogue; the loop
only compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from anomaly_operator.api.job import WorkerJob
from anomaly_operator.engine.contract import AnalysisSettings
from anomaly_operator.ports import PlotSettings, Scope

_MIN_STEP_S, _MAX_STEP_S = 1.0, 60.0
_STEPS_A_BUCKET = 15  # enough for a maximum to mean something, few enough for four weeks at once


@dataclass(frozen=True, slots=True)
class JobSettings:
    """One job document, translated for a horizon of maintenance windows."""

    job: WorkerJob
    job_json: bytes
    analysis: AnalysisSettings
    plot: PlotSettings
    scope: Scope
    start_s: float
    horizon_end_s: float  # maintenance windows are known up to here

    @property
    def span_s(self) -> float:
        """Length of a bucket."""
        return self.analysis.span_s

    @property
    def delay_s(self) -> float:
        """How far behind now a bucket is taken to be complete."""
        return self.job.spec.query_delay.total_seconds()

    @property
    def frequency_s(self) -> float:
        """How often the source is asked."""
        frequency = self.job.spec.frequency
        return self.span_s / 2 if frequency is None else frequency.total_seconds()

    @property
    def step_s(self) -> float:
        """Resolution asked of the source, the same for history and for live buckets."""
        return max(_MIN_STEP_S, min(_MAX_STEP_S, self.span_s // _STEPS_A_BUCKET))

    @property
    def persist_s(self) -> float:
        """Wall time between two snapshots."""
        interval = self.job.spec.background_persist_interval
        return 3 * 3600.0 if interval is None else interval.total_seconds()

    @property
    def generation(self) -> int:
        """Generation of the spec that these settings are of."""
        return self.job.detector.generation


Translate = Callable[[bytes, float], JobSettings]
"""Translate a document for buckets from this time on. Raises SpecError."""


class Change(StrEnum):
    """What a new document asks of a running worker."""

    LIVE = "live"  # the engine takes it over at the next bucket
    REOPEN = "reopen"  # snapshot, then start again with it


def change_between(old: WorkerJob, new: WorkerJob, *, reverted: str) -> Change:
    """Say what it takes to follow a new document.

    Settings that the engine reads when it is built, another share of the series, another place to
    store to or a wish to go back need a new start; all else is live.
    """
    if new.revert is not None and new.revert.request_id != reverted:
        return Change.REOPEN
    return Change.LIVE if _built_from(old) == _built_from(new) else Change.REOPEN


def _built_from(job: WorkerJob) -> tuple[object, ...]:
    spec = job.spec
    return (
        job.detector.uid,
        job.source,
        job.shards,
        job.namespaces,
        job.results_url,
        job.results_url_file,
        job.snapshots_url,
        job.suspended,
        spec.target,
        spec.start,
        spec.bucket_span,
        spec.partition_field,
        spec.influencers,
        spec.query_delay,
        spec.frequency,
        tuple((each.metric, each.function, each.by) for each in spec.detectors),
        spec.analysis_limits,
        spec.background_persist_interval,
        spec.renormalization_window_days,
        spec.model_prune_window,
    )
