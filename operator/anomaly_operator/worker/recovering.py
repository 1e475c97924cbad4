"""From what is stored to where the worker stood: newest sound snapshot, then the journal.

A snapshot that is torn gives way to the one before it. Only when none can be used does learning
start afresh, and that is said. The replay ends where the journal does; what is missing after that
the loop asks the source for, as after any gap.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

from anomaly_operator.errors import SnapshotRejected, SpecError
from anomaly_operator.ports import CloseEntry, SamplesEntry, SettingsEntry
from anomaly_operator.worker.job_settings import Change, JobSettings, change_between
from anomaly_operator.worker.narrating import Narrator
from anomaly_operator.worker.parts import Parts
from anomaly_operator.worker.restoring import fresh, restore, settings_of
from anomaly_operator.worker.reverting import revert
from anomaly_operator.worker.stepping import Delivery, Stepper

logger = logging.getLogger(__name__)


def recover(parts: Parts, job_json: bytes, *, delivery: Delivery) -> Stepper:
    """Bring a worker to where it stood, or to its start. Raises SpecError, StoreUnavailable.

    A document that cannot be followed is no reason to stop detecting: where there is a snapshot
    the worker goes on with the document of that one, and the loop tells of the newer one.
    """
    followed = job_json
    try:
        settings = parts.translate(job_json, parts.clock.now_s())
    except SpecError as error:
        settings = _followed_last(parts, error)
        followed = settings.job_json
    rejected: list[str] = []
    restored, info = None, None
    for candidate in reversed(parts.snapshots.list()):
        try:
            restored, info = restore(parts, candidate, fallback=settings), candidate
            break
        except SnapshotRejected as error:
            logger.warning("snapshot not used: %s", error)
            rejected.append(str(error))
    if restored is None:
        restored = fresh(parts, settings)
    wish = settings.job.revert
    reverting = wish is not None and wish.request_id != restored.state.reverted
    if reverting:
        restored = revert(parts, restored, settings)
    narrator = Narrator(parts.announcer, restored.settings, parts.source.catalogue())
    stepped_back = reverting and restored.state.went_back["outcome"] == "done"
    if stepped_back:  # that a wish was refused the operator tells, with the condition
        told = restored.state.went_back
        key, message = f"revert/{told['request_id']}", str(told["message"])
        narrator.tell(key, "Reverted", message, warning=False)
    if rejected and info is None:
        narrator.tell(
            f"reset/{restored.state.start_s:.0f}/{len(rejected)}",
            "ModelReset",
            f"{rejected[0]}; learning starts afresh at {restored.state.start_s:.0f}",
            warning=True,
        )
        parts.journal.forget(math.inf)
    stepper = Stepper(
        parts,
        restored.settings,
        engine=restored.engine,
        gathering=restored.gathering,
        state=restored.state,
        narrator=narrator,
        delivery=delivery,
    )
    stepper.reverted = stepped_back
    position_s = stepper.state.position_s
    entries = parts.journal.replay(position_s if info else -math.inf)
    if not replay(parts, stepper, entries):
        parts.journal.forget(math.inf)
    parts.journal.rotate(stepper.state.position_s)
    logger.info(
        "restored",
        extra={
            "snapshot": info.snapshot_id if info else None,
            "position_s": stepper.state.position_s,
            "replayed_s": stepper.state.position_s - position_s,
        },
    )
    follow_document(parts, stepper, followed)
    return stepper


def _followed_last(parts: Parts, refusal: SpecError) -> JobSettings:
    """Settings of the newest sound snapshot; without one there is nothing to go on with."""
    for info in reversed(parts.snapshots.list()):
        try:
            return settings_of(parts, info)
        except (SnapshotRejected, SpecError) as error:
            logger.info("its settings are no way out: %s", error)
    raise refusal


def replay(
    parts: Parts, stepper: Stepper, entries: Iterator[SettingsEntry | SamplesEntry | CloseEntry]
) -> bool:
    """Do again what the journal says was done; False where it has a gap and cannot go on."""
    for entry in entries:
        if isinstance(entry, SettingsEntry):
            follow_document(parts, stepper, entry.job_json)
        elif isinstance(entry, SamplesEntry):
            if stepper.gathering.is_behind(entry):
                continue
            if not stepper.gathering.follows(entry):
                return False
            stepper.gathering.take(entry)
        elif entry.end_s > stepper.state.position_s:
            stepper.state.caught_up = True  # only live steps are journalled
            stepper.step(entry.end_s, live=entry.live)
            parts.health.beat(parts.clock.monotonic_s())
    return True


def follow_document(parts: Parts, stepper: Stepper, job_json: bytes) -> bool:
    """Take over a job document; False when it is the one in force. Raises SpecError."""
    if job_json == stepper.state.job_json:
        return False
    settings = parts.translate(job_json, stepper.state.position_s)
    change = change_between(stepper.settings.job, settings.job, reverted=stepper.state.reverted)
    stepper.follow(settings, rebuild=change is Change.REOPEN)
    return True
