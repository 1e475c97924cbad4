"""What is not seen of the third fleet, and the ordinary changes nobody wants to be woken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import Bools
from benchmarks.fleet.model import METRICS, Benign, Event, EventKind
from benchmarks.fleet.noise import DAY_S, HOUR_S
from benchmarks.fleet.third_columns import Columns
from benchmarks.fleet.third_grid import CLOCK_CHANGE_S, Grid
from benchmarks.fleet.third_life import BEGUN_S, Workload

LOST = 0.0008  # share of single samples
LONGEST_H = 10.0  # outage of the collector
POD_GAPS = 0.06  # share of pods and nodes that were once not seen
FIRST_LOST = 0.4  # chance that a new pod's first bucket is missing
CLOCK_S = 2 * DAY_S  # after the clock change


@dataclass(frozen=True, eq=False, slots=True)
class Unseen:
    """Samples that are lost, (T, S), and what is to be known besides."""

    lost: Bools
    benign: list[Benign]


def lose(
    rng: np.random.Generator,
    grid: Grid,
    *,
    columns: Columns,
    workloads: Sequence[Workload],
    events: Sequence[Event],
) -> Unseen:
    """Draw gaps of the collector, of single pods and of single samples."""
    unseen = Unseen(rng.random(columns.values.shape) < LOST, [])
    _lose_all(rng, grid, unseen=unseen, events=events)
    _lose_pods(rng, grid, unseen=unseen)
    for number, workload in enumerate(workloads):
        for place in range(len(workload.slots)):
            mine = [columns.place[number, place, metric] for metric in METRICS]
            _lose_first(rng, grid, unseen=unseen, workload=workload, columns=mine)
    if grid.changes and grid.start_s < CLOCK_CHANGE_S < grid.end_s:
        first = grid.bucket(CLOCK_CHANGE_S)
        last = min(grid.bucket(CLOCK_CHANGE_S + CLOCK_S), grid.rows - 1)
        everything = range(len(columns.info))
        unseen.benign.extend(Benign(column, "clock_change", first, last) for column in everything)
    return unseen


def _lose_all(
    rng: np.random.Generator, grid: Grid, *, unseen: Unseen, events: Sequence[Event]
) -> None:
    """Stop the collector a few times, mostly away from events other than leaks."""
    hour = HOUR_S / grid.span_s  # buckets
    for _ in range(int(rng.integers(2, 5))):
        first = int(rng.integers(int(5 * DAY_S / grid.span_s), grid.rows))
        length = np.exp(rng.uniform(np.log(0.25), np.log(LONGEST_H))) * HOUR_S / grid.span_s
        stop = first + int(max(1, length))
        hides = any(
            first - 2 * hour < event.last and event.first < stop + 4 * hour
            for event in events
            if event.kind is not EventKind.LEAK
        )
        if hides and rng.random() < 0.8:
            continue
        unseen.lost[first:stop] = True
        last = min(stop, grid.rows - 1)
        everything = range(unseen.lost.shape[1])
        unseen.benign.extend(Benign(column, "gap", first, last) for column in everything)


def _lose_pods(rng: np.random.Generator, grid: Grid, *, unseen: Unseen) -> None:
    """Lose some slots and nodes for hours; their metrics stand side by side."""
    for column in range(0, unseen.lost.shape[1], len(METRICS)):
        if rng.random() >= POD_GAPS:
            continue
        first = int(rng.integers(int(3 * DAY_S / grid.span_s), grid.rows))
        stop = first + int(max(1, rng.uniform(0.5, 20) * HOUR_S / grid.span_s))
        mine = range(column, column + len(METRICS))
        unseen.lost[first:stop, mine] = True
        last = min(stop, grid.rows - 1)
        unseen.benign.extend(Benign(each, "gap", first, last) for each in mine)


def _lose_first(
    rng: np.random.Generator,
    grid: Grid,
    *,
    unseen: Unseen,
    workload: Workload,
    columns: list[int],
) -> None:
    """Note rollouts and scale-outs in one slot; a new pod's first bucket may be missing."""

    def noted(kind: str, at: int) -> None:
        last = min(at + 1, grid.rows - 1)
        unseen.benign.extend(Benign(column, kind, at, last) for column in columns)

    for rollout in workload.rollouts:
        at = grid.bucket(rollout.at_s + BEGUN_S)
        noted("rollout", at)
        if rng.random() < FIRST_LOST and at < grid.rows:
            unseen.lost[at, columns] = True
    for turn_s in workload.turns(grid.end_s):
        noted("scale_out", grid.bucket(turn_s))
