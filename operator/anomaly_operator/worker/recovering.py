"""From what is stored to where the worker stood: newest sound snapshot, then the journal.

A snapshot that is torn gives way to the one before it. Only when none can be used does learning
start afresh, and that is said. The replay ends where the journal does; what is missing after that
the loop asks the source for, as after any gap.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.errors import SnapshotRejected, SpecError
from anomaly_operator.ports import CloseEntry, SamplesEntry, SettingsEntry, SnapshotInfo
from anomaly_operator.worker.gathering import Gathering
from anomaly_operator.worker.job_settings import Change, JobSettings, change_between
from anomaly_operator.worker.narrating import Narrator
from anomaly_operator.worker.parts import AnomalyEngine, Parts
from anomaly_operator.worker.state import WorkerState
from anomaly_operator.worker.stepping import Delivery, Stepper

logger = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[np.generic]]

ENGINE, WORKER, GATHERING = "engine/", "worker/", "gathering/"
SCRATCH = "empty"  # the snapshot id that means: from scratch


@dataclass(frozen=True, slots=True)
class Restored:
    """One snapshot brought back to life."""

    engine: AnomalyEngine
    gathering: Gathering
    state: WorkerState
    settings: JobSettings


def recover(parts: Parts, job_json: bytes, *, delivery: Delivery) -> Stepper:
    """Bring a worker to where it stood, or to its start. Raises SpecError, StoreUnavailable."""
    settings = parts.translate(job_json, parts.clock.now_s())
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
    narrator = Narrator(parts.announcer, restored.settings, parts.source.catalogue())
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
    follow_document(parts, stepper, job_json)
    return stepper


def restore(parts: Parts, info: SnapshotInfo, *, fallback: JobSettings) -> Restored:
    """Read one snapshot. Raises SnapshotRejected whatever does not fit."""
    arrays = parts.snapshots.load(info.snapshot_id)
    try:
        state = WorkerState.from_arrays(_section(arrays, WORKER))
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotRejected(f"snapshot {info.snapshot_id}: worker state: {error}") from error
    try:
        settings = parts.translate(state.job_json, state.position_s)
    except SpecError:  # written by a version that allowed what this one refuses
        settings = fallback
    if settings.job.detector.uid != fallback.job.detector.uid:
        raise SnapshotRejected(f"snapshot {info.snapshot_id}: belongs to another detector")
    engine = parts.engines.restore(settings.analysis, _section(arrays, ENGINE))
    gathering = Gathering(parts.source, settings, share=parts.share, start_s=state.start_s)
    try:
        gathering.restore(_section(arrays, GATHERING))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SnapshotRejected(f"snapshot {info.snapshot_id}: open buckets: {error}") from error
    return Restored(engine, gathering, state, settings)


def fresh(parts: Parts, settings: JobSettings) -> Restored:
    """Begin at the job's start, or with the next whole bucket where the source has no past."""
    now_s = parts.clock.now_s()
    span_s = settings.span_s
    if parts.source.keeps_history():
        start_s = math.floor(min(settings.start_s, now_s) / span_s) * span_s
    else:
        start_s = math.ceil(now_s / span_s) * span_s
    gathering = Gathering(parts.source, settings, share=parts.share, start_s=start_s)
    if not gathering.history:
        gathering.skip_to(now_s)
    state = WorkerState(start_s=start_s, position_s=start_s, job_json=settings.job_json)
    return Restored(parts.engines.create(settings.analysis), gathering, state, settings)


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


def _section(arrays: Arrays, prefix: str) -> dict[str, NDArray[np.generic]]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
