"""What goes wrong in the third fleet, when and in which pods: drawn before any series is made."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from benchmarks.fleet.model import MEMORY, NETWORK_IN, NETWORK_OUT, EventKind, Settings
from benchmarks.fleet.noise import DAY_S, HOUR_S
from benchmarks.fleet.third_day import Course, Job
from benchmarks.fleet.third_grid import CLOCK_CHANGE_S, Grid
from benchmarks.fleet.third_life import Workload, new_name

KINDS = (
    EventKind.LEAK,
    EventKind.STEP,
    EventKind.SURGE,
    EventKind.SPIKE,
    EventKind.WRONG_HOUR,
    EventKind.MISSING,
    EventKind.EXFILTRATION,
)
BOTH_WAYS = (NETWORK_IN, NETWORK_OUT)
METRICS_OF = {
    EventKind.STEP: ((MEMORY,), (MEMORY,), (NETWORK_IN,), (NETWORK_OUT,), BOTH_WAYS),
    EventKind.SURGE: (BOTH_WAYS, (NETWORK_IN,), (NETWORK_OUT,)),
    EventKind.SPIKE: (BOTH_WAYS, (NETWORK_IN,), (NETWORK_OUT,), (MEMORY,)),
}
EVENTS_A_SERIES = 0.62  # labelled, in pods
MOST_TRIES = 4000
QUIET_DAYS = 10
YOUNG_DAYS = 5  # of some incidents: models are young then
APART_S = 2.5 * DAY_S  # between incidents in one slot


@dataclass(frozen=True, slots=True)
class Incident:
    """One trouble in one or all replicas of a workload."""

    kind: EventKind
    workload: int
    slots: tuple[int, ...]
    metrics: tuple[str, ...]
    first_s: float
    last_s: float
    deviations: float  # its height in local standard deviations, where the kind has one
    ratio: float = 1.5  # a leak's end as a factor; what is left of missing traffic
    lasting: bool = False  # a step that stays until the next rollout
    job_height: float | None = None  # of the job that runs at the wrong hour; else it is the day


@dataclass(frozen=True, slots=True)
class _Where:
    """What is drawn of an incident whatever its kind."""

    workload: int
    slots: tuple[int, ...]
    quiet_days: int
    at_s: float
    deviations: float


@dataclass(slots=True)
class Drawing:
    """The incidents drawn so far, and when which slot has its own."""

    rng: np.random.Generator
    settings: Settings
    grid: Grid
    workloads: list[Workload]
    courses: list[Course]
    jobs: list[tuple[Job, ...]]

    def draw(self) -> list[Incident]:
        """Draw incidents, the kinds in turn, until there is enough; leaks restart their pods."""
        wanted = EVENTS_A_SERIES * sum(workload.replicas for workload in self.workloads) * 3
        busy: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
        incidents: list[Incident] = []
        labelled = tries = 0
        while labelled < wanted and tries < MOST_TRIES:
            tries += 1
            where = self._where()
            if where is None:
                continue
            incident = self._incident(KINDS[len(incidents) % len(KINDS)], where)
            if incident is None or not self._fits(incident, where.quiet_days, busy):
                continue
            for slot in incident.slots:
                after_s = DAY_S if incident.lasting else 0
                busy[incident.workload, slot].append((incident.first_s, incident.last_s + after_s))
                if incident.kind is EventKind.LEAK:
                    self._restart(incident, slot)
            labelled += len(incident.slots) * len(incident.metrics)
            incidents.append(incident)
        return incidents

    def _where(self) -> _Where | None:
        """Draw where and when; None for most incidents of all replicas where these are many."""
        rng = self.rng
        number = int(rng.integers(len(self.workloads)))
        replicas = self.workloads[number].replicas
        everywhere = replicas > 1 and rng.random() < 0.3
        if everywhere and replicas > 4 and rng.random() < 0.6:
            return None
        slots = range(replicas) if everywhere else [int(rng.integers(replicas))]
        quiet_days = YOUNG_DAYS if rng.random() < 0.15 else QUIET_DAYS
        days = rng.uniform(quiet_days, self.settings.weeks * 7 - 1)
        usual = rng.random()
        least, most = (3, 12) if usual < 0.75 else (1, 3) if usual < 0.88 else (12, 25)
        at_s = self.grid.start_s + days * DAY_S
        return _Where(number, tuple(slots), quiet_days, at_s, rng.uniform(least, most))

    def _incident(self, kind: EventKind, where: _Where) -> Incident | None:
        """Draw the rest of an incident; None where its kind cannot happen."""
        if kind is EventKind.WRONG_HOUR:
            return self._wrong_hour(where)
        rng, span_s = self.rng, self.grid.span_s
        first_s, ratio, lasting = where.at_s, 1.5, False
        metrics: tuple[str, ...] = BOTH_WAYS
        if kind in METRICS_OF:
            choices = METRICS_OF[kind]
            metrics = choices[rng.integers(len(choices))]
        match kind:
            case EventKind.LEAK:
                metrics = (MEMORY,)
                length_s = np.exp(rng.uniform(np.log(4), np.log(72))) * HOUR_S
                ratio = rng.uniform(1.3, 2.0)
            case EventKind.STEP:
                lasting = rng.random() < 0.4
                length_s = (rng.uniform(3, 6) if lasting else rng.uniform(3, 20)) * HOUR_S
            case EventKind.SURGE:
                length_s = rng.uniform(0.5, 4) * HOUR_S
            case EventKind.SPIKE:
                start_s = self.grid.start_s
                first_s = start_s + np.floor((first_s - start_s) / span_s) * span_s
                length_s = rng.integers(1, 3) * span_s
            case EventKind.MISSING:
                length_s = rng.uniform(0.5, 6) * HOUR_S
                ratio = rng.choice([0, rng.uniform(0, 0.2)])
            case _:
                metrics = (NETWORK_OUT,)
                first_s = self._midnight(first_s) + rng.uniform(-2, 3) * HOUR_S
                length_s = rng.uniform(0.75, 5) * HOUR_S
        return Incident(
            kind=kind,
            workload=where.workload,
            slots=where.slots,
            metrics=metrics,
            first_s=first_s,
            last_s=first_s + length_s,
            deviations=where.deviations,
            ratio=ratio,
            lasting=lasting,
        )

    def _wrong_hour(self, where: _Where) -> Incident | None:
        """Run a job far from its hour, or the day's load at night; None without a rhythm."""
        rng, jobs = self.rng, self.jobs[where.workload]
        job = jobs[0] if jobs and rng.random() < 0.7 else None
        if job is not None:
            hour = (job.hour + rng.uniform(3, 21)) % 24
            first_s = np.floor(where.at_s / DAY_S) * DAY_S + hour * HOUR_S
            last_s = first_s + job.length_h * HOUR_S
        elif self.courses[where.workload].shape != "flat":
            first_s = self._midnight(where.at_s) + rng.uniform(0, 3.5) * HOUR_S
            last_s = first_s + rng.uniform(1, 4) * HOUR_S
        else:
            return None
        return Incident(
            kind=EventKind.WRONG_HOUR,
            workload=where.workload,
            slots=where.slots,
            metrics=BOTH_WAYS,
            first_s=first_s,
            last_s=last_s,
            deviations=where.deviations,
            job_height=None if job is None else job.height,
        )

    def _midnight(self, at_s: float) -> float:
        """Midnight by the local clock on the day, told in UTC, of a moment."""
        return float(np.floor(at_s / DAY_S) * DAY_S - self.grid.offset_at(at_s))

    def _fits(
        self,
        incident: Incident,
        quiet_days: int,
        busy: dict[tuple[int, int], list[tuple[float, float]]],
    ) -> bool:
        """Whether there is room: away from the ends, other incidents, rollouts and scaling."""
        first_s, last_s, grid = incident.first_s, incident.last_s, self.grid
        if first_s < grid.start_s + quiet_days * DAY_S or last_s > grid.end_s - 6 * HOUR_S:
            return False
        if grid.changes and abs(first_s - CLOCK_CHANGE_S) < 1.5 * DAY_S:
            return False
        for slot in incident.slots:
            for begun_s, ended_s in busy[incident.workload, slot]:
                if last_s + APART_S >= begun_s and ended_s + APART_S >= first_s:
                    return False
        workload = self.workloads[incident.workload]
        for rollout in workload.rollouts:
            if first_s - 2.5 * HOUR_S < rollout.at_s < last_s + 1.0 * HOUR_S:
                return False
        return not any(
            first_s - 6 * HOUR_S < turn_s < last_s + 3 * HOUR_S
            for turn_s in workload.turns(float("inf"))
        )

    def _restart(self, incident: Incident, slot: int) -> None:
        """End a leak: the container begins anew, half of the time in a new pod."""
        workload = self.workloads[incident.workload]
        lives = workload.slots[slot].lives
        name = [name for since_s, name in lives if since_s <= incident.last_s][-1]
        if self.rng.random() < 0.5 and workload.role != "db":
            name = new_name(self.rng, workload.name)
        lives.append((incident.last_s, name))
        lives.sort()
