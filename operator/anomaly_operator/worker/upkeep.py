"""What a worker does beside the buckets: stores its models, and clears away at night.

A snapshot is taken only when the store has everything up to it, on the disk: from then on the
journal before it is forgotten, and nobody could write those results again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.errors import StoreUnavailable
from anomaly_operator.ports import SnapshotInfo
from anomaly_operator.worker import maintenance
from anomaly_operator.worker.parts import Parts
from anomaly_operator.worker.restoring import ENGINE, GATHERING, WORKER
from anomaly_operator.worker.stepping import Stepper

logger = logging.getLogger(__name__)

BACKFILL_PERSIST_S = 60.0  # work that a kill in the middle of the backfill may cost
_DURING_BACKFILL = "during backfill"
_RETRY_S = 60.0


@dataclass(slots=True)
class Upkeep:
    """Timers of one worker's snapshots and maintenance."""

    parts: Parts
    stepper: Stepper
    newest: SnapshotInfo | None = None
    stored: tuple[SnapshotInfo, ...] = ()  # all there are, oldest first
    _persist_at_s: float = 0.0  # monotonic
    _maintain_at_s: float = 0.0  # epoch

    def __post_init__(self) -> None:
        now_s = self.parts.clock.now_s()
        uid = self.stepper.settings.job.detector.uid
        self._maintain_at_s = maintenance.next_run_s(now_s, uid)
        self._wait_for_persist()
        try:
            self.stored = tuple(self.parts.snapshots.list())
        except StoreUnavailable as error:
            logger.info("snapshots not listed: %s", error)
        self.newest = self.stored[-1] if self.stored else None

    def turn(self) -> None:
        """Do what is due."""
        if self.parts.clock.monotonic_s() >= self._persist_at_s:
            self.persist("" if self.stepper.state.caught_up else _DURING_BACKFILL)
        now_s = self.parts.clock.now_s()
        if now_s >= self._maintain_at_s:
            uid = self.stepper.settings.job.detector.uid
            self._maintain_at_s = maintenance.next_run_s(now_s, uid)
            self.maintain()

    def persist(self, description: str) -> bool:
        """Store the models as of now; False where that must wait."""
        self._wait_for_persist()
        position_s = self.stepper.state.position_s
        if self.newest is not None and self.newest.timestamp_s == position_s and not description:
            return True
        try:
            if not self.stepper.delivery.deliver():
                raise StoreUnavailable(self.stepper.delivery.problem)
            self.parts.store.flush()
            info = SnapshotInfo(f"{position_s:.0f}", position_s, 0, description=description)
            stored = self.parts.snapshots.save(info, self._arrays())
            self.parts.journal.rotate(position_s)
            self._forget_what_is_covered(stored)
            self.newest = stored
        except StoreUnavailable as error:
            logger.warning("snapshot not stored, will retry: %s", error)
            self._persist_at_s = self.parts.clock.monotonic_s() + _RETRY_S
            return False
        logger.info("snapshot stored", extra={"snapshot": stored.snapshot_id})
        return True

    def maintain(self) -> None:
        """Delete expired snapshots and results; what fails tonight is done tomorrow."""
        spec = self.stepper.settings.job.spec
        try:
            snapshots = self.parts.snapshots.list()
            expired = maintenance.expired_snapshots(
                snapshots,
                current=self.newest.snapshot_id if self.newest else None,
                retention_days=spec.model_snapshot_retention_days,
                daily_after_days=spec.daily_model_snapshot_retention_after_days,
            )
            self.parts.snapshots.delete(expired)
            self.stored = tuple(self.parts.snapshots.list())
            self.parts.store.keep_snapshots(self.stored)
            deleted = 0
            newest_s = self.parts.store.latest_bucket_s()
            if spec.results_retention_days is not None and newest_s is not None:
                before_s = newest_s - spec.results_retention_days * maintenance.DAY_S
                deleted = self.parts.store.delete_results(before_s=before_s)
            logger.info("maintenance", extra={"snapshots": len(expired), "results": deleted})
        except StoreUnavailable as error:
            logger.warning("maintenance not finished: %s", error)

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        sections = {
            ENGINE: self.stepper.engine.snapshot(lent=True),
            GATHERING: self.stepper.gathering.snapshot(),
            WORKER: self.stepper.state.to_arrays(),
        }
        return {
            prefix + name: array
            for prefix, arrays in sections.items()
            for name, array in arrays.items()
        }

    def _forget_what_is_covered(self, stored: SnapshotInfo) -> None:
        """Keep the journal back to the snapshot before: if the newest is torn, that one serves."""
        snapshots = self.parts.snapshots.list()
        older = [info for info in snapshots if info.timestamp_s < stored.timestamp_s]
        if older:
            self.parts.journal.forget(older[-1].timestamp_s)
        passing = [info.snapshot_id for info in older[:-1] if info.description == _DURING_BACKFILL]
        if passing:
            self.parts.snapshots.delete(passing)
            snapshots = self.parts.snapshots.list()
        self.stored = tuple(snapshots)
        self.parts.store.keep_snapshots(snapshots)

    def _wait_for_persist(self) -> None:
        every_s = (
            self.stepper.settings.persist_s if self.stepper.state.caught_up else BACKFILL_PERSIST_S
        )
        self._persist_at_s = self.parts.clock.monotonic_s() + every_s
