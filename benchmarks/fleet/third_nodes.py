"""Nodes of the third fleet: the sum of their pods and what they use themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.datasets import Floats
from benchmarks.fleet.model import MEMORY, METRICS, Benign, Event, SeriesInfo
from benchmarks.fleet.noise import HOUR_S
from benchmarks.fleet.third_columns import Columns, Labelled, local_sd
from benchmarks.fleet.third_grid import Grid
from benchmarks.fleet.third_life import Workload
from benchmarks.fleet.third_noise import wander
from benchmarks.fleet.third_trouble import UNIT, deviations
from benchmarks.fleet.third_usage import MEBIBYTE

ARRIVAL_S = 6 * HOUR_S  # after a rollout or scaling: pods come and go, and warm up


def add_nodes(
    stream: tuple[int, int],
    grid: Grid,
    *,
    columns: Columns,
    workloads: Sequence[Workload],
    labelled: list[Labelled],
) -> list[Benign]:
    """Add the nodes' series to ``columns`` and what is seen of pods' events to ``labelled``.

    Answers arrivals; every node has its own random numbers.
    """
    benign = []
    for node in sorted({slot.node for workload in workloads for slot in workload.slots}):
        rng = np.random.default_rng([*stream, 9, int(node[-1])])
        for metric in METRICS:
            column = _add(rng, grid, columns=columns, node=node, metric=metric)
            labelled += _seen(grid, columns, column=column, labelled=labelled)
            benign += _arrivals(grid, column, node=node, workloads=workloads)
    return benign


def _add(rng: np.random.Generator, grid: Grid, *, columns: Columns, node: str, metric: str) -> int:
    """Add one series of a node; its column."""
    held = [
        column
        for (_, _, of), column in columns.place.items()
        if of == metric and columns.info[column].node == node
    ]
    memory = metric == MEMORY
    own = rng.uniform(1, 4) * 1024 * MEBIBYTE if memory else rng.uniform(1e5, 1e6)
    there = columns.there[:, held]

    def total(table: Floats) -> Floats:
        summed: Floats = np.where(there, table[:, held], 0).sum(1)
        return summed

    due = own + total(columns.due)
    noise = np.exp(
        (0.002 if memory else 0.03) * rng.normal(size=grid.rows)
        + 0.004 * wander(rng, grid.rows, memory_buckets=6 * HOUR_S / grid.span_s)[:, 0]
    )
    ordinary = own * noise + total(columns.due * columns.chance)
    values = own * noise + total(columns.values)
    columns.info.append(SeriesInfo(metric, "", "", "Node", 0, node, "node"))
    columns.pods.append(((0, node),))
    columns.due = np.column_stack([columns.due, due])
    columns.ordinary = np.column_stack([columns.ordinary, ordinary])
    columns.chance = np.column_stack([columns.chance, ordinary / due])
    columns.pure = np.column_stack([columns.pure, ordinary / due])
    columns.values = np.column_stack([columns.values, values])
    columns.there = np.column_stack([columns.there, np.ones(grid.rows, bool)])
    return len(columns.info) - 1


def _seen(
    grid: Grid, columns: Columns, *, column: int, labelled: Sequence[Labelled]
) -> list[Labelled]:
    """Label what incidents in a node's pods do to the node's own series."""
    node = columns.info[column]
    incidents: dict[int, list[Event]] = {}
    for each in labelled:
        info = columns.info[each.event.series]
        if (info.node, info.metric) == (node.node, node.metric) and info.kind != "Node":
            incidents.setdefault(each.incident, []).append(each.event)
    found = []
    for number, events in incidents.items():
        kind = events[0].kind
        first, last = min(each.first for each in events), max(each.last for each in events)
        sd = local_sd(columns.chance[:, column], middle=(first + last) / 2, span_s=grid.span_s)
        inside = (slice(first, last + 1), column)
        size = UNIT * deviations(
            kind, columns.values[inside], columns.ordinary[inside], columns.due[inside], sd=sd
        )
        ignored_until = max(each.ignored_until for each in events)
        event = Event(column, kind, first, last, ignored_until, size, from_a_pod=True)
        found.append(Labelled(number, event))
    return found


def _arrivals(grid: Grid, column: int, *, node: str, workloads: Sequence[Workload]) -> list[Benign]:
    """Tell when pods came to a node or left it."""
    arrivals = []
    for workload in workloads:
        moves_s = [rollout.at_s for rollout in workload.rollouts] + workload.turns(grid.end_s)
        for slot in workload.slots:
            if slot.node == node:
                for at_s in moves_s:
                    last = min(grid.bucket(at_s + ARRIVAL_S), grid.rows - 1)
                    arrivals.append(Benign(column, "arrival", grid.bucket(at_s), last))
    return arrivals
