"""A worker of fakes around the real engine, gathering, state and loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anomaly_operator.engine.engine import Engine
from anomaly_operator.worker.assembly import translator
from anomaly_operator.worker.gathering import Share
from anomaly_operator.worker.loop import Ending, Loop
from anomaly_operator.worker.parts import EngineFactory, Parts
from tests.support.fakes import (
    FakeClock,
    MemoryJournal,
    MemorySnapshots,
    MemoryStore,
    Recorder,
    ScriptedSource,
)
from tests.support.jobs import START_S, job_json

SPAN_S = 900.0
PODS = ("cart-1", "cart-2", "pay-1")


def wavy(_metric: str, pod: str, times: np.ndarray) -> np.ndarray:
    """A daily wave with noise that is the same for the same pod and time."""
    phase = sum(map(ord, pod))
    noise = np.sin(times * 12.9898 + phase) * 43758.5453
    noise -= np.floor(noise)
    return 1e8 * (1 + 0.2 * np.sin(2 * np.pi * times / 86400)) + 2e6 * noise


class Rig:
    """Everything of one worker that outlives its process, and a way to start one."""

    def __init__(self, *, days: float = 3.0, history: bool = True) -> None:
        self.spike_from_s = START_S + days * 86400 + 4 * SPAN_S
        self.spike_until_s = self.spike_from_s + 3 * SPAN_S
        self.clock = FakeClock(START_S + days * 86400)
        self.source = ScriptedSource(self._value, pods=PODS, history=history)
        self.store = MemoryStore()
        self.snapshots = MemorySnapshots()
        self.journal = MemoryJournal()
        self.recorder = Recorder()
        self.job = job_json()
        self.parts: Parts | None = None

    def _value(self, metric: str, pod: str, times: np.ndarray) -> np.ndarray:
        values = wavy(metric, pod, times)
        if pod == "pay-1":
            values = np.where(
                (times >= self.spike_from_s) & (times < self.spike_until_s), 4 * values, values
            )
        return values

    def start(self, **changes: Any) -> Loop:
        self.parts = Parts(
            **{
                "clock": self.clock,
                "source": self.source,
                "store": self.store,
                "snapshots": self.snapshots,
                "journal": self.journal,
                "figures": self.recorder,
                "status": self.recorder,
                "announcer": self.recorder,
                "engines": EngineFactory(Engine, Engine.restore),
                "translate": translator(self.source),
                "read_job": lambda: self.job,
                "share": Share(0, 1),
                "poll_s": 60.0,
                **changes,
            }
        )
        return Loop(self.parts)

    def run_until(self, time_s: float, **changes: Any) -> Ending:
        """Run a worker until this time, then stop it as SIGTERM would."""
        self.clock.stop_at = time_s
        return self.start(**changes).run()

    @property
    def status(self) -> Any:
        return self.recorder.entries[-1]

    def condition(self, type_: str) -> Any:
        return next(each for each in self.status["conditions"] if each["type"] == type_)


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def later_rig() -> Rig:
    """Live from a Monday on: on a first weekend, where the other begins, nothing is major."""
    return Rig(days=4.0)


@pytest.fixture
def make_rig() -> Callable[..., Rig]:
    return Rig
