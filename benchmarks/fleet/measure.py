"""What a detector made of a fleet: events found, false episodes and why, delay, leak headroom."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import Bools, Floats
from benchmarks.episodes import episodes
from benchmarks.fleet.model import STANDS_OUT, Benign, Event, EventKind, Fleet
from benchmarks.fleet.noise import DAY_S, HOUR_S

NEAR_S = HOUR_S
MONTH_S = 30 * DAY_S
COLD_S = 14 * DAY_S
CAUSES_S = {
    "rollout": 6 * HOUR_S,
    "scale_out": DAY_S,
    "clock_change": 0.0,
    "arrival": 0.0,
    "gap": 6 * HOUR_S,
}


@dataclass(frozen=True, slots=True)
class FalseEpisode:
    """One false alert: where, when, how high, and what ordinary thing it came after."""

    series: int
    first: int
    last: int
    peak: float
    cause: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Measures of one detector at one threshold on one fleet, or on several added up.

    ``outcomes`` pairs every event with its delay in buckets, -1 where it was missed.
    """

    threshold: float
    series_months: float
    outcomes: tuple[tuple[Event, int], ...]
    false: tuple[FalseEpisode, ...]

    def chosen(
        self, *, least: float = STANDS_OUT, most: float = np.inf, kind: EventKind | None = None
    ) -> list[tuple[Event, int]]:
        """Outcomes of events of these sizes and kind; by default of those that stand out."""
        return [
            (event, delay)
            for event, delay in self.outcomes
            if least <= event.size < most and (kind is None or event.kind is kind)
        ]

    def recall(
        self, *, least: float = STANDS_OUT, most: float = np.inf, kind: EventKind | None = None
    ) -> float:
        """Share of the chosen events that were found."""
        chosen = self.chosen(least=least, most=most, kind=kind)
        return float(np.mean([delay >= 0 for _, delay in chosen])) if chosen else float("nan")

    @property
    def false_rate(self) -> float:
        """False episodes a series-month."""
        return len(self.false) / self.series_months

    @property
    def median_delay(self) -> float:
        """Buckets until half of the found events that stand out were found; leaks aside."""
        found = [
            delay
            for event, delay in self.chosen()
            if delay >= 0 and event.kind is not EventKind.LEAK
        ]
        return float(np.median(found)) if found else float("nan")

    @property
    def headroom_used(self) -> float:
        """Median share of its way a leak had gone when it was found; a missed one used all."""
        used = [
            (delay + 1) / (event.last - event.first + 1) if delay >= 0 else 1.0
            for event, delay in self.chosen(kind=EventKind.LEAK)
        ]
        return float(np.median(used)) if used else float("nan")

    def causes(self) -> Counter[str]:
        """False episodes by what they came after."""
        return Counter(each.cause for each in self.false)


def together(figures: Sequence[Figures]) -> Figures:
    """Add up what was measured on several fleets."""
    return Figures(
        threshold=figures[0].threshold,
        series_months=sum(each.series_months for each in figures),
        outcomes=tuple(outcome for each in figures for outcome in each.outcomes),
        false=tuple(one for each in figures for one in each.false),
    )


def measure(
    fleet: Fleet, scores: Floats, *, threshold: float, columns: Sequence[int] | None = None
) -> Figures:
    """Compare flags (score >= threshold) with the labels of some columns (all by default).

    ``scores`` are (T, len(columns)).
    """
    chosen = list(range(len(fleet.series))) if columns is None else list(columns)
    quiet = fleet.quiet()
    near = max(1, round(NEAR_S / fleet.settings.span_s))
    events, benign = defaultdict(list), defaultdict(list)
    for event in fleet.events:
        events[event.series].append(event)
    for each in fleet.benign:
        benign[each.series].append(each)
    outcomes: list[tuple[Event, int]] = []
    false: list[FalseEpisode] = []
    for place, column in enumerate(chosen):
        flags = (scores[:, place] >= threshold) & np.isfinite(fleet.values[:, column])
        for event in events[column]:
            hits = np.flatnonzero(flags[event.first : event.last + 1])
            outcomes.append((event, int(hits[0]) if len(hits) else -1))
        for first, last in episodes(flags & quiet[:, column], near=near):
            cause = _cause(fleet, first, events=events[column], benign=benign[column])
            peak = float(scores[first : last + 1, place].max())
            false.append(FalseEpisode(column, first, last, peak, cause))
    observed = np.isfinite(fleet.values[:, chosen]).sum() * fleet.settings.span_s
    return Figures(threshold, observed / MONTH_S, tuple(outcomes), tuple(false))


def _cause(fleet: Fleet, at: int, *, events: Sequence[Event], benign: Sequence[Benign]) -> str:
    """Name the ordinary thing a false episode began in or soon after, if any."""
    span_s = fleet.settings.span_s
    for each in benign:
        if each.first <= at <= each.last + CAUSES_S[each.kind] / span_s:
            return each.kind
    for event in events:
        if 0 <= at - event.ignored_until <= 3 * DAY_S / span_s:
            return f"after {event.kind.value}"
        if 0 <= event.first - at <= HOUR_S / span_s:
            return f"just before {event.kind.value}"
    return "cold start" if at * span_s < COLD_S else "nothing"


def threshold_for(fleet: Fleet, scores: Floats, *, rate: float, columns: Sequence[int]) -> float:
    """Lowest threshold with at most ``rate`` false episodes a series-month."""
    quiet: Bools = fleet.quiet()[:, columns]
    near = max(1, round(NEAR_S / fleet.settings.span_s))
    allowed = rate * np.isfinite(fleet.values[:, columns]).sum() * fleet.settings.span_s / MONTH_S
    levels = np.unique(scores[quiet & np.isfinite(scores)])[::-1]
    ranks = np.unique(np.geomspace(1, len(levels), 200).astype(int)) - 1
    best = float("inf")
    for level in levels[ranks]:
        flagged = (scores >= level) & quiet
        if sum(len(episodes(flagged[:, i], near=near)) for i in range(flagged.shape[1])) > allowed:
            break
        best = float(level)
    return best
