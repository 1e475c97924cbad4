"""The worker's loop: follow the job, collect, store, report, wait; it knows ports only.

Nothing that happens outside ends it: a source that is away is asked again with back-off and time
is not advanced; a store that is away is offered the same results again. It ends when told to stop,
with a snapshot, or when a new job document wants a new start.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum

from anomaly_operator.api.v1alpha1.conditions import Reason
from anomaly_operator.errors import SourceUnavailable, SpecError, StoreUnavailable
from anomaly_operator.ports import Figures
from anomaly_operator.worker import reporting
from anomaly_operator.worker.collecting import Collecting
from anomaly_operator.worker.job_settings import Change, change_between
from anomaly_operator.worker.parts import Parts
from anomaly_operator.worker.recovering import follow_document, recover
from anomaly_operator.worker.stepping import Delivery, Stepper
from anomaly_operator.worker.upkeep import Upkeep

logger = logging.getLogger(__name__)

_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 60.0
_STATISTICS_EVERY_S = 60.0
_HORIZON_MARGIN_S = 8 * 86400.0  # windows are expanded again before the longest chunk needs it


class Ending(StrEnum):
    """Why the loop ended."""

    STOPPED = "stopped"
    REOPEN = "reopen"  # build everything anew, from the new document


class Backoff:
    """Growing waits with jitter, so that a fleet of workers does not return all at once."""

    def __init__(self) -> None:
        self._failures = 0

    def next_s(self, asked_s: float | None) -> float:
        """Seconds to wait after one more failure; at least what the other side asked for."""
        self._failures += 1
        base_s = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 10))
        jittered_s = base_s * random.uniform(0.75, 1.25)  # noqa: S311 - spread, not secrecy
        return max(jittered_s, asked_s or 0.0)

    def reset(self) -> None:
        """Forget failures: something worked."""
        self._failures = 0


class Loop:
    """One shard's worker from start to stop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._delivery = Delivery(parts)
        self._backoff = Backoff()
        self._source_errors: Counter[str] = Counter()
        self._source_problem: tuple[str, str] | None = None
        self._conditions = reporting.Conditions()
        self._retry_at_s = 0.0  # monotonic
        self._statistics_at_s = 0.0  # monotonic
        self._told: tuple[object, ...] = ()
        self._refusal: reporting.Refusal | None = None

    def run(self) -> Ending:
        """Work until told to stop or to start anew."""
        stepper = self._started()
        if stepper is None:
            return Ending.STOPPED
        upkeep = Upkeep(self._parts, stepper)
        collecting = Collecting(self._parts, stepper)
        if stepper.reverted:
            upkeep.persist("reverted to")
        elif upkeep.newest is None:
            upkeep.persist("at the start")
        ending = Ending.STOPPED
        while True:
            self._parts.health.beat(self._parts.clock.monotonic_s())
            if self._follow_job(stepper, collecting):
                ending = Ending.REOPEN
                break
            wait_s = self._work(stepper, collecting, upkeep)
            self._report(stepper, collecting, upkeep)
            if not self._parts.clock.wait(min(wait_s, self._parts.poll_s)):
                break
        self._finish(stepper, collecting, upkeep)
        return ending

    def _started(self) -> Stepper | None:
        """Recover, however long the volume or the source is away; None when told to stop."""
        while True:
            self._parts.health.beat(self._parts.clock.monotonic_s())
            try:
                stepper = recover(self._parts, self._parts.read_job(), delivery=self._delivery)
            except (StoreUnavailable, SourceUnavailable, SpecError) as error:
                self._parts.health.unready(str(error))
                logger.warning("cannot start yet: %s", error)
                said = reporting.trouble(error, self._parts.clock.now_s())
                self._parts.status.report_trouble(said)
                if not self._parts.clock.wait(self._backoff.next_s(None)):
                    return None
            else:
                self._backoff.reset()
                return stepper

    def _follow_job(self, stepper: Stepper, collecting: Collecting) -> bool:
        """Take over a changed document; True where that wants a new start."""
        text = b""
        try:
            text = self._parts.read_job()
            refused = self._refusal.document if self._refusal else None
            if text == stepper.state.job_json:
                self._refusal = None
            if text in {stepper.state.job_json, refused}:
                self._expand_windows(stepper)
                return False
            settings = self._parts.translate(text, stepper.state.position_s)
            old = stepper.settings.job
            if change_between(old, settings.job, reverted=stepper.state.reverted) is Change.REOPEN:
                logger.info("the job wants a new start", extra={"generation": settings.generation})
                return True
            follow_document(self._parts, stepper, text)
            collecting.journal_settings()
            self._refusal = None
            logger.info("settings taken over", extra={"generation": settings.generation})
        except SpecError as error:
            logger.warning("job document not taken over: %s", error)
            self._refusal = reporting.Refusal(text, Reason.JOB_REFUSED, str(error))
        except SourceUnavailable as error:  # its catalogue is part of the translation
            logger.info("job document not taken over yet: %s", error)
            self._refusal = reporting.Refusal(b"", error.reason, str(error))
        return False

    def _expand_windows(self, stepper: Stepper) -> None:
        """Spell out maintenance windows further ahead, as time goes on."""
        if stepper.state.position_s > stepper.settings.horizon_end_s - _HORIZON_MARGIN_S:
            settings = self._parts.translate(stepper.state.job_json, stepper.state.position_s)
            stepper.follow(settings, rebuild=False)

    def _work(self, stepper: Stepper, collecting: Collecting, upkeep: Upkeep) -> float:
        """Deliver, collect, keep up; returns how long to wait."""
        self._delivery.deliver()
        clock = self._parts.clock
        suspended = stepper.settings.job.suspended
        if suspended:
            upkeep.persist("")
            wait_s = self._parts.poll_s
        elif clock.monotonic_s() < self._retry_at_s:
            wait_s = self._retry_at_s - clock.monotonic_s()
        else:
            wait_s = self._collect(stepper, collecting, upkeep)
        stored = upkeep.newest
        upkeep.turn()
        if upkeep.newest is not stored:
            collecting.covered()
        if self._delivery.problem:
            self._parts.health.unready(self._delivery.problem)
        else:
            self._parts.health.ready()
        return wait_s

    def _collect(self, stepper: Stepper, collecting: Collecting, upkeep: Upkeep) -> float:
        caught_up = stepper.state.caught_up
        try:
            wait_s = collecting.turn()
        except SourceUnavailable as error:
            wait_s = self._backoff.next_s(error.retry_after_s)
            self._retry_at_s = self._parts.clock.monotonic_s() + wait_s
            self._source_errors[error.reason] += 1
            if self._source_problem is None:
                logger.warning("source: %s; next try in %.0f s", error, wait_s)
            self._source_problem = (error.reason, str(error))
            return wait_s
        if self._source_problem is not None:
            logger.info("source answers again")
        self._source_problem = None
        self._backoff.reset()
        if stepper.state.caught_up and not caught_up and upkeep.persist("after backfill"):
            collecting.covered()
        return wait_s

    def _report(self, stepper: Stepper, collecting: Collecting, upkeep: Upkeep) -> None:
        state = stepper.state
        due_s = collecting.due_s()
        size = stepper.engine.model_size()
        situation = reporting.Situation(
            settings=stepper.settings,
            state=state,
            shard=self._parts.share.shard,
            due_s=due_s,
            model_size=size,
            warm_up=stepper.engine.warm_up(state.position_s),
            newest=upkeep.newest,
            source_problem=self._source_problem,
            coverage=[one for many in stepper.gathering.coverage.values() for one in many],
            store_problem=self._delivery.problem,
            categorizer=stepper.gathering.categorizer,
            stored=upkeep.stored,
            refusal=self._refusal,
        )
        now = datetime.fromtimestamp(self._parts.clock.now_s(), UTC)
        generation = stepper.settings.generation
        conditions = self._conditions.update(
            reporting.findings(situation), generation=generation, now=now
        )
        told = (
            stepper.state.job_json,
            tuple((each.type, each.status, each.reason) for each in conditions),
            tuple((each["timestamp_s"], *each["series"]) for each in state.recent),
            tuple(info.snapshot_id for info in situation.stored),
            state.reverted,
            state.caught_up,
        )
        urgent = told != self._told or not state.caught_up
        self._told = told
        self._parts.status.report(reporting.status_entry(situation, conditions), urgent=urgent)
        self._publish(stepper, due_s)
        self._keep_statistics(situation)

    def _publish(self, stepper: Stepper, due_s: float) -> None:
        state, settings = stepper.state, stepper.settings
        size = stepper.engine.model_size()
        name = "live" if state.caught_up else "backfill"
        next_due_s = state.position_s + settings.span_s + settings.delay_s
        lag_s = max(0.0, self._parts.clock.now_s() - next_due_s) if due_s else None
        self._parts.figures.publish(
            Figures(
                state="suspended" if settings.job.suspended else name,
                bucket_count=state.counts.bucket_count,
                late_samples=state.counts.late_sample_count,
                records=dict(state.records_total),
                series=size.series,
                model_bytes=size.model_bytes,
                memory_status=size.memory_status,
                bucket_lag_s=lag_s,
                bucket_processing_s=state.timings.exponential_average_ms / 1000.0,
                source_errors=dict(self._source_errors),
                store_errors=self._delivery.errors,
                undelivered=len(self._delivery),
            )
        )

    def _keep_statistics(self, situation: reporting.Situation) -> None:
        """Keep the job's own documents, about once a minute; the newest says all."""
        monotonic_s = self._parts.clock.monotonic_s()
        if monotonic_s < self._statistics_at_s or self._delivery.problem:
            return
        self._statistics_at_s = monotonic_s + _STATISTICS_EVERY_S
        entry = reporting.status_entry(situation, ())
        categorizer = situation.categorizer
        bucket_s = situation.state.counts.latest_bucket_s or situation.state.start_s
        try:
            for name, field in _DOCUMENTS.items():
                self._parts.store.keep_statistics(name, bucket_s, entry[field])
            if categorizer.changed:
                partition_field = situation.settings.job.spec.partition_field or ""
                self._parts.store.keep_categories(
                    categorizer.categories(), categorizer.standings(), field=partition_field
                )
                categorizer.changed = False
        except StoreUnavailable as error:
            logger.info("statistics not kept: %s", error)

    def _finish(self, stepper: Stepper, collecting: Collecting, upkeep: Upkeep) -> None:
        """Store the models and say so; the grace period is for this."""
        upkeep.persist("")
        self._statistics_at_s = 0.0
        self._report(stepper, collecting, upkeep)


_DOCUMENTS = {
    "data_counts": "dataCounts",
    "timing_stats": "timingStats",
    "model_size_stats": "modelSizeStats",
}
