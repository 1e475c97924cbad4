"""One snapshot brought back to life, or a beginning: what a worker starts from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.errors import SnapshotRejected, SpecError
from anomaly_operator.ports import SnapshotInfo
from anomaly_operator.worker.gathering import Gathering
from anomaly_operator.worker.job_settings import JobSettings
from anomaly_operator.worker.parts import AnomalyEngine, Parts
from anomaly_operator.worker.state import WorkerState

Arrays = Mapping[str, NDArray[np.generic]]

ENGINE, WORKER, GATHERING = "engine/", "worker/", "gathering/"


@dataclass(frozen=True, slots=True)
class Restored:
    """One snapshot brought back to life."""

    engine: AnomalyEngine
    gathering: Gathering
    state: WorkerState
    settings: JobSettings


def settings_of(parts: Parts, info: SnapshotInfo) -> JobSettings:
    """Settings in force when a snapshot was stored. Raises SnapshotRejected or SpecError."""
    state = _state(parts.snapshots.load(info.snapshot_id), info)
    return parts.translate(state.job_json, state.position_s)


def restore(parts: Parts, info: SnapshotInfo, *, fallback: JobSettings) -> Restored:
    """Read one snapshot. Raises SnapshotRejected whatever does not fit."""
    arrays = parts.snapshots.load(info.snapshot_id)
    state = _state(arrays, info)
    try:
        settings = parts.translate(state.job_json, state.position_s)
    except SpecError:  # written by a version that allowed what this one refuses
        settings = fallback
    if settings.job.detector.uid != fallback.job.detector.uid:
        raise SnapshotRejected(f"snapshot {info.snapshot_id}: belongs to another detector")
    engine = parts.engines.restore(settings.analysis, _section(arrays, ENGINE))
    open_buckets = _section(arrays, GATHERING)
    del arrays  # the models' are hundreds of MiB, and twice there by now
    gathering = Gathering(parts.source, settings, share=parts.share, start_s=state.start_s)
    try:
        gathering.restore(open_buckets)
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


def _state(arrays: Arrays, info: SnapshotInfo) -> WorkerState:
    try:
        return WorkerState.from_arrays(_section(arrays, WORKER))
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotRejected(f"snapshot {info.snapshot_id}: worker state: {error}") from error


def _section(arrays: Arrays, prefix: str) -> dict[str, NDArray[np.generic]]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
