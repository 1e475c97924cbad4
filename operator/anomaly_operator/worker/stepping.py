"""One step: close buckets, ask the engine, tell everybody. Live and replayed steps are the same.

The results store may be away for a while; what it has not taken waits here in order, and stepping
stops before the queue outgrows its bounds. Nothing else on this path can fail.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from anomaly_operator.engine.contract import Outcome
from anomaly_operator.errors import StoreUnavailable
from anomaly_operator.ports import Advance
from anomaly_operator.worker.gathering import Gathering
from anomaly_operator.worker.job_settings import JobSettings
from anomaly_operator.worker.narrating import Narrator
from anomaly_operator.worker.parts import AnomalyEngine, Parts
from anomaly_operator.worker.state import WorkerState

logger = logging.getLogger(__name__)

_MAX_UNDELIVERED = 1000  # advances
_MAX_UNDELIVERED_BYTES = 64 * 2**20
_RECORD_BYTES = 2000  # a record with its explanation, roughly


class Delivery:
    """Advances on their way to the results store, oldest first."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._waiting: deque[tuple[Advance, int]] = deque()
        self._bytes = 0
        self.errors = 0
        self.problem = ""  # why the store does not take results now

    def offer(self, advance: Advance) -> None:
        """Hand over one advance, now or later."""
        if not advance.plot.enabled:
            advance = replace(advance, outcome=_without_columns(advance.outcome), blocks=())
        size = _size_of(advance)
        self._waiting.append((advance, size))
        self._bytes += size
        self.deliver()

    def deliver(self) -> bool:
        """Write what waits; True when nothing does any more."""
        while self._waiting:
            advance, size = self._waiting[0]
            try:
                self._parts.store.write(advance)
            except StoreUnavailable as error:
                self.errors += 1
                if not self.problem:
                    logger.warning("results are not stored, will retry: %s", error)
                self.problem = str(error)
                return False
            self._waiting.popleft()
            self._bytes -= size
        if self.problem:
            logger.info("results are stored again")
            self.problem = ""
        return True

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether stepping must wait until the store takes results again."""
        return len(self._waiting) >= _MAX_UNDELIVERED or self._bytes >= _MAX_UNDELIVERED_BYTES


class Stepper:
    """Everything that moves when buckets close."""

    def __init__(
        self,
        parts: Parts,
        settings: JobSettings,
        *,
        engine: AnomalyEngine,
        gathering: Gathering,
        state: WorkerState,
        narrator: Narrator,
        delivery: Delivery,
    ) -> None:
        self.parts = parts
        self.settings = settings
        self.engine = engine
        self.gathering = gathering
        self.state = state
        self.narrator = narrator
        self.delivery = delivery
        self.series = 0
        self.reverted = False  # a wish to go back was carried out, and is not stored as such yet

    def step(self, end_s: float, *, live: bool) -> Advance:
        """Close all buckets up to ``end_s`` and conclude."""
        start_s = self.state.position_s
        blocks = self.gathering.close(end_s)
        began_s = self.parts.clock.monotonic_s()
        outcome = self.engine.advance(blocks)
        notes = self.gathering.notes(start_s, end_s)
        if notes:
            outcome = replace(outcome, annotations=(*outcome.annotations, *notes))
        advance = Advance(
            settings=self.settings.analysis,
            plot=self.settings.plot,
            blocks=blocks,
            outcome=outcome,
            start_s=start_s,
            end_s=end_s,
            live=live,
            processing_s=self.parts.clock.monotonic_s() - began_s,
        )
        counts = self.gathering.counts()
        self.state.take(advance)
        self.state.counts.processed_sample_count = counts.accepted
        self.state.counts.late_sample_count = counts.late
        self.state.counts.invalid_sample_count = counts.invalid
        self.series = self.gathering.series_count(blocks)
        self._tell(advance)
        if live:
            self.narrator.tell_notes(notes)
        # What of the past lies before the first sample is nobody's result, and may be centuries.
        if live or self.state.caught_up or counts.accepted > 0:
            self.delivery.offer(advance)
        for sink in self.parts.sinks:
            sink.write(advance)
        logger.debug("bucket closed", extra={"end_s": end_s, "records": len(outcome.records)})
        return advance

    def follow(self, settings: JobSettings, *, rebuild: bool) -> None:
        """Go on with other settings: taken over live, or read by an engine built anew."""
        if rebuild:
            arrays = self.engine.snapshot(lent=True)
            self.engine = self.parts.engines.restore(settings.analysis, arrays)
        else:
            self.engine.update(settings.analysis)
        self.gathering.follow(settings)
        self.settings = settings
        self.state.job_json = settings.job_json
        self.narrator.settings = settings

    def _tell(self, advance: Advance) -> None:
        """Move the episodes bucket by bucket; announce only what happens now."""
        by_time = {
            timestamp_s: list(records)
            for timestamp_s, records in groupby(
                sorted(advance.outcome.records, key=lambda record: record.timestamp_s),
                key=lambda record: record.timestamp_s,
            )
        }
        span_s = advance.settings.span_s
        buckets = round((advance.end_s - advance.start_s) / span_s)
        for bucket in range(buckets):
            bucket_s = advance.start_s + bucket * span_s
            steps = self.state.episodes.advance(bucket_s, by_time.get(bucket_s, ()))
            if advance.live:
                self.narrator.tell_steps(steps)


def _without_columns(outcome: Outcome) -> Outcome:
    return replace(outcome, columns={})


def _size_of(advance: Advance) -> int:
    arrays = sum(
        columns.typical.nbytes * 6 + block.values.nbytes
        for columns, block in zip(advance.outcome.columns.values(), advance.blocks, strict=False)
    )
    results: Sequence[Sequence[object]] = (
        advance.outcome.records,
        advance.outcome.influencers,
        advance.outcome.buckets,
    )
    return arrays + _RECORD_BYTES * sum(len(each) for each in results)
