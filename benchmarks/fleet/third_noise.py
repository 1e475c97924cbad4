"""Ordinary randomness in the third fleet: chance of traffic, and saw-teeth of collected memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import lfilter

from benchmarks.datasets import Floats
from benchmarks.fleet.noise import DAY_S, HOUR_S

STYLES = {"normal": 0.4, "t": 0.25, "lognormal": 0.2, "pareto": 0.15}
REFERENCE_SPAN_S = 900.0  # bucket span for which spreads are told; shorter buckets spread more
MOST_HEIGHT = 40.0  # of a burst, as a factor
BURST_S = 600.0  # mean length


def wander(
    rng: np.random.Generator, rows: int, *, memory_buckets: float, columns: int = 1
) -> Floats:
    """AR(1) noise of standard deviation 1, settled from its first bucket, (T, columns)."""
    rho = np.exp(-1 / max(memory_buckets, 1e-3))
    shocks = rng.normal(size=(rows, columns)) * np.sqrt(1 - rho * rho)
    shocks[0] = rng.normal(size=columns)
    wandering: Floats = lfilter([1.0], [1.0, -rho], shocks, axis=0)
    return wandering


def traffic_chance(
    rng: np.random.Generator, style: str, *, rows: int, span_s: float, columns: int
) -> Floats:
    """Chance factors of a workload's replicas, median about 1, (T, columns).

    A day's mood and slow drift are shared by the replicas, the rest is each one's own.
    """
    finer = (REFERENCE_SPAN_S / span_s) ** 0.25
    mood = rng.uniform(0.015, 0.05) * wander(rng, rows, memory_buckets=DAY_S / span_s)
    shared = rng.uniform(0.02, 0.08) * wander(
        rng, rows, memory_buckets=rng.uniform(0.3, 4) * HOUR_S / span_s
    )
    own = rng.uniform(0.02, 0.06) * wander(
        rng, rows, memory_buckets=rng.uniform(0.2, 2) * HOUR_S / span_s, columns=columns
    )
    factor: Floats = np.exp(shared + own) * np.exp(mood)
    spread = rng.uniform(0.03, 0.12) * finer
    match style:
        case "normal":
            factor = factor * np.exp(spread * rng.normal(size=(rows, columns)))
        case "t":
            freedom = rng.uniform(3, 5)
            shocks = spread * rng.standard_t(freedom, size=(rows, columns))
            factor = factor * np.exp(np.clip(shocks, -3, 3))
        case "lognormal":
            spread = rng.uniform(0.3, 0.6) * finer
            slow = wander(rng, rows, memory_buckets=0.7 * HOUR_S / span_s, columns=columns)
            shocks = 0.5 * slow + 0.87 * rng.normal(size=(rows, columns))
            factor = factor * np.exp(spread * shocks)
        case _:
            factor = factor * np.exp(spread * rng.normal(size=(rows, columns)))
            _burst(rng, factor, span_s=span_s)
    return factor


def _burst(rng: np.random.Generator, factor: Floats, *, span_s: float) -> None:
    """Put bursts of Pareto heights on a calm ground, each column's own."""
    rows, columns = factor.shape
    rate, tail = rng.uniform(0.15, 2.0) / DAY_S * span_s, rng.uniform(2.2, 3.2)
    least = rng.uniform(0.3, 1.0)
    for column in range(columns):
        for at in np.flatnonzero(rng.random(rows) < rate):
            length = 1 + int(rng.exponential(BURST_S) / span_s)
            height = min(least * (1 + rng.pareto(tail)), MOST_HEIGHT)
            factor[at : at + length, column] *= 1 + height


def sawtooth(
    rng: np.random.Generator,
    rows: int,
    *,
    span_s: float,
    period_h: tuple[float, float],
    births: Sequence[int],
) -> Floats:
    """Garbage collection: teeth that rise to about 1 and fall at once, (T,).

    Teeth differ in length and height, and begin anew at every birth (a bucket).
    """
    teeth = np.zeros(rows)
    period = rng.uniform(*period_h) * HOUR_S / span_s  # buckets
    starts = sorted({0, *(birth for birth in births if 0 < birth < rows)})
    for since, stop in zip(starts, [*starts[1:], rows], strict=True):
        # At the fleet's begin the first tooth is already under way.
        at = since - (rng.uniform(0, period) if since == 0 else 0)
        while at < stop:
            length = max(period * np.exp(rng.normal(0, 0.15)), 1.0)
            first, last = int(max(np.ceil(at), since)), int(min(np.ceil(at + length), stop))
            top = 1 + rng.normal(0, 0.06)
            if last > first:
                risen = (np.arange(first, last) + 1 - at) / length
                teeth[first:last] = top * np.minimum(risen, 1.0)
            at += length
    return teeth
