"""Labelled trouble: what goes wrong in a workload, where, when, and how large it is.

A trouble turns stretches of some of a workload's arrays into factors (T,) on what would have been
there. Its size is not chosen but measured, see ``grading``: the same factor is huge in a calm
series and nothing in a bursty one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import Floats
from benchmarks.fleet.model import (
    AFTERMATH_BUCKETS,
    MEMORY,
    NETWORK_IN,
    NETWORK_OUT,
    EventKind,
    Settings,
)
from benchmarks.fleet.noise import DAY_S, HOUR_S
from benchmarks.fleet.workloads import Workload

KINDS = tuple(EventKind)
CLEARANCE_S = 12 * HOUR_S  # no restart this long before a trouble, nor within it
STEP_EVENT_S = DAY_S  # a step is to be found within a day,
STEP_ACCEPTED_S = 3 * DAY_S  # and to be accepted within three
APART_S = 5 * DAY_S
TRIES = 30
NIGHT_S = 5 * HOUR_S


@dataclass(frozen=True, eq=False)
class Trouble:
    """One incident of one workload before it is graded."""

    kind: EventKind
    metrics: tuple[str, ...]
    slots: tuple[int, ...]
    first: int
    last: int
    ignored_until: int
    factor: Floats  # (T,), 1 where nothing is wrong
    lasting: bool = False  # what follows is the new ordinary


def schedule(
    rng: np.random.Generator, settings: Settings, times_s: Floats, workload: Workload
) -> list[Trouble]:
    """Incidents of a workload: apart from each other and from its restarts."""
    rows, slots = len(times_s), len(workload.nodes)
    months = (times_s[-1] - times_s[0]) / (30 * DAY_S)
    wanted = rng.poisson(settings.events_a_series_month * 3 * months)
    start = int(settings.quiet_weeks * 7 * DAY_S / settings.span_s)
    taken: list[tuple[int, int]] = []
    troubles: list[Trouble] = []
    for _ in range(wanted):
        kind = KINDS[int(rng.integers(len(KINDS)))]
        for _ in range(TRIES):
            slot = int(rng.integers(slots))
            first = _moment(rng, kind, times_s, start=start, span_s=settings.span_s)
            trouble = _make(rng, settings, times_s, workload, kind=kind, slot=slot, first=first)
            if trouble is not None and _free(trouble, taken, workload, settings.span_s, rows):
                taken.append((trouble.first, trouble.ignored_until))
                troubles.append(trouble)
                break
    return sorted(troubles, key=lambda trouble: trouble.first)


def _moment(
    rng: np.random.Generator, kind: EventKind, times_s: Floats, *, start: int, span_s: float
) -> int:
    """Some bucket, for some kinds within the first hours of a day."""
    first = int(rng.integers(start, len(times_s)))
    if kind in {EventKind.EXFILTRATION, EventKind.WRONG_HOUR}:
        first -= round((times_s[first] % DAY_S) / span_s)
        first += int(rng.uniform(0.0, NIGHT_S) / span_s)
    return min(max(first, start), len(times_s) - 1)


def _free(
    trouble: Trouble, taken: list[tuple[int, int]], workload: Workload, span_s: float, rows: int
) -> bool:
    """Whether a trouble fits: within the data, apart from others, in pods that live through it."""
    apart, clear = int(APART_S / span_s), int(CLEARANCE_S / span_s)
    if trouble.ignored_until >= rows:
        return False
    if any(
        trouble.first <= last + apart and first <= trouble.ignored_until + apart
        for first, last in taken
    ):
        return False
    return not any(
        trouble.first - clear <= at <= trouble.last + clear
        for slot in trouble.slots
        for at in workload.restarts[slot]
    ) and all(trouble.first > workload.restarts[slot][0] + clear for slot in trouble.slots)


def _make(
    rng: np.random.Generator,
    settings: Settings,
    times_s: Floats,
    workload: Workload,
    *,
    kind: EventKind,
    slot: int,
    first: int,
) -> Trouble | None:
    """Draw one trouble of a kind; None where the workload cannot have it."""
    rows, span_s = len(times_s), settings.span_s
    everyone = tuple(range(len(workload.nodes)))
    one = (slot,)
    traffic = (NETWORK_IN, NETWORK_OUT)

    def buckets(low_s: float, high_s: float) -> int:
        return max(1, round(np.exp(rng.uniform(np.log(low_s), np.log(high_s))) / span_s))

    def trouble(
        metrics: tuple[str, ...], slots: tuple[int, ...], length: int, worth: Floats | float
    ) -> Trouble:
        factor = np.ones(rows)
        stop = min(first + length, rows)
        factor[first:stop] = worth if np.isscalar(worth) else worth[: stop - first]
        return Trouble(kind, metrics, slots, first, stop - 1, stop - 1 + AFTERMATH_BUCKETS, factor)

    due = workload.outward_due[:, slot]
    day = max(1, round(DAY_S / span_s))
    around = due[max(first - day // 2, 0) : first + day // 2]
    place = float(np.mean(around < due[first]))  # 0 the calmest time of the day, 1 the busiest
    rhythmic = np.nanmax(around) > 1.6 * np.nanmin(around)
    night = (times_s[first] % DAY_S) < NIGHT_S
    match kind:
        case EventKind.LEAK:
            length = buckets(6 * HOUR_S, 4 * DAY_S)
            slots = one if rng.uniform() < 0.6 else everyone
            ramp = 1.0 + rng.lognormal(-0.7, 0.8) * np.arange(1, length + 1) / length
            return trouble((MEMORY,), slots, length, ramp)
        case EventKind.STEP:
            return _step(rng, workload, span_s=span_s, slot=slot, first=first, rows=rows)
        case EventKind.SURGE:
            return trouble(
                traffic, everyone, buckets(HOUR_S, 6 * HOUR_S), 1 + rng.lognormal(1.0, 0.7)
            )
        case EventKind.SPIKE:
            if rng.uniform() < 0.4:
                worth = 1 + rng.lognormal(-0.3, 0.7)
                return trouble((MEMORY,), one, int(rng.integers(1, 3)), worth)
            slots = one if rng.uniform() < 0.5 else everyone
            return trouble(traffic, slots, int(rng.integers(1, 3)), 1 + rng.lognormal(1.4, 0.7))
        case EventKind.WRONG_HOUR if rhythmic and place < 0.3:
            length = buckets(HOUR_S, 4 * HOUR_S)
            level = np.nanmax(around) * rng.uniform(0.6, 1.1)
            return trouble(traffic, everyone, length, level / due[first : first + length])
        case EventKind.MISSING if place > 0.4 or not rhythmic:
            return trouble(traffic, everyone, buckets(HOUR_S, 6 * HOUR_S), rng.uniform(0.0, 0.35))
        case EventKind.EXFILTRATION if night:
            length = buckets(HOUR_S, 4 * HOUR_S)
            extra = np.nanmean(around) * rng.lognormal(0.5, 0.8)
            return trouble((NETWORK_OUT,), one, length, 1 + extra / due[first : first + length])
        case _:
            return None


def _step(
    rng: np.random.Generator, workload: Workload, *, span_s: float, slot: int, first: int, rows: int
) -> Trouble:
    """A lasting change that no rollout explains: memory goes up, traffic up or down."""
    everyone = tuple(range(len(workload.nodes)))
    if rng.uniform() < 0.5:
        metrics: tuple[str, ...] = (MEMORY,)
        slots = (slot,) if rng.uniform() < 0.5 else everyone
        change = 1.0 + rng.lognormal(-0.8, 0.6)
    else:
        metrics, slots = (NETWORK_IN, NETWORK_OUT), everyone
        change = 1.0 + rng.lognormal(0.2, 0.6)
        change = change if rng.uniform() < 0.6 else 1.0 / (1.0 + change)
    factor = np.ones(rows)
    factor[first:] = change
    return Trouble(
        EventKind.STEP,
        metrics,
        slots,
        first,
        first + max(1, round(STEP_EVENT_S / span_s)) - 1,
        first + round(STEP_ACCEPTED_S / span_s),
        factor,
        lasting=True,
    )
