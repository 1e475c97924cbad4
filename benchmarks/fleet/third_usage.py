"""What the pods of the third fleet use when nothing is wrong: what is due, and chance around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from benchmarks.datasets import Floats
from benchmarks.fleet.noise import DAY_S, HOUR_S
from benchmarks.fleet.third_day import Course, Job, along, planned, run_jobs
from benchmarks.fleet.third_grid import Grid
from benchmarks.fleet.third_life import Slot, Workload
from benchmarks.fleet.third_noise import STYLES, sawtooth, traffic_chance, wander

MEBIBYTE = 2.0**20
WARMING = {"cache": "warm", "db": "warm"}  # by role; others hold memory as it falls
HABITS = ("gc", "gc", "load", "plain", "plain")
IDLE = 0.02  # of the level others have
JOB_SHARE = 0.5  # of a job's height, in all but batch workloads


@dataclass(frozen=True, eq=False, slots=True)
class Traffic:
    """Traffic of a workload's slots; loads (T,) around 1, chance (T, slots)."""

    style: str
    level: float  # bytes a second
    out_to_in: float
    due: Floats
    real: Floats  # due, with jobs as they really ran
    chance: Floats
    out_chance: Floats  # of what is sent, besides
    balance: Floats  # share of each slot, about 1, (slots,)


@dataclass(frozen=True, eq=False, slots=True)
class Memory:
    """How a workload's pods hold memory; ``due`` (T,) in bytes, of a warm pod without load."""

    habit: str  # gc | load | plain | warm
    due: Floats
    load_due: Floats  # what load adds, as a factor
    load_real: Floats
    warming_s: float
    cold: float  # share of its level a new pod begins with
    teeth: float  # height
    period_h: float  # of teeth
    sigma: float
    drift: float


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """Memory of one slot, (T,): bytes due, chance of load, and chance of its own."""

    due: Floats
    loaded: Floats
    noise: Floats


def draw_traffic(
    rng: np.random.Generator, grid: Grid, *, workload: Workload, course: Course, jobs: Sequence[Job]
) -> Traffic:
    """Draw the traffic of a workload; replicas share its load equally."""
    share = JOB_SHARE if workload.role != "batch" else 1
    base = along(course, grid.local_s)
    due_jobs, real_jobs = planned(jobs, grid), run_jobs(rng, jobs, grid)
    since_s = grid.times_s - grid.start_s
    growth = np.exp(rng.choice([0, 0, rng.uniform(-0.003, 0.008)]) * since_s / DAY_S)
    spread_over, released = _spread_over(workload, grid), np.ones(grid.rows)
    for rollout in workload.rollouts:
        released *= np.where(grid.times_s >= rollout.at_s, rollout.traffic, 1.0)
    style = str(rng.choice(list(STYLES), p=list(STYLES.values())))
    idle = IDLE if workload.role == "idle" else 1
    level = np.exp(rng.uniform(np.log(2e3), np.log(5e6))) * idle
    out_to_in = np.exp(rng.uniform(np.log(0.3), np.log(12)))
    slots = len(workload.slots)
    chance = traffic_chance(rng, style, rows=grid.rows, span_s=grid.span_s, columns=slots)
    return Traffic(
        style=style,
        level=level,
        out_to_in=out_to_in,
        due=(base + due_jobs * share) * growth * spread_over * released,
        real=(base + real_jobs * share) * growth * spread_over * released,
        chance=chance,
        out_chance=np.exp(rng.uniform(0.02, 0.08) * rng.normal(size=(grid.rows, slots))),
        balance=np.exp(rng.normal(0, 0.08, slots)),
    )


def _spread_over(workload: Workload, grid: Grid) -> Floats:
    """Share of its usual load that a replica has left while there are more of them, (T,)."""
    scaling = workload.scaling
    if scaling is None:
        return np.ones(grid.rows)
    more = (grid.times_s >= scaling.first_s) & (grid.times_s < scaling.last_s)
    return np.where(more, scaling.few / scaling.many, 1.0)


def draw_memory(
    rng: np.random.Generator, grid: Grid, *, workload: Workload, traffic: Traffic
) -> Memory:
    """Draw how a workload's pods hold memory."""
    usual = str(rng.choice(HABITS))  # drawn for all: the role shifts no later draw
    habit = WARMING.get(workload.role, usual)
    level = np.exp(rng.uniform(np.log(30), np.log(3000))) * MEBIBYTE
    since_s = grid.times_s - grid.start_s
    growth = np.exp(rng.choice([0, 0, 0, rng.uniform(0.001, 0.012)]) * since_s / DAY_S)
    released = np.ones(grid.rows)
    for rollout in workload.rollouts:
        released *= np.where(grid.times_s >= rollout.at_s, rollout.memory, 1.0)
    following = {"gc": 0.03, "load": rng.uniform(0.08, 0.35), "plain": 0.02, "warm": 0.04}[habit]
    part = np.exp(-grid.span_s / (rng.uniform(0.3, 2) * HOUR_S))
    return Memory(
        habit=habit,
        due=level * released * growth,
        load_due=1 + following * (_lagging(traffic.due, part) - 1),
        load_real=1 + following * (_lagging(traffic.real, part) - 1),
        warming_s=(rng.uniform(2, 20) if habit == "warm" else rng.uniform(0.1, 0.8)) * HOUR_S,
        cold=rng.uniform(0.3, 0.6) if habit == "warm" else rng.uniform(0.7, 0.95),
        teeth=rng.uniform(0.08, 0.4),
        sigma=np.exp(rng.uniform(np.log(0.002), np.log(0.02))),
        drift=rng.uniform(0.002, 0.015),
        period_h=rng.uniform(2, 16),
    )


def _lagging(load: Floats, part: float) -> Floats:
    """Load as memory follows it: ``part`` of where it was stays from bucket to bucket."""
    lagging: Floats = lfilter([1 - part], [1, -part], load - load[0]) + load[0]
    return lagging


def hold(rng: np.random.Generator, grid: Grid, *, memory: Memory, slot: Slot) -> Held:
    """Make the memory of one slot; every new pod in it begins cold."""
    times_s = grid.times_s
    warm = np.ones(grid.rows)
    births_s = [since_s for since_s, _ in slot.lives]
    for since_s in births_s:
        if since_s > grid.start_s:
            age_s = times_s + grid.span_s - since_s
            warming = 1 - (1 - memory.cold) * np.exp(-np.maximum(age_s, 0) / memory.warming_s)
            warm = np.where(times_s >= since_s, warming, warm)
    noise = np.exp(
        memory.sigma * rng.normal(size=grid.rows)
        + memory.drift * wander(rng, grid.rows, memory_buckets=8 * HOUR_S / grid.span_s)[:, 0]
    )
    if memory.habit == "gc":
        teeth = sawtooth(
            rng,
            grid.rows,
            span_s=grid.span_s,
            period_h=(memory.period_h * 0.9, memory.period_h * 1.1),
            births=[grid.bucket(since_s) for since_s in births_s],
        )
        noise = noise * (1 + memory.teeth * (teeth - 0.5))
    return Held(
        due=memory.due * warm * memory.load_due,
        loaded=memory.load_real / memory.load_due,
        noise=noise,
    )
