"""A second fleet, by another hand, to see whether what was tuned on the first holds elsewhere.

It is deliberately another generator than ``generate`` and shares only the plain values of ``model``
with it: other shapes of a day, other noise, other memory, other troubles, and another notion of
size. It is simpler too: no nodes, no scale-outs, no clock change, and every event is in one series
only, so events are independent of each other and may well fall near a rollout.

Ordinary life (``second_life``) is a product of factors. Traffic: a level, the workload's day and
week, growth, and chance in logarithms, heavy-tailed in 40 % of the pods. Memory: a level and one of
four habits, starting low after every rollout. An event (``second_trouble``) multiplies a stretch of
buckets; its size is its largest abs(ln factor) in ordinary half ranges.

One stream of random numbers makes a whole fleet: to move a draw is to change all after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import Floats
from benchmarks.fleet.model import MEMORY, METRICS, Benign, Event, Fleet, SeriesInfo, Settings
from benchmarks.fleet.noise import DAY_S
from benchmarks.fleet.second_life import Grid, Pod, Workload, build, replica, usage
from benchmarks.fleet.second_trouble import befall

START_S = 1_730_073_600.0  # 28 October 2024, a Monday at midnight
STREAM = 77  # beside the seed; ``generate`` numbers its workloads there, and has fewer
RELEASES = "abcd"  # one more than a workload has rollouts
RECORDED = 0.5  # an event counts if more than this share of its buckets has a value


@dataclass(frozen=True, eq=False, slots=True)
class _Column:
    """One series; arrays (T,), ``values`` with events and gaps."""

    info: SeriesInfo
    pods: tuple[tuple[int, str], ...]
    values: Floats
    ordinary: Floats
    events: list[Event]
    benign: list[Benign]


def generate(settings: Settings) -> Fleet:
    """Make the fleet of these settings; ``events_a_series_month`` are tried, some find no place."""
    rng = np.random.default_rng([settings.seed, STREAM])
    grid = Grid(int(settings.weeks * 7 * DAY_S / settings.span_s), settings.span_s)
    columns: list[_Column] = []
    for number in range(settings.workloads):
        workload = build(rng, grid, number=number)
        node = f"n{number % settings.nodes}"
        for slot in range(workload.slots):
            pod = replica(rng, grid, workload)
            for metric in METRICS:
                shape = pod.habit if metric == MEMORY else workload.shape
                info = SeriesInfo(metric, "ns", workload.name, "Deployment", slot, node, shape)
                column = _column(
                    rng,
                    settings,
                    grid=grid,
                    workload=workload,
                    pod=pod,
                    info=info,
                    place=len(columns),
                )
                columns.append(column)
    return Fleet(
        settings=settings,
        start_s=START_S,
        series=tuple(column.info for column in columns),
        values=np.column_stack([column.values for column in columns]),
        ordinary=np.column_stack([column.ordinary for column in columns]),
        pods=tuple(column.pods for column in columns),
        events=tuple(event for column in columns for event in column.events),
        benign=tuple(each for column in columns for each in column.benign),
    )


def _column(
    rng: np.random.Generator,
    settings: Settings,
    *,
    grid: Grid,
    workload: Workload,
    pod: Pod,
    info: SeriesInfo,
    place: int,
) -> _Column:
    """Make one series, the ``place``-th of the fleet."""
    ordinary = usage(rng, workload, pod, metric=info.metric)
    values = ordinary.copy()
    events = befall(
        rng, settings, grid=grid, workload=workload, metric=info.metric, place=place, values=values
    )
    rollouts = [Benign(place, "rollout", at, at) for at in workload.rollouts]
    gaps = _gaps(rng, grid, place=place, values=values)
    births = zip((0, *workload.rollouts), RELEASES, strict=False)
    pods = tuple((at, f"{workload.name}-{release}-{info.slot}") for at, release in births)
    return _Column(info, pods, values, ordinary, recorded(events, values), rollouts + gaps)


def _gaps(rng: np.random.Generator, grid: Grid, *, place: int, values: Floats) -> list[Benign]:
    """Take single samples out of ``values`` and, in one series of ten, up to 20 hours at once."""
    values[rng.random(grid.rows) < 0.001] = np.nan
    if rng.random() >= 0.1:
        return []
    first = int(rng.integers(0, grid.rows - 50))
    stop = min(first + grid.buckets(rng.uniform(1, 20)), grid.rows)
    values[first:stop] = np.nan
    return [Benign(place, "gap", first, stop - 1)]


def recorded(events: list[Event], values: Floats) -> list[Event]:
    """Leave out events that fell into a gap, and take what is left of them out of ``values``.

    A detector that finds the rest of one would otherwise be charged with a false episode.
    """
    kept = []
    for event in events:
        inside = values[event.first : event.last + 1]
        if np.isfinite(inside).mean() > RECORDED:
            kept.append(event)
        else:
            inside[:] = np.nan
    return kept
