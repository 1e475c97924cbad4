"""Who lives when in the third fleet: workloads, their pods, rollouts and scale-outs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.fleet.model import Settings
from benchmarks.fleet.noise import DAY_S, HOUR_S
from benchmarks.fleet.third_grid import Grid

NAMESPACES = ("shop", "pay", "data", "infra")
ROLES = (
    *("web",) * 5,
    *("api",) * 4,
    *("worker",) * 3,
    *("db",) * 3,
    *("cache",) * 2,
    *("batch",) * 2,
    "idle",
)
MORE_ROLES = ("web", "api", "worker")  # in fleets with more workloads than ROLES
REPLICAS = (1, 2, 2, 3, 3, 4, 5, 8)
LETTERS = tuple("bcdfghjklmnpqrstvwxz2456789")  # of which pods' names end
BEGUN_S = 60.0  # from a rollout until its first new pod


@dataclass(frozen=True, slots=True)
class Rollout:
    """A new version, and by what factors its memory and its traffic differ."""

    at_s: float
    memory: float
    traffic: float


@dataclass(frozen=True, slots=True)
class Scaling:
    """More replicas for a while; ``last_s`` lies after the fleet's end where they stay."""

    first_s: float
    last_s: float
    few: int
    many: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A replica slot: who held it since when, and when nobody did."""

    node: str
    lives: list[tuple[float, str]]  # since when, in seconds, and the pod's name; oldest first
    absent: tuple[tuple[float, float], ...]  # from, until


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload over the whole time; a leak's restart still adds to its slots' lives."""

    name: str
    namespace: str
    role: str
    replicas: int
    rollouts: tuple[Rollout, ...]
    scaling: Scaling | None
    slots: tuple[Slot, ...]

    @property
    def kind(self) -> str:
        """Kubernetes' name for what it is."""
        return "StatefulSet" if self.role == "db" else "Deployment"

    def turns(self, end_s: float) -> list[float]:
        """Moments of a scale-out and of its end, those before ``end_s``."""
        if self.scaling is None:
            return []
        return [at for at in (self.scaling.first_s, self.scaling.last_s) if at < end_s]


def populate(rng: np.random.Generator, settings: Settings, *, grid: Grid) -> list[Workload]:
    """Draw all workloads of a fleet."""
    roles = list(ROLES)
    while len(roles) < settings.workloads:
        roles.append(str(rng.choice(MORE_ROLES)))
    return [
        _workload(rng, settings, grid=grid, role=role, number=number)
        for number, role in enumerate(roles[: settings.workloads])
    ]


def new_name(rng: np.random.Generator, workload: str) -> str:
    """Name of a Deployment's new pod."""
    return f"{workload}-{''.join(rng.choice(LETTERS, 5))}"


def _workload(
    rng: np.random.Generator, settings: Settings, *, grid: Grid, role: str, number: int
) -> Workload:
    # All are drawn, whatever the role: which role it is shifts no later draw.
    counts = {"db": 1 + 2 * int(rng.random() < 0.5), "batch": int(rng.integers(1, 3)), "idle": 1}
    usual = int(rng.choice(REPLICAS))
    replicas = counts.get(role, usual)
    name = f"{role}-{number}"
    scaling = _scaling(rng, settings, grid=grid, role=role, replicas=replicas)
    rollouts = _rollouts(rng, settings, grid=grid, role=role, scaling=scaling)
    slots = [
        _slot(
            rng,
            settings,
            grid=grid,
            number=place,
            workload=name,
            lasting=role == "db",
            extra=scaling if place >= replicas else None,
            rollouts=rollouts,
        )
        for place in range(replicas if scaling is None else scaling.many)
    ]
    namespace = NAMESPACES[number % len(NAMESPACES)]
    return Workload(name, namespace, role, replicas, rollouts, scaling, tuple(slots))


def _scaling(
    rng: np.random.Generator, settings: Settings, *, grid: Grid, role: str, replicas: int
) -> Scaling | None:
    if replicas < 2 or role == "db" or rng.random() >= 0.35:
        return None
    first_s = grid.start_s + rng.uniform(9, settings.weeks * 7 - 8) * DAY_S
    never_s = grid.end_s + 1
    last_s = first_s + rng.uniform(1.5, 12) * DAY_S if rng.random() < 0.6 else never_s
    more = max(1, round(replicas * rng.uniform(0.25, 0.6)))
    return Scaling(first_s, min(last_s, never_s), replicas, replicas + more)


def _rollouts(
    rng: np.random.Generator, settings: Settings, *, grid: Grid, role: str, scaling: Scaling | None
) -> tuple[Rollout, ...]:
    """Draw rollouts by day, a day and more from each other and from scaling."""
    count = rng.poisson(0.8 if role == "db" else 2.2)
    drawn = np.sort(grid.start_s + rng.uniform(2, settings.weeks * 7 - 0.5, size=count) * DAY_S)
    turns = () if scaling is None else (scaling.first_s, scaling.last_s)
    kept = [
        at_s
        for place, at_s in enumerate(drawn)
        if (place == 0 or at_s - drawn[place - 1] > 1.5 * DAY_S)
        and all(abs(at_s - turn_s) > DAY_S for turn_s in turns)
    ]
    by_day = [np.floor(at_s / DAY_S) * DAY_S + rng.uniform(8, 17) * HOUR_S for at_s in kept]
    return tuple(
        Rollout(
            at_s=float(at_s),
            memory=rng.uniform(0.88, 1.22) if rng.random() < 0.45 else 1.0,
            traffic=rng.uniform(0.85, 1.2) if rng.random() < 0.15 else 1.0,
        )
        for at_s in by_day
    )


def _slot(
    rng: np.random.Generator,
    settings: Settings,
    *,
    grid: Grid,
    number: int,
    workload: str,
    lasting: bool,
    extra: Scaling | None,
    rollouts: tuple[Rollout, ...],
) -> Slot:
    """Draw a slot's pods; a ``lasting`` name outlives rollouts, ``extra`` is when it is needed."""

    def named() -> str:
        return f"{workload}-{number}" if lasting else new_name(rng, workload)

    born_s, absent = grid.start_s, []
    if extra is not None:
        born_s = extra.first_s
        absent = [(grid.start_s - 1, born_s)]
        if extra.last_s < grid.end_s:
            absent.append((extra.last_s, grid.end_s + 1))
    lives = [(born_s, named())]
    for rollout in rollouts:
        # A rollout replaces one pod after the other.
        at_s = rollout.at_s + BEGUN_S + number * rng.uniform(60, 240)
        if not any(first_s <= at_s < last_s for first_s, last_s in absent):
            lives.append((at_s, named()))
    return Slot(f"node-{rng.integers(settings.nodes)}", lives, tuple(absent))
