"""Ordinary randomness: what a fleet's series do when nothing is wrong."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from benchmarks.datasets import Floats

DAY_S = 86400.0
WEEK_S = 7 * DAY_S
HOUR_S = 3600.0


def autoregressive(
    rng: np.random.Generator, rows: int, *, sigma: float, memory_s: float, span_s: float
) -> Floats:
    """AR(1) noise of standard deviation ``sigma`` whose correlation fades over ``memory_s``."""
    rho = float(np.exp(-span_s / memory_s))
    shocks = rng.normal(0.0, sigma * np.sqrt(1.0 - rho**2), rows)
    shocks[0] = rng.normal(0.0, sigma)
    return lfilter([1.0], [1.0, -rho], shocks)


def bursts(
    rng: np.random.Generator, rows: int, *, a_day: float, tail: float, size: float, span_s: float
) -> Floats:
    """Factors >= 1 of heavy-tailed bursts: Pareto heights, minutes to an hour long."""
    factor = np.ones(rows)
    count = rng.poisson(a_day * rows * span_s / DAY_S)
    for at in rng.integers(0, rows, count):
        length = max(1, round(rng.exponential(1200.0) / span_s))
        height = min(size * (rng.pareto(tail) + 0.1), 40.0)
        factor[at : at + length] = np.maximum(factor[at : at + length], 1.0 + height)
    return factor


def daily_shape(rng: np.random.Generator) -> Floats:
    """A random smooth day as 96 factors around 1: one or two humps, a trough at night."""
    hour = np.arange(96) / 4.0
    peak = rng.normal(14.0, 2.0)
    shape = 1.0 + rng.uniform(0.3, 0.85) * np.cos((hour - peak) * 2 * np.pi / 24)
    shape += rng.uniform(0.0, 0.25) * np.cos((hour - peak - rng.uniform(0, 12)) * 4 * np.pi / 24)
    shape = np.maximum(shape, 0.08)
    return shape / shape.mean()


def rhythm(times_s: Floats, day: Floats, *, weekend: float, clock_change_s: float) -> Floats:
    """Factor of the time of the week; the clock goes an hour on at ``clock_change_s``."""
    local = times_s + HOUR_S * (times_s >= clock_change_s)
    place = (local % DAY_S) / DAY_S * len(day)
    low = place.astype(int) % len(day)
    part = place - np.floor(place)
    factor = day[low] * (1 - part) + day[(low + 1) % len(day)] * part
    # 1 January 1970 was a Thursday: days 2 and 3 of the epoch's week are the weekend.
    weekday = (local // DAY_S).astype(int) % 7
    return factor * np.where((weekday == 2) | (weekday == 3), weekend, 1.0)


def job(
    rng: np.random.Generator,
    times_s: Floats,
    *,
    hour: float,
    length_s: float,
    weekday: int | None,
) -> Floats:
    """Share 0..1 of a nightly (or weekly) job running in each bucket; a jitter of minutes."""
    span_s = times_s[1] - times_s[0]
    running = np.zeros(len(times_s))
    first_day = int(times_s[0] // DAY_S)
    for day in range(first_day, int(times_s[-1] // DAY_S) + 1):
        if weekday is not None and day % 7 != weekday:
            continue
        start = day * DAY_S + hour * HOUR_S + rng.normal(0.0, 120.0)
        end = start + length_s * rng.lognormal(0.0, 0.08)
        overlap = np.minimum(times_s + span_s, end) - np.maximum(times_s, start)
        running += np.clip(overlap / span_s, 0.0, 1.0)
    return np.minimum(running, 1.0)


def usual(times_s: Floats, running: Floats) -> Floats:
    """How much of a job runs at each time of the week on average: what can be known of it."""
    span_s = times_s[1] - times_s[0]
    place = (times_s % WEEK_S // span_s).astype(int)
    places = int(WEEK_S // span_s) + 1
    total = np.bincount(place, running, places)
    return (total / np.maximum(np.bincount(place, minlength=places), 1))[place]


def sawtooth(
    rng: np.random.Generator, rows: int, *, period_s: float, jitter: float, span_s: float
) -> Floats:
    """Garbage collection: rises 0..1, falls at once, each tooth of a different length."""
    teeth = np.zeros(rows)
    at, phase = 0.0, rng.uniform()
    while at < rows:
        length = max(period_s * rng.lognormal(0.0, jitter) / span_s, 0.25)
        first, last = int(np.ceil(at - phase * length)), at + (1 - phase) * length
        places = np.arange(max(first, 0), min(int(np.ceil(last)), rows))
        teeth[places] = (places - (at - phase * length)) / length
        at, phase = last, 0.0
    return np.clip(teeth, 0.0, 1.0)
