"""A third fleet, by another hand again: an outside judge's, to see what the other two do not show.

It shares only the plain values of ``model`` with the other two. Ordinary life is what ``third_day``
(days, weeks, jobs), ``third_noise`` (chance), ``third_life`` (pods, rollouts, scale-outs) and
``third_usage`` (traffic and memory of a pod) tell; nodes hold the sum of their pods. Incidents are
drawn in turn by kind (``third_incidents``), in one or all replicas of a workload; steps, surges,
spikes and exfiltrations are mostly small, three to twelve local standard deviations high.

An event's size here is the distance of its values from what is due, in standard deviations of
ordinary life at the same time of day, scaled so that five stand out. A standard deviation knows
nothing of heavy tails: in a series of bursts five of them are an ordinary moment. ``fair`` asks
for the size of ``grading`` too, and an event stands out only where it does by both.

One stream of random numbers makes a whole fleet, and one more each workload and node: to move a
draw is to change all after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.datasets import Floats
from benchmarks.fleet import grading
from benchmarks.fleet.model import MEMORY, Fleet, Settings
from benchmarks.fleet.third_columns import fill
from benchmarks.fleet.third_day import draw_course, draw_jobs
from benchmarks.fleet.third_grid import lay_out
from benchmarks.fleet.third_incidents import Drawing
from benchmarks.fleet.third_life import populate
from benchmarks.fleet.third_nodes import add_nodes
from benchmarks.fleet.third_trouble import befall
from benchmarks.fleet.third_unseen import lose

STREAM = 20261122  # before the seed
PAGE_BYTES = 4096  # memory is held in pages
RECORDED = 0.5  # an event counts if more than this share of its buckets has a value


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """A fleet and what its series were made of, (T, S): see ``third_columns.Columns``."""

    fleet: Fleet
    due: Floats
    chance: Floats
    pure: Floats


def generate(settings: Settings, *, clock_change: bool = False) -> Made:
    """Make the fleet of these settings, over the clock change of March 2026 or later that year.

    Of the settings, how many events there are and from when is the generator's own affair.
    """
    stream = (STREAM, settings.seed)
    rng = np.random.default_rng(stream)
    grid = lay_out(rng, settings, clock_change=clock_change)
    workloads = populate(rng, settings, grid=grid)
    jobs = [draw_jobs(rng, workload.role) for workload in workloads]
    courses = [draw_course(rng, workload.role) for workload in workloads]
    incidents = Drawing(rng, settings, grid, workloads, courses, jobs).draw()
    columns = fill(stream, grid, workloads=workloads, courses=courses, jobs=jobs)
    labelled = befall(rng, grid, columns=columns, workloads=workloads, incidents=incidents)
    benign = add_nodes(stream, grid, columns=columns, workloads=workloads, labelled=labelled)
    events = [each.event for each in labelled]
    unseen = lose(rng, grid, columns=columns, workloads=workloads, events=events)
    there = columns.there & ~unseen.lost
    values = np.where(there, columns.values, np.nan)
    memory = [place for place, info in enumerate(columns.info) if info.metric == MEMORY]
    values[:, memory] = np.round(values[:, memory] / PAGE_BYTES) * PAGE_BYTES
    recorded = [
        event
        for event in events
        if np.isfinite(values[event.first : event.last + 1, event.series]).mean() > RECORDED
    ]
    fleet = Fleet(
        settings=settings,
        start_s=grid.start_s,
        series=tuple(columns.info),
        values=values,
        ordinary=np.where(there, columns.ordinary, np.nan),
        pods=tuple(columns.pods),
        events=tuple(recorded),
        benign=tuple(benign + unseen.benign),
    )
    return Made(fleet, columns.due, columns.chance, columns.pure)


def fair(made: Made) -> Fleet:
    """Tell the same fleet with the smaller of two sizes for every event: its own and grading's."""
    fleet = made.fleet
    events = []
    for event in fleet.events:
        column = event.series
        values, due = fleet.values[:, column], made.due[:, column]
        graded = grading.size(
            kind=event.kind,
            first=event.first,
            last=event.last,
            actual=values,
            ordinary=np.where(np.isfinite(values), due * made.chance[:, column], np.nan),
            due=due,
            chance=made.pure[:, column],
            span_s=fleet.settings.span_s,
        )
        events.append(replace(event, size=min(event.size, graded)))
    return replace(fleet, events=tuple(events))
