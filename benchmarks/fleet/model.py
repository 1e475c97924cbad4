"""What a generated fleet consists of: plain values, from the generator to measures and tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from benchmarks.datasets import Bools, Floats

MEMORY = "memory_usage"
NETWORK_IN = "network_in"
NETWORK_OUT = "network_out"
METRICS = (MEMORY, NETWORK_IN, NETWORK_OUT)

STANDS_OUT = 1.5  # ordinary half ranges from which an event counts as standing out
AFTERMATH_BUCKETS = 2  # after an event's end nothing counts: the way back is the event's own


class EventKind(StrEnum):
    """What trouble looks like."""

    LEAK = "leak"
    STEP = "step"
    SURGE = "surge"
    SPIKE = "spike"
    WRONG_HOUR = "wrong hour"
    MISSING = "missing traffic"
    EXFILTRATION = "exfiltration"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides a fleet; the same settings give the same bytes."""

    seed: int
    workloads: int = 24
    nodes: int = 5
    weeks: float = 8.0
    span_s: float = 900.0
    quiet_weeks: float = 2.0  # no labelled event before
    events_a_series_month: float = 0.35


@dataclass(frozen=True, slots=True)
class Event:
    """One labelled event in one series; ``first`` and ``last`` buckets inclusive.

    ``size`` is how far the event goes from what was due, in half ranges of the series' own ordinary
    spread at that time of day; see ``grading``.
    """

    series: int
    kind: EventKind
    first: int
    last: int
    ignored_until: int  # buckets after ``last`` that count for nothing
    size: float
    from_a_pod: bool = False  # seen in a node because one of its pods has it

    @property
    def stands_out(self) -> bool:
        """Whether the event is larger than the ordinary spread."""
        return self.size >= STANDS_OUT


@dataclass(frozen=True, slots=True)
class Benign:
    """A lasting or passing change that nobody wants to be woken for.

    Only an arrival counts for nothing: a node that holds one pod more has changed, and told so or
    not, nobody is wrong.
    """

    series: int
    kind: str  # rollout | scale_out | arrival | gap | clock_change
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """A lasting series: a replica slot of a workload, or a node."""

    metric: str
    namespace: str
    workload: str  # "" for a node's own series
    kind: str  # Deployment | StatefulSet | DaemonSet | Node
    slot: int
    node: str
    shape: str  # what ordinary life looks like: web, worker, batch, ...


@dataclass(frozen=True, eq=False)
class Fleet:
    """Everything of one fleet; arrays are (T, S), NaN where there is no sample.

    ``pods[s]`` tells which pod held slot s: (first bucket, pod name), oldest first.
    """

    settings: Settings
    start_s: float
    series: tuple[SeriesInfo, ...]
    values: Floats
    ordinary: Floats  # the same fleet without its events
    pods: tuple[tuple[tuple[int, str], ...], ...]
    events: tuple[Event, ...] = ()
    benign: tuple[Benign, ...] = ()
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def times_s(self) -> Floats:
        """Start of every bucket."""
        return self.start_s + self.settings.span_s * np.arange(len(self.values))

    def columns_of(self, metric: str) -> list[int]:
        """Columns that hold one metric."""
        return [i for i, info in enumerate(self.series) if info.metric == metric]

    def quiet(self) -> Bools:
        """Buckets in which a flag is false: outside events and what follows from them."""
        quiet = np.isfinite(self.values)
        for event in self.events:
            quiet[event.first : event.ignored_until + 1, event.series] = False
        for each in self.benign:
            if each.kind == "arrival":
                quiet[each.first : each.last + 1, each.series] = False
        return quiet
