"""All that a running worker is put together from, named by port.

``assembly.py`` fills this in with adapters; tests fill it in with fakes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import AnalysisSettings, Block, ModelSize, Outcome, WarmUp
from anomaly_operator.ports import (
    Announcer,
    Clock,
    FiguresSink,
    Journal,
    MetricSource,
    ResultSink,
    ResultStore,
    SnapshotStore,
    StatusReporter,
)
from anomaly_operator.worker.gathering import Share
from anomaly_operator.worker.health import Health
from anomaly_operator.worker.job_settings import Translate

Arrays = Mapping[str, NDArray[np.generic]]


class AnomalyEngine(Protocol):
    """The engine as the worker uses it."""

    def advance(self, blocks: Sequence[Block]) -> Outcome:
        """Judge, then learn: one block a detector, all of the same buckets."""

    def update(self, settings: AnalysisSettings) -> None:
        """Take over what can change live."""

    def snapshot(self, *, lent: bool = False) -> Mapping[str, NDArray[np.generic]]:
        """State as arrays; uncopied if ``lent``, and then true until the next ``advance``."""

    def model_size(self) -> ModelSize:
        """Real bytes."""

    def warm_up(self, now_s: float) -> WarmUp:
        """How far learning is."""


@dataclass(frozen=True, slots=True)
class EngineFactory:
    """How an engine comes to be: new, or from a snapshot (raises SnapshotRejected)."""

    create: Callable[[AnalysisSettings], AnomalyEngine]
    restore: Callable[[AnalysisSettings, Arrays], AnomalyEngine]


@dataclass(frozen=True, slots=True)
class Parts:
    """One shard's worker."""

    clock: Clock
    source: MetricSource
    store: ResultStore
    snapshots: SnapshotStore
    journal: Journal
    figures: FiguresSink
    status: StatusReporter
    announcer: Announcer
    engines: EngineFactory
    translate: Translate
    read_job: Callable[[], bytes]  # the mounted document; raises SpecError when it cannot be read
    share: Share
    sinks: tuple[ResultSink, ...] = ()  # beside the store; they cannot fail
    health: Health = field(default_factory=Health)
    poll_s: float = 5.0  # how often the job document is looked at
