"""Going back to a stored state, because a person asked for it; done once for each wish.

Every step can be repeated: a worker killed in the middle begins again and ends the same. The wish
counts as done when a snapshot that knows its id is stored.
"""

from __future__ import annotations

import logging
import math

from anomaly_operator.errors import SnapshotRejected
from anomaly_operator.ports import SnapshotInfo
from anomaly_operator.worker.gathering import Gathering
from anomaly_operator.worker.job_settings import JobSettings
from anomaly_operator.worker.parts import Parts
from anomaly_operator.worker.restoring import Restored, fresh, restore

logger = logging.getLogger(__name__)

SCRATCH = "empty"  # the snapshot id that means: from scratch


def revert(parts: Parts, now: Restored, settings: JobSettings) -> Restored:
    """Carry out the job's wish, or give back what is ``now`` where it cannot be carried out."""
    wish = settings.job.revert
    assert wish is not None
    stored = {info.snapshot_id: info for info in parts.snapshots.list()}
    if wish.snapshot_id == SCRATCH:
        target = fresh(parts, settings)
        newer = list(stored)
    else:
        info = stored.get(wish.snapshot_id)
        try:
            target = restore(parts, _existing(info, wish.snapshot_id), fallback=settings)
        except SnapshotRejected as error:
            logger.warning("not reverted: %s", error)
            now.state.reverted = wish.request_id
            return now
        newer = [each for each, one in stored.items() if one.timestamp_s > target.state.position_s]
    position_s = target.state.position_s
    if wish.delete_intervening_results:
        parts.store.delete_results(from_s=position_s)
    else:
        target = _from_now_on(parts, target, settings)
    parts.snapshots.delete(newer)
    parts.journal.forget(math.inf)
    target.state.reverted = wish.request_id
    logger.info("reverted", extra={"snapshot": wish.snapshot_id, "position_s": position_s})
    return target


def _existing(info: SnapshotInfo | None, snapshot_id: str) -> SnapshotInfo:
    if info is None:
        raise SnapshotRejected(f"snapshot {snapshot_id}: there is none of that name")
    return info


def _from_now_on(parts: Parts, target: Restored, settings: JobSettings) -> Restored:
    """Keep the results there are: what lies between the snapshot and now is not analysed again."""
    due_s = math.floor((parts.clock.now_s() - settings.delay_s) / settings.span_s) * settings.span_s
    position_s = max(due_s, target.state.position_s)
    gathering = Gathering(parts.source, target.settings, share=parts.share, start_s=position_s)
    gathering.categorizer.load(target.gathering.categorizer.dump())
    target.state.position_s = position_s
    return Restored(target.engine, gathering, target.state, target.settings)
