"""The third fleet's incidents put into its series, and each series' part of one labelled.

An event's size is told in local standard deviations of ordinary life, at the same time of day;
``UNIT`` makes them the sizes of ``model``: five deviations stand out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets import Floats
from benchmarks.fleet.model import STANDS_OUT, Event, EventKind
from benchmarks.fleet.noise import DAY_S
from benchmarks.fleet.third_columns import Columns, Labelled, local_sd
from benchmarks.fleet.third_grid import Grid
from benchmarks.fleet.third_incidents import Incident
from benchmarks.fleet.third_life import Workload

STANDS_OUT_SD = 5.0  # local standard deviations
UNIT = STANDS_OUT / STANDS_OUT_SD  # of Event.size, a local standard deviation
INSIDE = 0.34  # share of a bucket that an incident covers, from which the bucket counts for size
TOUCHED = 0.02  # from which the bucket belongs to the event
WHOLE = 0.99  # a leak's: in the bucket of its restart memory is already low
AFTERMATH_S = 1800.0
DIMMED = (0.5, 2.0)  # least and most that chance does to load at a wrong hour


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """One series' part of an incident; ``covered`` (T,) shares of buckets, ``inside`` buckets."""

    incident: Incident
    column: int
    covered: Floats
    inside: NDArray[np.intp]
    sd: float


def befall(
    rng: np.random.Generator,
    grid: Grid,
    *,
    columns: Columns,
    workloads: Sequence[Workload],
    incidents: Sequence[Incident],
) -> list[Labelled]:
    """Put all incidents into ``columns`` and label them, except where there was no pod."""
    labelled = []
    for number, incident in enumerate(incidents):
        for slot in incident.slots:
            for metric in incident.metrics:
                column = columns.place[incident.workload, slot, metric]
                part = _part(grid, columns, incident=incident, column=column)
                if part is not None:
                    workload = workloads[incident.workload]
                    event = _change(rng, grid, columns=columns, workload=workload, part=part)
                    labelled.append(Labelled(number, event))
    return labelled


def _part(grid: Grid, columns: Columns, *, incident: Incident, column: int) -> _Part | None:
    covered = grid.covered(incident.first_s, incident.last_s)
    inside = np.flatnonzero(covered >= INSIDE)
    there = columns.there[:, column]
    if not len(inside) or not there[inside].all():
        return None
    ratio = np.where(there, columns.chance[:, column], np.nan)
    sd = local_sd(ratio, middle=float(inside.mean()), span_s=grid.span_s)
    if incident.kind is EventKind.LEAK:
        inside = np.flatnonzero(covered >= WHOLE)
    return _Part(incident, column, covered, inside, sd)


def _change(
    rng: np.random.Generator, grid: Grid, *, columns: Columns, workload: Workload, part: _Part
) -> Event:
    """Change one series and tell what was done to it."""
    incident, column, inside = part.incident, part.column, part.inside
    values, due = columns.values, columns.due
    height = np.zeros(grid.rows)  # of kinds that have one, in local standard deviations
    match incident.kind:
        case EventKind.LEAK:
            more = due[:, column] * (incident.ratio - 1) * _risen(grid, part)
        case EventKind.MISSING:
            more = -columns.ordinary[:, column] * (1 - incident.ratio) * part.covered
        case EventKind.WRONG_HOUR:
            more = _load(rng, grid, columns=columns, part=part)
        case _:
            height = _height(rng, grid, workload=workload, part=part)
            more = incident.deviations * part.sd * due[:, column] * height
    values[:, column] = values[:, column] + more
    size = UNIT * deviations(
        incident.kind, values[inside, column], due[inside, column], due[inside, column], sd=part.sd
    )
    leak = incident.kind is EventKind.LEAK
    touched = inside if leak else np.flatnonzero(part.covered >= TOUCHED)
    first, last = int(touched[0]), int(touched[-1])
    after = int(max(2, np.ceil(AFTERMATH_S / grid.span_s)))
    if incident.lasting:
        after = int(DAY_S / grid.span_s)
        # From now on the new level is due.
        later = np.arange(grid.rows) > last
        lift = np.where(later, 1 + incident.deviations * part.sd * height, 1.0)
        due[:, column] *= lift
        columns.ordinary[:, column] *= lift
        values[:, column] = np.where(later, columns.ordinary[:, column], values[:, column])
    ignored_until = min(last + after, grid.rows - 1)
    return Event(column, incident.kind, first, last, ignored_until, size)


def deviations(kind: EventKind, values: Floats, usual: Floats, due: Floats, *, sd: float) -> float:
    """How far an event's values are from ``usual``, in standard deviations ``sd`` of what is due.

    Its largest bucket for a spike, the median of its last third for a leak, of all for the rest.
    """
    if kind is EventKind.LEAK:
        core = slice(2 * len(values) // 3, None)
        values, usual, due = values[core], usual[core], due[core]
    away = np.abs(values - usual) / due / sd
    return float(away.max() if kind is EventKind.SPIKE else np.median(away))


def _risen(grid: Grid, part: _Part) -> Floats:
    """Share 0..1 of its way that a leak has gone at the end of every bucket."""
    incident = part.incident
    gone_s = grid.times_s + grid.span_s - incident.first_s
    risen = np.clip(gone_s / (incident.last_s - incident.first_s), 0, 1) * (part.covered > 0)
    risen[part.inside[-1] + 1 :] = 0
    return risen


def _load(rng: np.random.Generator, grid: Grid, *, columns: Columns, part: _Part) -> Floats:
    """Load that a wrong hour adds: a job's, or what lacks to the height of the day before."""
    due, job_height = columns.due[:, part.column], part.incident.job_height
    dimmed = np.clip(columns.chance[:, part.column], *DIMMED)
    if job_height is not None:
        worth = np.median(due) * job_height * 0.5 * rng.uniform(0.8, 1.2)
        load: Floats = worth * part.covered * dimmed
        return load
    first = int(part.inside[0])
    top = np.quantile(due[max(0, first - int(DAY_S / grid.span_s)) : first + 1], 0.9)
    lacking: Floats = np.maximum(top * rng.uniform(0.5, 1) - due, 0) * part.covered * dimmed
    return lacking


def _height(rng: np.random.Generator, grid: Grid, *, workload: Workload, part: _Part) -> Floats:
    """Course of an incident that has a height, about 1 while it lasts, (T,)."""
    incident, inside = part.incident, part.inside
    height = part.covered.copy()
    if incident.kind is EventKind.SURGE and len(inside) >= 4:
        height[inside] *= 0.75 + 0.5 * np.sin(np.pi * np.linspace(0, 1, len(inside)))
    if incident.kind is EventKind.SPIKE:
        height[inside[1:]] *= rng.uniform(0.5, 1)
    if not incident.lasting:
        return height
    begins = np.arange(grid.rows) == inside[0]
    height = np.where(grid.times_s >= incident.first_s, 1.0, 0.0)
    height *= np.where(begins, np.maximum(part.covered, INSIDE), 1)
    for rollout in workload.rollouts:
        if rollout.at_s > incident.last_s:  # the next version mends it
            return np.where(grid.times_s + grid.span_s > rollout.at_s, 0.0, height)
    return height
