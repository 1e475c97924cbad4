"""When to ask the source and which buckets to close: backfill in large chunks, then live.

In backfill the journal is not needed: a source with history is asked again after a kill, in the
same chunks, since their size depends on nothing but what was read. Live, every read is journalled
before it is used, and buckets close one by one, as they would have without an interruption.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field

from anomaly_operator.errors import StoreUnavailable
from anomaly_operator.ports import CloseEntry, JournalEntry, SamplesEntry, SettingsEntry
from anomaly_operator.worker.parts import Parts
from anomaly_operator.worker.stepping import Stepper

logger = logging.getLogger(__name__)

_SMALL_READ, _LARGE_READ = 500_000, 2_000_000  # samples: about 10 and 40 MB in columns
_MAX_CHUNK_S = 7 * 86400.0
_MAX_CHUNK = 2048  # buckets
_ONE_BY_ONE = 2000  # buckets; a longer outage is caught up with in blocks
_NEWS_AGE_S = 86400.0  # what happened longer ago than this is history, and no Event
_LIVE_POLLS_A_BUCKET, _MIN_POLL_S, _MAX_POLL_S = 30, 1.0, 15.0  # of a source without history


@dataclass(slots=True)
class Collecting:
    """The worker's place in time."""

    parts: Parts
    stepper: Stepper
    _next_read_s: float = -math.inf
    _unjournalled: list[JournalEntry] = field(default_factory=list)

    def due_s(self) -> float:
        """End of the newest bucket whose samples should all have arrived."""
        settings = self.stepper.settings
        now_s = self.parts.clock.now_s()
        due_s = math.floor((now_s - settings.delay_s) / settings.span_s) * settings.span_s
        return max(due_s, self.stepper.state.position_s)

    def turn(self) -> float:
        """Read and close what is due, one chunk at most; returns seconds until there is more.

        Raises SourceUnavailable; then nothing was closed, and the same is asked again.
        """
        due_s = self.due_s()
        state = self.stepper.state
        if self.stepper.delivery.full:
            return self._until_next_s()
        if not state.caught_up and self.stepper.gathering.history:
            if self._backfill(due_s):
                return 0.0
            state.caught_up = True
            logger.info("backfill finished", extra={"through_s": state.position_s})
        state.caught_up = True
        return self._live(due_s)

    def journal(self, entry: JournalEntry) -> None:
        """Keep an entry; one that the journal cannot take now goes before the next one."""
        self._unjournalled.append(entry)
        try:
            while self._unjournalled:
                self.parts.journal.append(self._unjournalled[0])
                self._unjournalled.pop(0)
        except StoreUnavailable as error:
            self.stepper.delivery.errors += 1
            if len(self._unjournalled) == 1:
                logger.warning("journal not written, will retry: %s", error)
            if len(self._unjournalled) > _ONE_BY_ONE:
                # A journal with a gap is of no use: the replay stops there and asks the source.
                del self._unjournalled[:-1]

    def journal_settings(self) -> None:
        """Keep the document in force, where there is a journal at all."""
        if self.stepper.state.caught_up:
            self.journal(SettingsEntry(self.stepper.state.job_json))

    def covered(self) -> None:
        """Forget what waits for the journal: a snapshot has it."""
        self._unjournalled.clear()

    def _backfill(self, due_s: float) -> bool:
        """Analyse one chunk of the past; False where there is none left."""
        state, settings = self.stepper.state, self.stepper.settings
        buckets_left = round((due_s - state.position_s) / settings.span_s)
        if buckets_left <= 0:
            return False
        end_s = state.position_s + min(state.chunk, buckets_left) * settings.span_s
        samples = 0
        for entry in self._read(end_s):
            self.stepper.gathering.take(entry)
            samples += len(entry.samples.value)
        self.stepper.step(end_s, live=False)
        self._adapt(samples)
        return True

    def _adapt(self, samples: int) -> None:
        """Grow the chunk while reads are small; by data alone, so that a repeat is the same."""
        state = self.stepper.state
        most = max(1, min(_MAX_CHUNK, round(_MAX_CHUNK_S / self.stepper.settings.span_s)))
        if samples < _SMALL_READ:
            state.chunk = min(most, state.chunk * 2)
        elif samples > _LARGE_READ:
            state.chunk = max(1, state.chunk // 2)

    def _live(self, due_s: float) -> float:
        state, settings = self.stepper.state, self.stepper.settings
        now_s = self.parts.clock.now_s()
        behind = round((due_s - state.position_s) / settings.span_s)
        if behind <= 0 and now_s < self._next_read_s <= now_s + self._read_every_s():
            return self._until_next_s()
        end_s = min(due_s, state.position_s + state.chunk * settings.span_s)
        for entry in self._read(self._read_until_s(now_s, end_s if behind > 0 else due_s)):
            self.journal(entry)
            self.stepper.gathering.take(entry)
        self._next_read_s = self._next_tick_s(now_s)
        stride = 1 if behind <= _ONE_BY_ONE else state.chunk
        while state.position_s < end_s:
            close_s = min(end_s, state.position_s + stride * settings.span_s)
            live = close_s > now_s - _NEWS_AGE_S
            self.journal(CloseEntry(close_s, live))
            self.stepper.step(close_s, live=live)
        return 0.0 if state.position_s < due_s else self._until_next_s()

    def _read(self, through_s: float) -> list[SamplesEntry]:
        """Read every detector before any is taken, so that a failure changes nothing."""
        gathering = self.stepper.gathering
        found = (gathering.read(index, through_s) for index in gathering.detector_indexes)
        return [entry for entry in found if entry is not None]

    def _read_until_s(self, now_s: float, closing_s: float) -> float:
        """How far to read: what is surely complete, and at least what is to be closed."""
        settings = self.stepper.settings
        if not self.stepper.gathering.history:
            return max(now_s, closing_s)
        if closing_s < self.due_s():
            return closing_s
        step_s = settings.step_s
        return max(closing_s, math.floor((now_s - settings.delay_s) / step_s) * step_s)

    def _read_every_s(self) -> float:
        settings = self.stepper.settings
        if self.stepper.gathering.history:
            return settings.frequency_s
        every_s = settings.span_s / _LIVE_POLLS_A_BUCKET
        return max(_MIN_POLL_S, min(_MAX_POLL_S, every_s))

    def _next_tick_s(self, now_s: float) -> float:
        """Next multiple of the frequency, query delay added, as far as it has not passed."""
        every_s = self._read_every_s()
        offset_s = self.stepper.settings.delay_s % every_s
        return (math.floor((now_s - offset_s) / every_s) + 1) * every_s + offset_s

    def _until_next_s(self) -> float:
        """Seconds until the next bucket is due or the next read, whichever is first."""
        settings = self.stepper.settings
        bucket_due_s = self.stepper.state.position_s + settings.span_s + settings.delay_s
        next_s = min(bucket_due_s, self._next_read_s) if self._next_read_s > 0 else bucket_due_s
        return max(0.05, next_s - self.parts.clock.now_s())
