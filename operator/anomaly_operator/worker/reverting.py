"""Going back to a stored state, because a person asked for it; done once for each wish.

Every step can be repeated: a worker killed in the middle begins again and ends the same. The wish
counts as done when a snapshot that knows its id is stored.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from anomaly_operator.api.job import Revert
from anomaly_operator.api.quantities import format_time
from anomaly_operator.errors import SnapshotRejected
from anomaly_operator.ports import SnapshotInfo
from anomaly_operator.worker.gathering import Gathering
from anomaly_operator.worker.job_settings import JobSettings
from anomaly_operator.worker.parts import Parts
from anomaly_operator.worker.restoring import Restored, fresh, restore

logger = logging.getLogger(__name__)

SCRATCH = "empty"  # the snapshot id that means: from scratch


def revert(parts: Parts, now: Restored, settings: JobSettings) -> Restored:
    """Carry out the job's wish, or give back what is ``now`` where it cannot be carried out.

    Either way the state that is given knows the wish, and what became of it.
    """
    wish = settings.job.revert
    assert wish is not None
    stored = parts.snapshots.list()
    try:
        target, origin = _target(parts, wish.snapshot_id, stored, settings=settings)
    except SnapshotRejected as error:
        logger.warning("not reverted: %s", error)
        told = {"outcome": "refused", "message": str(error), "time_s": round(parts.clock.now_s())}
        return _dealt_with(now, wish, told)
    newer = [info.snapshot_id for info in stored if info.timestamp_s > target.state.position_s]
    if wish.snapshot_id == SCRATCH:
        newer = [info.snapshot_id for info in stored]
    position_s = target.state.position_s
    if wish.delete_intervening_results:
        parts.store.delete_results(from_s=position_s)
        rest = "results since then are deleted and that time is analysed again"
    else:
        target = _from_now_on(parts, target, settings)
        _keep_what_was_found(now, target)
        rest = f"the results there are stay, and it goes on from {_words(target.state.position_s)}"
    parts.snapshots.delete(newer)
    parts.journal.forget(math.inf)
    message = f"went back to {origin}, learnt until {_words(position_s)}; {rest}"
    logger.info("reverted", extra={"snapshot": wish.snapshot_id, "position_s": position_s})
    told = {"outcome": "done", "message": message, "time_s": round(parts.clock.now_s())}
    return _dealt_with(target, wish, told)


def _keep_what_was_found(now: Restored, target: Restored) -> None:
    """Keep the status's words about the results that stay: newest anomalies and counts of them."""
    target.state.recent = now.state.recent
    target.state.tallies = now.state.tallies
    target.state.records_total = now.state.records_total


def _dealt_with(given: Restored, wish: Revert, told: dict[str, Any]) -> Restored:
    given.state.reverted = wish.request_id
    given.state.went_back = {
        "request_id": wish.request_id,
        "snapshot_id": wish.snapshot_id,
        **told,
    }
    return given


def _target(
    parts: Parts, wanted: str, stored: Sequence[SnapshotInfo], *, settings: JobSettings
) -> tuple[Restored, str]:
    """Bring the wished state back to life, and say in words what it is. Raises SnapshotRejected."""
    if wanted == SCRATCH:
        return fresh(parts, settings), "the beginning"
    info = next((one for one in stored if one.snapshot_id == wanted), None)
    if info is None and parts.share.shards > 1 and wanted.isdecimal():
        # Each worker stores when its own interval is over; the id is the time learnt until.
        before = [one for one in stored if one.timestamp_s <= int(wanted)]
        info = max(before, key=lambda one: one.timestamp_s, default=None)
    if info is None:
        known = ", ".join(one.snapshot_id for one in reversed(stored))
        others = f"; there are: {known}" if known else ", nor any other"
        raise SnapshotRejected(f"snapshot {wanted}: there is none of that name{others}")
    return restore(parts, info, fallback=settings), f"snapshot {info.snapshot_id}"


def _words(time_s: float) -> str:
    return format_time(datetime.fromtimestamp(time_s, UTC))


def _from_now_on(parts: Parts, target: Restored, settings: JobSettings) -> Restored:
    """Keep the results there are: what lies between the snapshot and now is not analysed again."""
    due_s = math.floor((parts.clock.now_s() - settings.delay_s) / settings.span_s) * settings.span_s
    position_s = max(due_s, target.state.position_s)
    gathering = Gathering(parts.source, target.settings, share=parts.share, start_s=position_s)
    gathering.categorizer.load(target.gathering.categorizer.dump())
    target.state.position_s = position_s
    return Restored(target.engine, gathering, target.state, target.settings)
