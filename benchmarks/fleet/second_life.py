"""Ordinary life in the second fleet: workloads, their replicas, and what those use.

Shares nothing with ``workloads`` and ``noise`` but the length of a day, see ``second``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from benchmarks.datasets import Floats
from benchmarks.fleet.model import MEMORY, NETWORK_IN
from benchmarks.fleet.noise import DAY_S, HOUR_S

SHAPES = {"web": 0.35, "flat": 0.2, "bursty": 0.15, "batch": 0.15, "steady": 0.15}
MEMORIES = ("flat", "gc", "follow", "grow")
MOST_ROLLOUTS = 3
QUARTER_HOUR_S = 900.0  # correlations are told over it, whatever the bucket span
BURN_IN = 200  # buckets until a recurrence has forgotten that it began at zero


@dataclass(frozen=True, slots=True)
class Grid:
    """Buckets of a fleet; the first begins at midnight on a Monday and tells all other times."""

    rows: int
    span_s: float

    @property
    def day(self) -> int:
        """Buckets a day."""
        return int(DAY_S / self.span_s)

    def buckets(self, hours: float) -> int:
        """Whole buckets in so many hours."""
        return int(hours * HOUR_S / self.span_s)

    def faded(self, correlation: float) -> float:
        """Correlation from bucket to bucket where it is ``correlation`` over a quarter hour."""
        return float(correlation ** (self.span_s / QUARTER_HOUR_S))


@dataclass(frozen=True, eq=False, slots=True)
class Workload:
    """What the replicas of a workload have in common; ``due`` is (T,), around 1."""

    name: str
    shape: str
    slots: int
    peak: float  # share of the day
    rollouts: tuple[int, ...]
    due: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Pod:
    """Ordinary life of one replica; arrays (T,), memory as a factor of its level."""

    level: float
    chance: Floats  # of traffic, in logarithms; in and out share it
    memory_level: float
    habit: str
    memory: Floats


def build(rng: np.random.Generator, grid: Grid, *, number: int) -> Workload:
    """Make a workload; a rollout replaces all its pods in the same bucket."""
    shape = list(SHAPES)[int(rng.choice(len(SHAPES), p=list(SHAPES.values())))]
    slots = int(rng.integers(1, 5))
    peak = rng.uniform(0.3, 0.9)
    depth = rng.uniform(0.3, 1.2) if shape in {"web", "bursty"} else rng.uniform(0.0, 0.15)
    weekend = rng.uniform(0.3, 0.9) if shape == "web" and rng.random() < 0.6 else 1.0
    count = rng.integers(0, MOST_ROLLOUTS + 1)
    moments = rng.choice(np.arange(3 * grid.day, grid.rows - 10), size=count, replace=False)
    growth = rng.uniform(-0.02, 0.05) if rng.random() < 0.5 else 0.0  # a week
    bucket = np.arange(grid.rows)
    of_the_day = bucket % grid.day / grid.day
    humps = depth * np.cos(2 * np.pi * (of_the_day - peak))
    humps += 0.3 * depth * np.cos(4 * np.pi * (of_the_day - rng.random()))
    due = np.exp(humps + growth * bucket / (7 * grid.day))
    due *= np.where(bucket // grid.day % 7 >= 5, weekend, 1.0)
    if shape == "batch":
        due *= _job(rng, grid)
    return Workload(f"wl{number}", shape, slots, peak, tuple(sorted(moments.tolist())), due)


def _job(rng: np.random.Generator, grid: Grid) -> Floats:
    """Factor of a job that starts with the same full hour every day and takes up to two hours."""
    begin = grid.buckets(int(rng.integers(0, 24)))
    length = max(1, grid.buckets(int(rng.integers(2, 8)) / 4))
    since = np.arange(grid.rows) % grid.day - begin
    running = ((since >= 0) & (since < length)).astype(np.float64)
    return 1.0 + rng.uniform(2.0, 8.0) * running


def replica(rng: np.random.Generator, grid: Grid, workload: Workload) -> Pod:
    """Make what is a replica's own: its levels, its chance, its habit of holding memory."""
    level = 10 ** rng.uniform(4, 7)  # bytes a second
    sigma = rng.uniform(0.03, 0.2)
    chance = _wander(rng, grid.rows, correlation=grid.faded(rng.uniform(0.3, 0.9)), sigma=sigma)
    if rng.random() < 0.4:
        chance += 0.6 * sigma * rng.standard_t(3, size=grid.rows)
    if workload.shape == "bursty":
        bursts = rng.random(grid.rows) < 0.02 * grid.span_s / QUARTER_HOUR_S
        chance += bursts * rng.exponential(0.8, size=grid.rows)
    memory_level = 10 ** rng.uniform(7.5, 9.5)  # bytes
    sigma = rng.uniform(0.005, 0.04)
    habit = str(rng.choice(MEMORIES))
    memory = _habit(rng, grid, workload, habit=habit)
    memory *= np.exp(_wander(rng, grid.rows, correlation=grid.faded(0.95), sigma=sigma))
    for at in workload.rollouts:
        warm = np.clip((np.arange(grid.rows) - at) / (grid.day / 8), 0.0, 1.0)  # in three hours
        memory[at:] *= 0.6 + 0.4 * warm[at:]
    return Pod(level, chance, memory_level, habit, memory)


def _wander(rng: np.random.Generator, rows: int, *, correlation: float, sigma: float) -> Floats:
    """AR(1) noise of standard deviation ``sigma``, settled from its first bucket."""
    shocks = rng.normal(size=rows + BURN_IN) * sigma * np.sqrt(1.0 - correlation**2)
    wandering: Floats = lfilter([1.0], [1.0, -correlation], shocks)[BURN_IN:]
    return wandering


def _habit(rng: np.random.Generator, grid: Grid, workload: Workload, *, habit: str) -> Floats:
    bucket = np.arange(grid.rows)
    match habit:
        case "gc":
            period = grid.buckets(rng.uniform(4, 30))
            height = rng.uniform(0.05, 0.4)
            return 1.0 + height * ((bucket + rng.integers(period)) % period) / period
        case "follow":
            share: Floats = workload.due / workload.due.mean()
            return 0.7 + 0.3 * share
        case "grow":
            return 1.0 + 0.1 * bucket / grid.rows
        case _:
            return np.ones(grid.rows)


def usage(rng: np.random.Generator, workload: Workload, pod: Pod, *, metric: str) -> Floats:
    """Values of one metric of a replica when nothing is wrong, (T,): bytes, or bytes a second."""
    if metric == MEMORY:
        return pod.memory_level * pod.memory
    level = pod.level * (1.0 if metric == NETWORK_IN else rng.uniform(0.3, 3.0))
    own = _wander(rng, len(workload.due), correlation=0.3, sigma=0.03)
    return level * workload.due * np.exp(pod.chance + own)
