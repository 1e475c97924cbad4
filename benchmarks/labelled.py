"""Every detector on every labelled set: the ranking measures and events at equal false episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np

from anomaly_operator.engine.contract import Side
from benchmarks import nab
from benchmarks.datasets import Bools, Floats, LabelledSeries, inside, read_set
from benchmarks.detectors import CRITICAL, MAJOR, Detector
from benchmarks.episodes import judge, recall_at_equal_false
from benchmarks.ranking import auc_pr, vus_pr

LONGEST_BUFFER = 20
RARE = 0.002  # share of labelled rows below which VUS-PR needs more thresholds
MANY_THRESHOLDS = 5000
FALSE_A_SERIES = (0.2, 1.0)
HOUR_S = 3600.0


@dataclass(frozen=True, eq=False)
class Outcome:
    """One detector on one set."""

    group: str
    detector: str
    auc_pr: float
    vus_pr: float
    equal_false: dict[float, float]  # false episodes a series -> share of events found
    at_marks: dict[float, tuple[float, float, float]]  # score -> found, false a series, delay
    scores: list[Floats] = field(default_factory=list)


def groups(folder: Path) -> list[tuple[str, list[LabelledSeries]]]:
    """Series to be compared with each other: a set, or its categories where they are metrics.

    Categories in which nothing is labelled are left out.
    """
    found: list[tuple[str, list[LabelledSeries]]] = []
    for name in ("nab", "mscloud", "nezha", "smd"):
        if not (folder / name).exists():
            continue
        series = read_set(folder / name)
        if name == "nezha":
            found += [
                (key.replace("_", " "), list(members))
                for key, members in groupby(series, lambda each: each.category)
            ]
        else:
            found.append((name, series))
    return [(name, data) for name, data in found if any(each.labels for each in data)]


def scored(series: LabelledSeries) -> Bools:
    """Rows that count: past the probation NAB grants, for every set."""
    marked = np.ones(len(series.times_s), bool)
    marked[: nab.probation_rows(len(marked))] = False
    return marked


def run(group: str, data: Sequence[LabelledSeries], detector: Detector) -> Outcome:
    """Score a group's series one by one, each on its own, and measure."""
    scores = [
        np.nan_to_num(detector.score(each.times_s, each.values, side=Side.BOTH), nan=0.0)
        for each in data
    ]
    return measure(group, data, detector.name, scores=scores)


def measure(
    group: str, data: Sequence[LabelledSeries], detector: str, *, scores: list[Floats]
) -> Outcome:
    """Measure scores that are there already."""
    areas = []
    for each, mine in zip(data, scores, strict=True):
        counted = scored(each)
        truth = each.truth[counted]
        if truth.any():
            thresholds = MANY_THRESHOLDS if truth.mean() < RARE else 250
            areas.append(
                (
                    auc_pr(truth, mine[counted]),
                    vus_pr(truth, mine[counted], longest=LONGEST_BUFFER, thresholds=thresholds),
                )
            )
    auc, vus = np.mean(areas, axis=0) if areas else (float("nan"),) * 2
    events = [_events(each) for each in data]
    quiet = [scored(each) & ~inside(each.times_s, each.windows) for each in data]
    near = max(2, round(HOUR_S / float(np.median([each.span_s for each in data]))))
    equal = {
        rate: recall_at_equal_false(
            scores, events=events, quiet=quiet, near=near, allowed=rate * len(data)
        )[0]
        for rate in FALSE_A_SERIES
    }
    marks = {}
    for mark in (MAJOR, CRITICAL):
        each_found = [
            judge(mine, threshold=mark, events=wanted, quiet=still, near=near)
            for mine, wanted, still in zip(scores, events, quiet, strict=True)
        ]
        delays = [delay for one in each_found for delay in one.delays]
        hits = [delay for delay in delays if delay >= 0]
        marks[mark] = (
            len(hits) / len(delays) if delays else float("nan"),
            float(np.mean([one.false_episodes for one in each_found])),
            float(np.median(hits)) if hits else float("nan"),
        )
    return Outcome(group, detector, float(auc), float(vus), equal, marks, scores)


def _events(series: LabelledSeries) -> list[tuple[int, int]]:
    """Windows that do not lie wholly in the probation, as first and last row."""
    start = nab.probation_rows(len(series.times_s))
    return [(max(first, start), last) for first, last in nab.window_rows(series) if last >= start]
