"""Ordinary life of one workload: its traffic and its memory, slot by slot.

Every series is ``due + spread``: ``due`` is what the makers of the workload would call expected at
that time, the rest is chance. Both are kept, so that an event's size can be told in units of
chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import Floats
from benchmarks.fleet import noise
from benchmarks.fleet.model import Benign, Settings

SHAPES = ("web", "web", "api", "worker", "batch", "database", "agent", "bursty")
KIND_OF = {"database": "StatefulSet", "agent": "DaemonSet", "batch": "StatefulSet"}
MIB = 2.0**20


@dataclass(eq=False)
class Workload:
    """One workload's ordinary series; arrays (T, slots).

    ``*_chance`` is actual over due without what jobs do: the part that knows no time of day.
    """

    namespace: str
    name: str
    kind: str
    shape: str
    nodes: list[str]
    pods: list[list[tuple[int, str]]]
    memory: Floats
    memory_due: Floats
    memory_chance: Floats
    inward: Floats
    inward_due: Floats
    inward_chance: Floats
    outward: Floats
    outward_due: Floats
    outward_chance: Floats
    benign: list[Benign]  # ``series`` is the slot here
    restarts: list[list[int]]


def build(
    rng: np.random.Generator, settings: Settings, times_s: Floats, *, number: int
) -> Workload:
    """Make one workload of a random shape."""
    shape = str(rng.choice(SHAPES))
    slots = settings.nodes if shape == "agent" else int(rng.integers(1, 7))
    rows = len(times_s)
    nodes = [
        f"node-{(i if shape == 'agent' else int(rng.integers(settings.nodes)))}"
        for i in range(slots)
    ]
    workload = Workload(
        namespace=f"team-{number % 6}",
        name=f"{shape}-{number}",
        kind=KIND_OF.get(shape, "Deployment"),
        shape=shape,
        nodes=nodes,
        pods=[],
        memory=np.empty(0),
        memory_due=np.empty(0),
        memory_chance=np.empty(0),
        inward=np.empty(0),
        inward_due=np.empty(0),
        inward_chance=np.empty(0),
        outward=np.empty(0),
        outward_due=np.empty(0),
        outward_chance=np.empty(0),
        benign=[],
        restarts=[],
    )
    born = np.zeros(slots, int)
    share = np.ones((rows, slots))
    if workload.kind == "Deployment" and slots > 1 and rng.uniform() < 0.25:
        at = int(rows * rng.uniform(0.35, 0.9))
        born[-1] = at
        share[at:] *= (slots - 1) / slots
        workload.benign += [Benign(i, "scale_out", at, at) for i in range(slots)]
    level = np.ones((rows, slots))
    _rollouts(rng, settings, workload, born=born, level=level)
    _traffic(rng, times_s, workload, share=share, settings=settings)
    _memory(rng, times_s, workload, level=level, settings=settings)
    for slot in range(slots):
        for name in ("memory", "inward", "outward"):
            getattr(workload, name)[: born[slot], slot] = np.nan
    return workload


def _rollouts(
    rng: np.random.Generator,
    settings: Settings,
    workload: Workload,
    *,
    born: np.ndarray,
    level: Floats,
) -> None:
    """New releases: pods get new names one after the other, memory may need more or less."""
    rows, slots = level.shape
    weeks = rows * settings.span_s / noise.WEEK_S
    releases = np.sort(rng.integers(0, rows, rng.poisson(0.5 * weeks)))
    releases = releases[releases > 96]
    workload.restarts = [[int(born[slot])] for slot in range(slots)]
    for release in releases:
        need = rng.uniform(0.8, 1.3) if rng.uniform() < 0.5 else 1.0
        for slot in range(slots):
            at = int(release + slot * max(1, round(120.0 / settings.span_s)))
            level[max(at, born[slot]) :, slot] *= need
            if born[slot] < at < rows:
                workload.restarts[slot].append(at)
                workload.benign.append(Benign(slot, "rollout", at, at))
    for slot in range(slots):
        names = []
        for number, at in enumerate(workload.restarts[slot]):
            if workload.kind == "StatefulSet":
                name = f"{workload.name}-{slot}"
            elif workload.kind == "DaemonSet":
                name = f"{workload.name}-{_word(rng, 5)}"
            else:
                template = np.random.default_rng([settings.seed, number, len(workload.name)])
                name = f"{workload.name}-{_word(template, 9)}-{_word(rng, 5)}"
            names.append((at, name))
        workload.pods.append(names)


def _word(rng: np.random.Generator, letters: int) -> str:
    """Random letters as Kubernetes uses them in names."""
    return "".join(rng.choice(list("bcdfghjklmnpqrstvwxz2456789"), letters))


def _traffic(
    rng: np.random.Generator,
    times_s: Floats,
    workload: Workload,
    *,
    share: Floats,
    settings: Settings,
) -> None:
    """Network in and out, bytes a second: rhythm x growth x log-normal AR(1) x bursts + jobs."""
    rows, slots, span_s = len(times_s), len(workload.nodes), settings.span_s
    shape = workload.shape
    rhythmic = shape in {"web", "api", "bursty", "database"}
    day = noise.daily_shape(rng) if rhythmic else np.ones(96)
    clock_s = (
        times_s[0] + rng.uniform(0.4, 0.9) * (times_s[-1] - times_s[0])
        if rhythmic and rng.uniform() < 0.15
        else np.inf
    )
    if np.isfinite(clock_s):
        at = int((clock_s - times_s[0]) / span_s)
        stay = at + round(noise.WEEK_S / span_s)
        workload.benign += [Benign(i, "clock_change", at, stay) for i in range(slots)]
    weekend = rng.uniform(0.3, 1.0) if rhythmic else 1.0
    growth = np.exp(rng.choice([0.0, 0.0, 0.1, 0.25]) * (times_s - times_s[0]) / (30 * noise.DAY_S))
    level = 10 ** rng.uniform(3.5, 6.5)
    due = level * growth * noise.rhythm(times_s, day, weekend=weekend, clock_change_s=clock_s)
    running = np.zeros(rows)
    if shape in {"batch", "database"}:
        running = noise.job(
            rng,
            times_s,
            hour=rng.uniform(0, 6),
            length_s=rng.uniform(0.3, 2.0) * 3600,
            weekday=int(rng.integers(7)) if rng.uniform() < 0.3 else None,
        )
    shared = noise.autoregressive(
        rng, rows, sigma=rng.uniform(0.04, 0.2), memory_s=rng.uniform(900, 7200), span_s=span_s
    )
    heavy = noise.bursts(
        rng,
        rows,
        a_day={"bursty": 6.0, "api": 1.5, "worker": 3.0}.get(shape, 0.0),
        tail=rng.uniform(1.8, 3.0),
        size=rng.uniform(0.2, 0.6),
        span_s=span_s,
    )
    load = level * rng.uniform(2.0, 8.0)
    answer = rng.uniform(0.3, 6.0)
    base = (due + load * running)[:, None] * share
    expected = (due + load * noise.usual(times_s, running))[:, None] * share
    factors = np.empty((2, rows, slots))
    for way in range(2):
        for slot in range(slots):
            own = noise.autoregressive(
                rng, rows, sigma=rng.uniform(0.02, 0.12), memory_s=1200, span_s=span_s
            )
            factors[way, :, slot] = np.exp(shared + own) * heavy
    workload.inward_chance, workload.outward_chance = factors
    workload.inward, workload.inward_due = base * factors[0], expected
    workload.outward, workload.outward_due = answer * base * factors[1], answer * expected


def _memory(
    rng: np.random.Generator,
    times_s: Floats,
    workload: Workload,
    *,
    level: Floats,
    settings: Settings,
) -> None:
    """Working set in bytes: release level, garbage collection, traffic, cache warm-up, jobs."""
    rows, slots, span_s = len(times_s), len(workload.nodes), settings.span_s
    shape = workload.shape
    base = 2 ** rng.uniform(5.5, 11.5) * MIB
    teeth = rng.uniform(0.05, 0.4) if shape in {"web", "api", "worker"} else 0.0
    period_s = 10 ** rng.uniform(3.0, 4.8)
    by_traffic = rng.uniform(0.0, 0.3)
    warm_s = 10 ** rng.uniform(3.0, 5.3)
    cold = rng.uniform(0.3, 0.9) if shape in {"database", "api", "web"} else 0.95
    swell = rng.choice([0.0, 0.0, 0.03, 0.08])  # growth a month that is nobody's leak
    sigma = rng.uniform(0.002, 0.02)
    load = workload.inward / np.maximum(np.nanmean(workload.inward_due), 1e-9)
    smooth = _smoothed(np.minimum(load, 4.0), max(1, round(1800 / span_s)))
    due = np.empty((rows, slots))
    actual = np.empty((rows, slots))
    month = (times_s - times_s[0]) / (30 * noise.DAY_S)
    for slot in range(slots):
        age = times_s - times_s[_restart_before(rows, workload.restarts[slot])]
        warm = 1.0 - (1.0 - cold) * np.exp(-age / warm_s)
        steady = base * level[:, slot] * (1.0 + swell * month) * warm
        due[:, slot] = steady * (1.0 + by_traffic * smooth[:, slot] + teeth / 2.0)
        tooth = noise.sawtooth(rng, rows, period_s=period_s, jitter=0.3, span_s=span_s)
        wiggle = noise.autoregressive(rng, rows, sigma=sigma, memory_s=7200, span_s=span_s)
        actual[:, slot] = due[:, slot] + steady * (teeth * (tooth - 0.5) + wiggle)
    workload.memory_chance = actual / due
    workload.memory_due = np.round(due / 4096) * 4096
    workload.memory = np.round(actual / 4096) * 4096


def _restart_before(rows: int, restarts: list[int]) -> np.ndarray:
    """Index of the last restart at or before each row."""
    last = np.zeros(rows, int)
    for at in restarts:
        last[at:] = at
    return last


def _smoothed(values: Floats, rows: int) -> Floats:
    """Mean of the last ``rows`` rows, column by column."""
    total = np.cumsum(np.vstack([np.zeros((1, values.shape[1])), values]), axis=0)
    first = np.maximum(np.arange(1, len(total)) - rows, 0)
    return (total[1:] - total[first]) / (np.arange(1, len(total)) - first)[:, None]
