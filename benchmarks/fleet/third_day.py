"""The day and the week in the third fleet, and the jobs that run in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets import Floats
from benchmarks.fleet.noise import DAY_S, HOUR_S
from benchmarks.fleet.third_grid import Grid, overlap

SHAPES = ("bumps", "bumps", "office", "sine")
MACHINES = ("worker", "batch", "idle")  # whose load is rarely made by people
WEEKENDS = {"business": (0.2, 0.7), "same": (0.95, 1.05), "consumer": (1.1, 1.6)}
NIGHTLY = {  # chance of a nightly job
    "batch": 1.0,
    "db": 0.8,
    "web": 0.25,
    "api": 0.25,
    "worker": 0.4,
    "cache": 0.2,
    "idle": 0.3,
}
LUNCH_H = 12.5


@dataclass(frozen=True, eq=False, slots=True)
class Course:
    """How the load of a workload goes over local time; hours, and factors of its level."""

    shape: str  # flat | sine | office | bumps
    depth: float
    peak_h: float
    floor: float
    bumps: tuple[tuple[float, float, float], ...]  # hour, width in hours, height
    open_h: float
    close_h: float
    edge_h: float
    lunch: float
    saturday: float
    sunday: float
    days: Floats  # Monday to Friday, (5,)


@dataclass(frozen=True, slots=True)
class Job:
    """What runs once a day or once a week and adds to the load."""

    hour: float
    length_h: float
    height: float  # of the workload's mean load
    weekday: int | None  # 0 is Monday; None is every day
    jitter_s: float
    utc: bool  # scheduled by UTC, not by the local clock
    spread: float  # of length and height, in logarithms


def draw_course(rng: np.random.Generator, role: str) -> Course:
    """Draw the course of a workload of this role."""
    shape = str(rng.choice(SHAPES))
    if role in MACHINES:
        shape = str(rng.choice(["flat", "sine", "bumps"], p=[0.6, 0.25, 0.15]))
    depth, peak_h = rng.uniform(0.2, 0.8), rng.uniform(9, 21)
    floor = rng.uniform(0.05, 0.5)
    bumps = [(rng.uniform(9, 15), rng.uniform(2, 4.5), rng.uniform(0.5, 1.2))]
    if rng.random() < 0.6:
        bumps.append((rng.uniform(18, 22), rng.uniform(1.2, 3), rng.uniform(0.3, 1.2)))
    open_h, close_h = rng.uniform(6.5, 9), rng.uniform(16.5, 19)
    edge_h, lunch = rng.uniform(0.2, 0.8), rng.uniform(0, 0.3)
    weekend = str(rng.choice(list(WEEKENDS), p=[0.5, 0.3, 0.2]))
    if shape == "flat" and weekend == "business":
        weekend = "same"
    saturday = rng.uniform(*WEEKENDS[weekend])
    return Course(
        shape=shape,
        depth=depth,
        peak_h=peak_h,
        floor=floor,
        bumps=tuple(bumps),
        open_h=open_h,
        close_h=close_h,
        edge_h=edge_h,
        lunch=lunch,
        saturday=saturday,
        sunday=saturday * rng.uniform(0.85, 1.1),
        days=1 + rng.normal(0, 0.03, 5),
    )


def along(course: Course, local_s: Floats) -> Floats:
    """Load at local times as factors of its mean, (T,)."""
    hour = (local_s % DAY_S) / HOUR_S
    # 1 January 1970 was a Thursday: three on from there, 0 is Monday.
    weekday = (np.floor(local_s / DAY_S).astype(int) + 3) % 7
    load = _of_the_day(course, hour)
    week = _of_the_week(course, hour, weekday)
    if course.shape == "office":  # at weekends the bump goes, the floor stays
        calm = course.floor + (load - course.floor) * week
        load = np.where(weekday >= 5, calm, load * week)
    else:
        load = load * week
    factor: Floats = load / load.mean()
    return factor


def _of_the_day(course: Course, hour: Floats) -> Floats:
    match course.shape:
        case "flat":
            return np.ones(len(hour))
        case "sine":
            wave: Floats = 1 + course.depth * np.cos(2 * np.pi * (hour - course.peak_h) / 24)
            return wave
        case "office":
            opened = 1 / (1 + np.exp(-(hour - course.open_h) / course.edge_h))
            open_now = opened / (1 + np.exp((hour - course.close_h) / course.edge_h))
            load = course.floor + open_now
            load = load - course.lunch * np.exp(-0.5 * ((hour - LUNCH_H) / 0.6) ** 2)
            open_day: Floats = np.maximum(load, course.floor * 0.6)
            return open_day
        case _:
            humps: Floats = np.full(len(hour), course.floor)
            for at, width, height in course.bumps:
                away = (hour - at + 12) % 24 - 12
                humps = humps + height * np.exp(-0.5 * (away / width) ** 2)
            return humps


def _of_the_week(course: Course, hour: Floats, weekday: NDArray[np.int_]) -> Floats:
    """Factor of the weekday; around midnight the days pass into each other within four hours."""

    def of(which: NDArray[np.int_]) -> Floats:
        working = course.days[np.minimum(which, 4)]
        return np.where(which == 5, course.saturday, np.where(which == 6, course.sunday, working))

    tomorrow = np.clip((hour - 22) / 4, 0, 0.5)
    late = of(weekday) * (1 - tomorrow) + of((weekday + 1) % 7) * tomorrow
    early = of((weekday - 1) % 7) * (0.5 - hour / 4) + of(weekday) * (0.5 + hour / 4)
    return np.where(hour >= 22, late, np.where(hour < 2, early, of(weekday)))


def draw_jobs(rng: np.random.Generator, role: str) -> tuple[Job, ...]:
    """Draw the jobs of a workload of this role, nightly ones first."""
    batch = role == "batch"
    count = int(rng.random() < NIGHTLY[role]) + int(batch and rng.random() < 0.5)
    jobs = [
        Job(
            hour=float(rng.choice(np.arange(0, 24, 0.25))) if batch else rng.uniform(0, 6),
            length_h=rng.uniform(0.3, 2.0),
            height=rng.uniform(1.0, 6.0),
            weekday=None,
            jitter_s=float(rng.choice([0, 60, 240])),
            utc=rng.random() < 0.5,
            spread=rng.uniform(0.03, 0.15),
        )
        for _ in range(count)
    ]
    if rng.random() < 0.2:
        jobs.append(
            Job(
                hour=rng.uniform(0, 24),
                length_h=rng.uniform(0.5, 3),
                height=rng.uniform(1, 5),
                weekday=int(rng.integers(7)),
                jitter_s=120.0,
                utc=True,
                spread=0.1,
            )
        )
    return tuple(jobs)


def planned(jobs: Sequence[Job], grid: Grid) -> Floats:
    """What jobs add to the load when all run as scheduled, (T,)."""
    load = np.zeros(grid.rows)
    for job in jobs:
        for at_s in _runs(job, grid):
            last_s = at_s + job.length_h * HOUR_S
            _add(load, grid, first_s=at_s, last_s=last_s, height=job.height)
    return load


def run_jobs(rng: np.random.Generator, jobs: Sequence[Job], grid: Grid) -> Floats:
    """What jobs add to the load as they really run: late, longer or shorter, (T,)."""
    load = np.zeros(grid.rows)
    for job in jobs:
        for at_s in _runs(job, grid):
            first_s = at_s + abs(rng.normal(0, job.jitter_s))
            longer = np.exp(rng.normal(0, job.spread / 2))
            height = job.height * np.exp(rng.normal(0, job.spread))
            last_s = first_s + job.length_h * HOUR_S * longer
            _add(load, grid, first_s=first_s, last_s=last_s, height=height)
    return load


def _runs(job: Job, grid: Grid) -> list[float]:
    """Moments a job is scheduled at, from the day before the fleet begins."""
    times_s = grid.times_s
    moments = []
    for day in np.arange(np.floor(times_s[0] / DAY_S) - 1, times_s[-1] / DAY_S + 1):
        if job.weekday is None or (int(day) + 3) % 7 == job.weekday:
            at_s = day * DAY_S + job.hour * HOUR_S
            moments.append(at_s if job.utc else at_s - grid.offset_at(at_s))
    return moments


def _add(load: Floats, grid: Grid, *, first_s: float, last_s: float, height: float) -> None:
    first = max(0, int((first_s - grid.start_s) // grid.span_s))
    stop = min(grid.rows, int((last_s - grid.start_s) // grid.span_s) + 2)
    if stop > first:
        times_s = grid.start_s + grid.span_s * np.arange(first, stop, dtype=np.float64)
        share = overlap(times_s, grid.span_s, first_s=first_s, last_s=last_s)
        load[first:stop] += height * share
