"""Fleet data: events found and false episodes of ours, and beside peers at equal false episodes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import plots
from benchmarks.datasets import Floats
from benchmarks.detectors import CRITICAL, MAJOR
from benchmarks.fleet.generate import generate
from benchmarks.fleet.measure import Figures, measure, threshold_for, together
from benchmarks.fleet.model import EventKind, Fleet, Settings
from benchmarks.fleet.running import run_ours, run_peer
from benchmarks.peers.registry import fast_peers, slow_peers
from benchmarks.report import Goal, Section, Table
from benchmarks.sections import second_fleet, third_fleet
from benchmarks.sections.fleet_goals import found_and_false

FLEETS = (
    Settings(seed=11, workloads=40),
    Settings(seed=12, workloads=40),
    Settings(seed=13, workloads=24, span_s=300.0, weeks=6.0),
    Settings(seed=14, workloads=24, span_s=3600.0, weeks=12.0),
)
QUICK_FLEETS = (Settings(seed=11, workloads=16, weeks=6.0),)
RATES = (0.1, 1.0)  # false episodes a series-month at which peers are compared
SLOW_COLUMNS = 10
SIZE_BINS = (0.0, 0.75, 1.5, 3.0, 6.0, np.inf)
CRITICAL_FALSE_RATE = 0.01  # episodes a series-month at the mark ≥ 75
DELAY_GOAL = 2
HEADROOM_GOAL = 0.5

Both = dict[float, Figures]  # score mark -> measured at it


def run(folder: Path, *, quick: bool, seed_shift: int = 0) -> Section:
    """Run ours on every fleet, peers on the first, and ours on two other generators' fleets."""
    marks: dict[float, list[Figures]] = {MAJOR: [], CRITICAL: []}
    fleets, answers = [], []
    for settings in QUICK_FLEETS if quick else FLEETS:
        fleet = generate(replace(settings, seed=settings.seed + seed_shift))
        print(f"  seed {fleet.settings.seed}: {fleet.values.shape[1]} series", flush=True)
        answer = run_ours(fleet)
        for mark, figures in marks.items():
            figures.append(measure(fleet, answer["score"], threshold=mark))
        fleets.append(fleet)
        answers.append(answer)
    both = {mark: together(figures) for mark, figures in marks.items()}
    tables = [
        _by_fleet(fleets, marks),
        _by_kind(both),
        _by_size(both),
        _by_cause(both),
        _by_shape(fleets, marks),
    ]
    goals = _goals(both)
    tables.append(peers := _peers(fleets[0], answers[0]["score"], quick=quick))
    goals += _ahead(peers)
    for other in (second_fleet, third_fleet):
        found = other.run(quick=quick, seed_shift=seed_shift)
        tables += found.tables
        goals += found.goals
    drawn = plots.fleet_cases(folder, fleets[0], answers[0], marks[MAJOR][0])
    return Section("fleet", tuple(tables), tuple(goals), tuple(drawn))


def _by_fleet(fleets: list[Fleet], marks: dict[float, list[Figures]]) -> Table:
    rows = []
    for number, fleet in enumerate(fleets):
        for mark, figures in marks.items():
            one = figures[number]
            rows.append(
                (
                    fleet.settings.seed,
                    fleet.settings.span_s,
                    len(fleet.series),
                    one.series_months,
                    mark,
                    len(one.chosen()),
                    one.recall(),
                    one.false_rate,
                    one.median_delay,
                    one.headroom_used,
                )
            )
    return Table(
        "fleet",
        "Ours on fleets",
        (
            "seed",
            "bucket span s",
            "series",
            "series-months",
            "score",
            "events that stand out",
            "found",
            "false episodes a series-month",
            "median delay, buckets",
            "leak headroom used",
        ),
        tuple(rows),
    )


def _by_kind(both: Both) -> Table:
    rows = [
        (
            kind.value,
            len(both[MAJOR].chosen(kind=kind)),
            *(figures.recall(kind=kind) for figures in both.values()),
        )
        for kind in EventKind
    ]
    return Table(
        "fleet_kinds",
        "Events that stand out, by kind",
        ("kind", "events", "found ≥ 50", "found ≥ 75"),
        tuple(rows),
    )


def _by_size(both: Both) -> Table:
    rows = [
        (
            f"{low:g} to {high:g}",
            len(both[MAJOR].chosen(least=low, most=high)),
            *(figures.recall(least=low, most=high) for figures in both.values()),
        )
        for low, high in pairwise(SIZE_BINS)
    ]
    return Table(
        "fleet_sizes",
        "All events, by size in ordinary half ranges (1.5 and more stand out)",
        ("size", "events", "found ≥ 50", "found ≥ 75"),
        tuple(rows),
    )


def _by_cause(both: Both) -> Table:
    counts = [figures.causes() for figures in both.values()]
    months = both[MAJOR].series_months
    rows = [
        (cause, *(n for count in counts for n in (count[cause], count[cause] / months)))
        for cause, _ in counts[0].most_common()
    ]
    return Table(
        "fleet_false",
        "False episodes by what came before",
        ("after", "≥ 50", "a series-month", "≥ 75", "a series-month "),
        tuple(rows),
    )


def _by_shape(fleets: list[Fleet], marks: dict[float, list[Figures]]) -> Table:
    false, missed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    months, events = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for fleet, figures in zip(fleets, marks[MAJOR], strict=True):
        month = np.isfinite(fleet.values).sum(axis=0) * fleet.settings.span_s / (30 * 86400)
        kind_of = [(info.shape, info.metric) for info in fleet.series]
        for key, share in zip(kind_of, month, strict=True):
            months[key] += share
        for each in figures.false:
            false[kind_of[each.series]] += 1
        for event, delay in figures.chosen():
            events[kind_of[event.series]] += 1
            missed[kind_of[event.series]] += delay < 0
    rows = tuple(
        (
            shape,
            metric,
            months[shape, metric],
            false[shape, metric] / months[shape, metric],
            events[shape, metric],
            missed[shape, metric],
        )
        for shape, metric in sorted(months)
    )
    return Table(
        "fleet_shapes",
        "By what ordinary life looks like, at ≥ 50",
        ("shape", "metric", "series-months", "false a series-month", "events", "missed"),
        rows,
    )


def _goals(both: Both) -> list[Goal]:
    major, critical = both[MAJOR], both[CRITICAL]
    delay, used = major.median_delay, major.headroom_used
    return [
        *found_and_false("fleet", major),
        Goal(
            "fleet: false a series-month at ≥ 75",
            f"≤ {CRITICAL_FALSE_RATE}",
            f"{critical.false_rate:.3f}",
            critical.false_rate <= CRITICAL_FALSE_RATE,
        ),
        Goal(
            "fleet: half of the found events within 2 buckets",
            "≤ 2",
            f"{delay:g}",
            delay <= DELAY_GOAL,
        ),
        Goal(
            "fleet: leaks, median headroom used when found",
            "< 50 %",
            f"{100 * used:.0f} %",
            used < HEADROOM_GOAL,
        ),
    ]


def _peers(fleet: Fleet, ours: Floats, *, quick: bool) -> Table:
    """Everyone on the same columns at the same false episodes; slow peers on some of them."""
    everything = list(range(len(fleet.series)))
    some = _some_columns(fleet)
    rows = [_row("anomaly-operator", fleet, ours, everything)]
    for peer in fast_peers():
        print(f"  peer {peer.name}", flush=True)
        rows.append(_row(peer.name, fleet, run_peer(fleet, peer, columns=everything), everything))
    if not quick:
        rows.append(_row("anomaly-operator", fleet, ours[:, some], some))
        for peer in slow_peers():
            print(f"  peer {peer.name}", flush=True)
            rows.append(_row(peer.name, fleet, run_peer(fleet, peer, columns=some), some))
    return Table(
        "fleet_peers",
        f"Peers on the fleet of seed {fleet.settings.seed}",
        (
            "detector",
            "series",
            *(f"found at {rate} false a series-month" for rate in RATES),
            "false a series-month where 95 % are found",
        ),
        tuple(rows),
        "Share of the events that stand out; one threshold for all series. Peers get the lasting"
        " replica slots, ours the pods under their changing names.",
    )


def _some_columns(fleet: Fleet) -> list[int]:
    with_events = sorted({event.series for event in fleet.events if event.stands_out})
    rng = np.random.default_rng(fleet.settings.seed)
    return sorted(rng.permutation(with_events)[:SLOW_COLUMNS].tolist())


def _row(name: str, fleet: Fleet, scores: Floats, columns: list[int]) -> tuple:
    found = []
    for rate in RATES:
        threshold = threshold_for(fleet, scores, rate=rate, columns=columns)
        figures = measure(fleet, scores, threshold=threshold, columns=columns)
        found.append(figures.recall())
    place = {column: i for i, column in enumerate(columns)}
    peaks = [
        np.nanmax(scores[event.first : event.last + 1, place[event.series]])
        for event in fleet.events
        if event.stands_out and event.series in place
    ]
    level = float(np.quantile(peaks, 0.05, method="lower"))
    needed = measure(fleet, scores, threshold=level, columns=columns).false_rate
    return (name, len(columns), *found, needed)


def _ahead(peers: Table) -> list[Goal]:
    goals = []
    for size in sorted({row[1] for row in peers.rows}, reverse=True):
        ours, *others = [row for row in peers.rows if row[1] == size]
        for place, rate in enumerate(RATES, start=2):
            best = max(others, key=lambda row: row[place])
            goals.append(
                Goal(
                    f"fleet: found at {rate} false a series-month, {size} series",
                    f"> {100 * best[place]:.0f} % ({best[0]})",
                    f"{100 * ours[place]:.0f} %",
                    bool(ours[place] > best[place] or ours[place] >= 0.9995),
                )
            )
    return goals
