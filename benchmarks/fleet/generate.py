"""Put a fleet together: workloads, their troubles, nodes that sum their pods, and gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.datasets import Floats
from benchmarks.fleet import grading, noise
from benchmarks.fleet.model import (
    MEMORY,
    METRICS,
    NETWORK_IN,
    NETWORK_OUT,
    Benign,
    Event,
    EventKind,
    Fleet,
    SeriesInfo,
    Settings,
)
from benchmarks.fleet.trouble import STEP_ACCEPTED_S, Trouble, schedule
from benchmarks.fleet.workloads import Workload, build

START_S = 1_735_689_600.0  # 1 January 2025, a Wednesday
FIELD_OF = {MEMORY: "memory", NETWORK_IN: "inward", NETWORK_OUT: "outward"}
BARELY = 0.25  # a pod's event that moves its node by less is none of the node's


class _Builder:
    """Columns collected so far."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        rows = round(settings.weeks * noise.WEEK_S / settings.span_s)
        self.times_s = START_S + settings.span_s * np.arange(rows)
        self.series: list[SeriesInfo] = []
        self.actual: list[Floats] = []
        self.ordinary: list[Floats] = []
        self.due: list[Floats] = []
        self.pods: list[tuple[tuple[int, str], ...]] = []
        self.events: list[Event] = []
        self.benign: list[Benign] = []
        self.troubled: list[tuple[int, Trouble]] = []  # column, trouble

    def add(self, workload: Workload, troubles: list[Trouble]) -> None:
        """Add a workload's columns with its troubles put in."""
        for metric in METRICS:
            field = FIELD_OF[metric]
            for slot, node in enumerate(workload.nodes):
                column = len(self.series)
                self.series.append(
                    SeriesInfo(
                        metric=metric,
                        namespace=workload.namespace,
                        workload=workload.name,
                        kind=workload.kind,
                        slot=slot,
                        node=node,
                        shape=workload.shape,
                    )
                )
                self.pods.append(tuple(workload.pods[slot]))
                self.benign += [
                    replace(each, series=column) for each in workload.benign if each.series == slot
                ]
                actual = getattr(workload, field)[:, slot].copy()
                due = getattr(workload, f"{field}_due")[:, slot].copy()
                chance = getattr(workload, f"{field}_chance")[:, slot]
                ordinary = actual.copy()
                for trouble in troubles:
                    if metric in trouble.metrics and slot in trouble.slots:
                        actual *= trouble.factor
                        self._grade(
                            column,
                            trouble,
                            actual=actual,
                            ordinary=ordinary,
                            due=due,
                            chance=chance,
                        )
                        if trouble.lasting:
                            ordinary *= trouble.factor
                            due *= trouble.factor
                        self.troubled.append((column, trouble))
                self.actual.append(actual)
                self.ordinary.append(ordinary)
                self.due.append(due)

    def _grade(
        self,
        column: int,
        trouble: Trouble,
        *,
        actual: Floats,
        ordinary: Floats,
        due: Floats,
        chance: Floats,
        from_a_pod: bool = False,
    ) -> None:
        size = grading.size(
            kind=trouble.kind,
            first=trouble.first,
            last=trouble.last,
            actual=actual,
            ordinary=ordinary,
            due=due,
            chance=chance,
            span_s=self.settings.span_s,
        )
        if from_a_pod and size < BARELY:
            return
        self.events.append(
            Event(
                series=column,
                kind=trouble.kind,
                first=trouble.first,
                last=trouble.last,
                ignored_until=trouble.ignored_until,
                size=size,
                from_a_pod=from_a_pod,
            )
        )

    def add_nodes(self, rng: np.random.Generator) -> None:
        """Add each node's series: what its pods sum up to and a system of its own."""
        pods = list(enumerate(self.series))
        for node in sorted({info.node for _, info in pods}):
            for metric in METRICS:
                mine = [i for i, info in pods if info.node == node and info.metric == metric]
                own = self._system(
                    rng, scale=float(np.mean([np.nanmean(self.due[i]) for i in mine]))
                )
                column = len(self.series)
                self.series.append(SeriesInfo(metric, "", "", "Node", 0, node, "node"))
                self.pods.append(((0, node),))
                actual = own + np.nansum([self.actual[i] for i in mine], axis=0)
                ordinary = own + np.nansum([self.ordinary[i] for i in mine], axis=0)
                there = [np.isfinite(self.ordinary[i]) for i in mine]
                due = own.mean() + np.sum(
                    [np.where(t, self.due[i], 0.0) for i, t in zip(mine, there, strict=True)],
                    axis=0,
                )
                self.actual.append(actual)
                self.ordinary.append(ordinary)
                self.due.append(due)
                self._node_events(column, set(mine))
                self._arrivals(column, mine)

    def _node_events(self, column: int, mine: set[int]) -> None:
        """A trouble reaches a node once, however many of its pods have it."""
        seen: set[int] = set()
        for pod, trouble in self.troubled:
            if pod in mine and id(trouble) not in seen:
                seen.add(id(trouble))
                actual, ordinary, due = (
                    self.actual[column],
                    self.ordinary[column],
                    self.due[column].copy(),
                )
                if trouble.lasting:
                    for each in mine & {c for c, t in self.troubled if t is trouble}:
                        added = self.due[each] * (1.0 - 1.0 / trouble.factor)
                        due -= np.where(np.isfinite(self.ordinary[each]), added, 0.0)
                    ordinary = ordinary * due / self.due[column]
                self._grade(
                    column,
                    trouble,
                    actual=actual,
                    ordinary=ordinary,
                    due=due,
                    chance=ordinary / due,
                    from_a_pod=True,
                )

    def _arrivals(self, column: int, mine: list[int]) -> None:
        """A pod that a scale-out puts on a node lifts the node for good, with a reason."""
        accepted = round(STEP_ACCEPTED_S / self.settings.span_s)
        for pod in mine:
            born = self.pods[pod][0][0]
            if born > 0:
                self.benign.append(Benign(column, "arrival", born, born + accepted))

    def _system(self, rng: np.random.Generator, *, scale: float) -> Floats:
        wiggle = noise.autoregressive(
            rng, len(self.times_s), sigma=0.03, memory_s=3600, span_s=self.settings.span_s
        )
        return scale * rng.uniform(0.3, 1.0) * np.exp(wiggle)

    def gaps(self, rng: np.random.Generator) -> None:
        """Take samples away: single ones, a node for hours, once everything for half a day."""
        rows, span_s = len(self.times_s), self.settings.span_s
        outages: dict[str, list[tuple[int, int]]] = {}
        everything = int(rng.integers(rows // 3, rows))
        long = round(rng.uniform(2, 12) * noise.HOUR_S / span_s)
        for node in sorted({info.node for info in self.series}):
            mine = [(everything, everything + long)]
            for first in rng.integers(0, rows, rng.poisson(rows * span_s / noise.WEEK_S / 3)):
                length = max(1, round(rng.exponential(2 * noise.HOUR_S) / span_s))
                mine.append((int(first), int(first) + length))
            outages[node] = mine
        for column, info in enumerate(self.series):
            values = self.actual[column]
            values[rng.uniform(size=rows) < 0.001] = np.nan
            for first, last in outages[info.node]:
                values[first:last] = np.nan
                self.benign.append(Benign(column, "gap", first, last))


def generate(settings: Settings) -> Fleet:
    """Make the fleet of these settings."""
    builder = _Builder(settings)
    for number in range(settings.workloads):
        rng = np.random.default_rng([settings.seed, number])
        workload = build(rng, settings, builder.times_s, number=number)
        builder.add(workload, schedule(rng, settings, builder.times_s, workload))
    rng = np.random.default_rng([settings.seed, 1_000_003])
    builder.add_nodes(rng)
    builder.gaps(rng)
    values = np.column_stack(builder.actual)
    events = tuple(
        event
        for event in builder.events
        if np.isfinite(values[event.first : event.last + 1, event.series]).mean() >= 0.5
        or event.kind in {EventKind.LEAK, EventKind.STEP}
    )
    ignored = set(builder.events) - set(events)
    for event in ignored:
        values[event.first : event.ignored_until + 1, event.series] = np.nan
    return Fleet(
        settings=settings,
        start_s=START_S,
        series=tuple(builder.series),
        values=values,
        ordinary=np.column_stack(builder.ordinary),
        pods=tuple(builder.pods),
        events=events,
        benign=tuple(builder.benign),
    )
