"""Calibration: on ordinary data a probability of 1 in 1000 must come once in 1000 buckets.

Four kinds of ordinary life, at least a million buckets each after the warm-up, none of it
anomalous.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import Ours
from benchmarks.fleet import noise

SPAN_S = 900.0
WARM_UP_S = 21 * noise.DAY_S
DECADES = (1, 2, 3, 4)
START_S = 1_735_689_600.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """Result for one kind; ``shares[k]`` is the share of buckets with p < 10**-k."""

    kind: str
    buckets: int
    shares: dict[int, float]
    coverage: float
    flagged: dict[float, float]  # score mark -> share of buckets at or above
    log10_p: Floats  # sorted, for the probability plot
    by_series: Floats  # ratio at k = 2 per series: is one bad series behind it?


def flat(rng: np.random.Generator, times_s: Floats) -> Floats:
    """A level and white or short-memory noise; normal, gamma or log-normal."""
    rows = len(times_s)
    level = 10 ** rng.uniform(1, 7)
    family = rng.integers(3)
    if family == 0:
        return level * (1 + rng.uniform(0.002, 0.1) * rng.normal(size=rows))
    if family == 1:
        shape = rng.uniform(2, 30)
        return level * rng.gamma(shape, 1 / shape, rows)
    wiggle = noise.autoregressive(
        rng, rows, sigma=rng.uniform(0.05, 0.5), memory_s=rng.uniform(300, 3600), span_s=SPAN_S
    )
    return level * np.exp(wiggle)


def rhythmic(rng: np.random.Generator, times_s: Floats) -> Floats:
    """Days and weekends times log-normal noise with a memory."""
    week = noise.rhythm(
        times_s, noise.daily_shape(rng), weekend=rng.uniform(0.3, 1.0), clock_change_s=np.inf
    )
    wiggle = noise.autoregressive(
        rng,
        len(times_s),
        sigma=rng.uniform(0.03, 0.25),
        memory_s=rng.uniform(300, 7200),
        span_s=SPAN_S,
    )
    return 10 ** rng.uniform(3, 7) * week * np.exp(wiggle)


def bursty(rng: np.random.Generator, times_s: Floats) -> Floats:
    """Log-normal AR(1) with Pareto bursts several times a day; half of them with a rhythm."""
    rows = len(times_s)
    base = rhythmic(rng, times_s) if rng.uniform() < 0.5 else flat(rng, times_s)
    return np.abs(base) * noise.bursts(
        rng,
        rows,
        a_day=rng.uniform(2, 10),
        tail=rng.uniform(1.8, 3.5),
        size=rng.uniform(0.2, 1.0),
        span_s=SPAN_S,
    )


def growing(rng: np.random.Generator, times_s: Floats) -> Floats:
    """Growth of a tenth to a doubling a month, with or without a rhythm."""
    base = rhythmic(rng, times_s) if rng.uniform() < 0.5 else np.abs(flat(rng, times_s))
    month = (times_s - times_s[0]) / (30 * noise.DAY_S)
    rate = rng.uniform(0.1, 1.0)
    return base * ((1 + rate * month) if rng.uniform() < 0.5 else (1 + rate) ** month)


KINDS = {"flat": flat, "rhythmic": rhythmic, "bursty": bursty, "growing": growing}


def sample(kind: str, *, series: int, days: float, seed: int) -> tuple[Floats, Floats]:
    """Times (T,) and values (T, series) of one kind of ordinary life."""
    times_s = START_S + SPAN_S * np.arange(round(days * noise.DAY_S / SPAN_S))
    make = KINDS[kind]
    columns = [make(np.random.default_rng([seed, i]), times_s) for i in range(series)]
    return times_s, np.column_stack(columns)


def calibrate(
    kind: str, *, series: int = 200, days: float = 77.0, seed: int = 7, side: Side = Side.BOTH
) -> Calibration:
    """Run the engine over ordinary data and compare its probabilities with what happened."""
    times_s, values = sample(kind, series=series, days=days, seed=seed)
    columns = Ours().columns(times_s, values, side=side)
    late = times_s - times_s[0] >= min(WARM_UP_S, (times_s[-1] - times_s[0]) / 2)
    log10_p = columns.log_p[late] / np.log(10.0)
    judged = np.isfinite(log10_p)
    inside = (values >= columns.lower) & (values <= columns.upper)
    pooled = np.sort(log10_p[judged])
    score = columns.score[late]
    return Calibration(
        kind=kind,
        buckets=len(pooled),
        shares={k: float(np.searchsorted(pooled, -k, "left")) / len(pooled) for k in DECADES},
        coverage=float(inside[late][judged].mean()),
        flagged={mark: float((score >= mark).mean()) for mark in (3.0, 25.0, 50.0, 75.0)},
        log10_p=pooled,
        by_series=np.nanmean(np.where(judged, log10_p < -2, np.nan), axis=0) * 100.0,
    )
