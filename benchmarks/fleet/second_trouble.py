"""Labelled trouble in the second fleet: each event in one series, far from any other.

Shares nothing with ``trouble`` and ``grading``, see ``second``; sizes are told in another unit.
"""

from __future__ import annotations

import numpy as np

from benchmarks.datasets import Bools, Floats
from benchmarks.fleet.model import AFTERMATH_BUCKETS, MEMORY, Event, EventKind, Settings
from benchmarks.fleet.second_life import Grid, Workload

MEMORY_TROUBLES = (EventKind.LEAK, EventKind.STEP, EventKind.SPIKE)
TRAFFIC_TROUBLES = {
    EventKind.STEP: 0.12,
    EventKind.SURGE: 0.25,
    EventKind.SPIKE: 0.25,
    EventKind.WRONG_HOUR: 0.18,
    EventKind.MISSING: 0.2,
}
HALF_RANGE = 0.995  # quantile of ordinary distances that makes the unit of size
LEAST = 1e-3  # no series is calmer than this


def befall(
    rng: np.random.Generator,
    settings: Settings,
    *,
    grid: Grid,
    workload: Workload,
    metric: str,
    place: int,
    values: Floats,
) -> list[Event]:
    """Put events into ``values``, a day and more apart, none in the quiet days or the last day."""
    unit = half_range(values, np.ones(grid.rows) if metric == MEMORY else workload.due)
    free = np.ones(grid.rows, bool)
    free[: round(settings.quiet_weeks * 7 * grid.day)] = False
    free[-grid.day :] = False
    events = []
    for _ in range(rng.poisson(settings.events_a_series_month * settings.weeks * 7 / 30)):
        kind, first, length = _incident(rng, grid, workload, metric=metric)
        if kind is EventKind.WRONG_HOUR and workload.shape != "web":
            continue  # without a rhythm there is no wrong hour
        if not _fits(first, length, free, grid.day):
            continue
        factor = _factor(rng, kind, length, metric=metric, due=workload.due, first=first)
        stop = first + length
        values[first:stop] *= factor
        after = grid.day // 2 if kind is EventKind.STEP else AFTERMATH_BUCKETS
        ignored_until = stop - 1 + after
        size = float(np.abs(np.log(factor)).max()) / unit
        events.append(Event(place, kind, first, stop - 1, ignored_until, size))
        free[first : ignored_until + 1] = False
    return events


def half_range(ordinary: Floats, due: Floats) -> float:
    """Ordinary half range: what an event's size is told in. Arrays (T,), positive.

    The quantile ``HALF_RANGE`` of the distances of ln(ordinary / due) from their median. Memory has
    no ``due`` but 1, so its rhythm, growth and rollouts are ordinary distances too.
    """
    away = np.log(ordinary / due)
    return max(float(np.quantile(np.abs(away - np.median(away)), HALF_RANGE)), LEAST)


def _incident(
    rng: np.random.Generator, grid: Grid, workload: Workload, *, metric: str
) -> tuple[EventKind, int, int]:
    """Kind, first bucket and length; a wrong hour is moved to where the day is calmest."""
    if metric == MEMORY:
        kind = MEMORY_TROUBLES[int(rng.choice(len(MEMORY_TROUBLES)))]
    else:
        shares = list(TRAFFIC_TROUBLES.values())
        kind = list(TRAFFIC_TROUBLES)[int(rng.choice(len(shares), p=shares))]
    # All are drawn, whatever the kind: which kind it is shifts no later draw.
    lengths = {
        EventKind.LEAK: grid.buckets(rng.uniform(6, 48)),
        EventKind.STEP: grid.buckets(rng.uniform(12, 36)),
        EventKind.SURGE: grid.buckets(rng.uniform(1, 6)),
        EventKind.SPIKE: int(rng.integers(1, 3)),
        EventKind.WRONG_HOUR: grid.buckets(rng.uniform(1, 4)),
        EventKind.MISSING: grid.buckets(rng.uniform(1, 8)),
    }
    length = max(lengths[kind], 1)
    first = int(rng.integers(0, grid.rows - length))
    if kind is EventKind.WRONG_HOUR:
        calmest = int((workload.peak + 0.5) % 1 * grid.day)
        first += calmest - length // 2 - first % grid.day
    return kind, first, length


def _fits(first: int, length: int, free: Bools, day: int) -> bool:
    """Whether an event and a day before and after it are within the data and free."""
    if first < 0 or first + length + day >= len(free):
        return False
    return bool(free[max(0, first - day) : first + length + day].all())


def _factor(
    rng: np.random.Generator,
    kind: EventKind,
    length: int,
    *,
    metric: str,
    due: Floats,
    first: int,
) -> Floats:
    """What each bucket of an event is multiplied by, (length,)."""
    match kind:
        case EventKind.LEAK:
            return 1.0 + rng.uniform(0.4, 2.0) * np.arange(1, length + 1) / length
        case EventKind.WRONG_HOUR:
            busiest: float = due.max()
            return busiest / due[first : first + length]
        case EventKind.STEP:
            worth = rng.uniform(1.4, 3.0)
        case EventKind.SURGE:
            worth = rng.uniform(2.0, 6.0)
        case EventKind.SPIKE:
            worth = rng.uniform(1.5, 3.0) if metric == MEMORY else rng.uniform(3.0, 12.0)
        case _:
            worth = rng.uniform(0.01, 0.3)
    return np.full(length, worth)
