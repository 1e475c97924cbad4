"""The third fleet's table in the making: one column a series, filled step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmarks.datasets import Bools, Floats
from benchmarks.fleet.model import MEMORY, METRICS, NETWORK_IN, NETWORK_OUT, Event, SeriesInfo
from benchmarks.fleet.noise import DAY_S
from benchmarks.fleet.third_day import Course, Job
from benchmarks.fleet.third_grid import Grid
from benchmarks.fleet.third_life import Slot, Workload
from benchmarks.fleet.third_usage import draw_memory, draw_traffic, hold

NEAR_S = 5400.0  # of the same time of day, to either side
LEAST_SD = 0.003  # of what is due: no series is calmer than this
CHANCE = (1e-3, 100.0)  # least and most

Pods = tuple[tuple[int, str], ...]  # first bucket and name, oldest first


@dataclass(eq=False, slots=True)
class Columns:
    """Series made so far; arrays (T, S). ``ordinary`` is ``due`` times ``chance``.

    ``pure`` is chance without jobs that ran late or load that memory follows: by it, events are
    graded. ``there`` is false where a slot has no pod.
    """

    info: list[SeriesInfo]
    pods: list[Pods]
    due: Floats
    chance: Floats
    pure: Floats
    ordinary: Floats
    values: Floats
    there: Bools
    place: dict[tuple[int, int, str], int]  # workload, slot, metric -> column


@dataclass(frozen=True, slots=True)
class Labelled:
    """An event and the number of the incident it belongs to."""

    incident: int
    event: Event


@dataclass(slots=True)
class _Made:
    """Columns before they are put side by side."""

    info: list[SeriesInfo] = field(default_factory=list)
    pods: list[Pods] = field(default_factory=list)
    due: list[Floats] = field(default_factory=list)
    chance: list[Floats] = field(default_factory=list)
    pure: list[Floats] = field(default_factory=list)
    there: list[Bools] = field(default_factory=list)
    place: dict[tuple[int, int, str], int] = field(default_factory=dict)


def fill(
    stream: tuple[int, int],
    grid: Grid,
    *,
    workloads: list[Workload],
    courses: list[Course],
    jobs: list[tuple[Job, ...]],
) -> Columns:
    """Make the ordinary series of all pods; every workload has its own random numbers."""
    made = _Made()
    for number, workload in enumerate(workloads):
        rng = np.random.default_rng([*stream, 7, number])
        _fill_one(
            rng,
            grid,
            made=made,
            number=number,
            workload=workload,
            course=courses[number],
            jobs=jobs[number],
        )
    due, chance = np.array(made.due).T, np.array(made.chance).T
    np.clip(chance, *CHANCE, out=chance)
    ordinary = due * chance
    return Columns(
        info=made.info,
        pods=made.pods,
        due=due,
        chance=chance,
        pure=np.array(made.pure).T,
        ordinary=ordinary,
        values=ordinary.copy(),
        there=np.column_stack(made.there),
        place=made.place,
    )


def _fill_one(
    rng: np.random.Generator,
    grid: Grid,
    *,
    made: _Made,
    number: int,
    workload: Workload,
    course: Course,
    jobs: tuple[Job, ...],
) -> None:
    traffic = draw_traffic(rng, grid, workload=workload, course=course, jobs=jobs)
    memory = draw_memory(rng, grid, workload=workload, traffic=traffic)
    for place, slot in enumerate(workload.slots):
        held = hold(rng, grid, memory=memory, slot=slot)
        received, out_own = traffic.chance[:, place], traffic.out_chance[:, place]
        due_in = traffic.level * traffic.balance[place] * traffic.due
        due_out = traffic.level * traffic.out_to_in * traffic.balance[place] * traffic.due
        sent = received ** rng.uniform(0.8, 1.0) * out_own
        columns = {
            MEMORY: (held.due, held.loaded * held.noise, held.noise),
            NETWORK_IN: (due_in, received * traffic.real / traffic.due, received**0.9),
            NETWORK_OUT: (due_out, sent * traffic.real / traffic.due, received**0.9 * out_own),
        }
        here = _present(slot, grid)
        pods = _pods(slot, grid)
        suffix = "/jobs" if jobs else ""
        for metric in METRICS:
            habit = memory.habit if metric == MEMORY else f"{course.shape}/{traffic.style}"
            due, chance, pure = columns[metric]
            made.place[number, place, metric] = len(made.info)
            made.info.append(
                SeriesInfo(
                    metric=metric,
                    namespace=workload.namespace,
                    workload=workload.name,
                    kind=workload.kind,
                    slot=place,
                    node=slot.node,
                    shape=f"{workload.role}/{habit}{suffix}",
                )
            )
            made.pods.append(pods)
            made.due.append(due)
            made.chance.append(chance)
            made.pure.append(pure)
            made.there.append(here)


def _present(slot: Slot, grid: Grid) -> Bools:
    """Buckets in which the slot has a pod all the time, (T,)."""
    gone = np.zeros(grid.rows, bool)
    for first_s, last_s in slot.absent:
        gone |= (grid.times_s + grid.span_s > first_s) & (grid.times_s < last_s)
    return ~gone


def _pods(slot: Slot, grid: Grid) -> Pods:
    """First whole bucket of every pod; one that comes back under its name is the same pod."""
    span_s, start_s = grid.span_s, grid.start_s
    since: dict[int, str] = {}
    for at_s, name in slot.lives:
        whole_s = np.ceil((at_s - start_s) / span_s) * span_s + start_s
        since[grid.bucket(float(whole_s))] = name
    first, *later = since.items()
    kept = [first]
    for bucket, name in later:
        if name != kept[-1][1] and bucket < grid.rows:
            kept.append((bucket, name))
    return tuple(kept)


def local_sd(ratio: Floats, *, middle: float, span_s: float) -> float:
    """Standard deviation of ordinary ratios (T,) near the time of day of bucket ``middle``."""
    day = DAY_S / span_s
    away = np.abs((np.arange(len(ratio)) - middle + day / 2) % day - day / 2)
    near = ratio[(away <= max(1.0, NEAR_S / span_s)) & np.isfinite(ratio)]
    return max(float(near.std()), LEAST_SD)
