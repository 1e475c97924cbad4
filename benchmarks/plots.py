"""Pictures of the results; small PNG files beside the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks.calibration import Calibration
from benchmarks.datasets import Floats, LabelledSeries
from benchmarks.detectors import MAJOR
from benchmarks.fleet.measure import Figures
from benchmarks.fleet.model import Fleet
from benchmarks.labelled import Outcome
from benchmarks.nab import NabResult
from benchmarks.speed import Speed

mpl.use("Agg")
from matplotlib import pyplot as plt

DPI = 55
WORST = 5
CASES = 6


def _save(figure: plt.Figure, folder: Path, name: str) -> str:
    figure.tight_layout()
    figure.savefig(folder / name, dpi=DPI)
    plt.close(figure)
    return name


def probability(folder: Path, results: Sequence[Calibration]) -> str:
    """Expected against observed tail probability: on the diagonal is calibrated."""
    figure, axes = plt.subplots(figsize=(7, 6))
    for result in results:
        rank = np.arange(1, len(result.log10_p) + 1) / len(result.log10_p)
        keep = np.unique(np.geomspace(1, len(rank), 400).astype(int)) - 1
        axes.plot(-result.log10_p[keep], -np.log10(rank[keep]), label=result.kind)
    axes.plot([0, 6], [0, 6], "k--", lw=0.8)
    for shift in (-np.log10(2), np.log10(2)):
        axes.plot([0, 6], [shift, 6 + shift], "k:", lw=0.6)
    axes.set(
        xlim=(0, 8),
        ylim=(0, 6.5),
        xlabel="-log10 p, as judged",
        ylabel="-log10 of how often it came (below the line: more often than told)",
        title="Calibration on ordinary data; dotted: factor 2",
    )
    axes.legend()
    return _save(figure, folder, "calibration.png")


def speed(folder: Path, results: Sequence[Speed]) -> str:
    """Throughput and memory over the number of series."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    series = [each.series for each in results]
    left.loglog(series, [each.buckets_a_second for each in results], "o-")
    left.loglog([1], [2e4], "kx")
    left.loglog([1e4], [1e6], "kx", label="to reach")
    left.set(xlabel="series", ylabel="series-buckets a second, one core", title="Speed")
    left.legend()
    right.loglog(series, [each.peak_rss_mib for each in results], "o-", label="peak RSS")
    state = [each.bytes_a_series * each.series / 2**20 for each in results]
    right.loglog(series, state, "s--", label="state")
    right.set(xlabel="series", ylabel="MiB", title="Size")
    right.legend()
    return _save(figure, folder, "speed.png")


def ranking_bars(folder: Path, outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """VUS-PR of every detector on every set."""
    shown = {k: v for k, v in outcomes.items() if np.isfinite(v[0].vus_pr)}
    figure, axes = plt.subplots(1, len(shown), figsize=(3.2 * len(shown), 4.5), sharey=True)
    for axis, (group, each) in zip(np.atleast_1d(axes), shown.items(), strict=True):
        colours = ["tab:red", *["tab:blue"] * (len(each) - 1)]
        axis.barh(
            [o.detector for o in each][::-1], [o.vus_pr for o in each][::-1], color=colours[::-1]
        )
        axis.set(title=f"{group}: VUS-PR")
    return _save(figure, folder, "ranking.png")


def worst_files(
    folder: Path,
    corpus: Sequence[LabelledSeries],
    scores: Sequence[Floats],
    result: NabResult | Sequence[NabResult],
) -> str:
    """The NAB files on which we do worst, with our scores and the labelled windows."""
    standard = result[0] if isinstance(result, Sequence) else result
    ranked = sorted(
        range(len(corpus)),
        key=lambda i: standard.per_file[corpus[i].name] - len(corpus[i].windows),
    )[:WORST]
    figure, axes = plt.subplots(2 * WORST, 1, figsize=(14, 3.2 * WORST))
    for place, number in enumerate(ranked):
        series, mine = corpus[number], scores[number]
        when = series.times_s.astype("datetime64[s]")
        top, bottom = axes[2 * place], axes[2 * place + 1]
        top.plot(when, series.values, lw=0.6)
        title = (
            f"{series.name}: {standard.per_file[series.name]:.2f}, {len(series.windows)} windows"
        )
        top.set_title(title, fontsize=9)
        bottom.plot(when, mine, lw=0.6, color="tab:red")
        bottom.axhline(standard.threshold, color="k", lw=0.5)
        bottom.set_ylim(0, 101)
        for axis in (top, bottom):
            for start, end in series.windows:
                axis.axvspan(
                    np.datetime64(int(start), "s"), np.datetime64(int(end), "s"), alpha=0.2
                )
    return _save(figure, folder, "nab_worst.png")


def fleet_cases(
    folder: Path, fleet: Fleet, answer: Mapping[str, Floats], figures: Figures
) -> list[str]:
    """Missed events that stand out, and false episodes, largest first."""
    missed = sorted(
        (event for event, delay in figures.chosen() if delay < 0), key=lambda event: -event.size
    )
    false = sorted(figures.false, key=lambda each: -each.peak)
    cases = {
        "fleet_missed.png": [
            (e.series, e.first, e.last, f"missed {e.kind.value}, size {e.size:.1f}")
            for e in _spread(missed)
        ],
        "fleet_false.png": [
            (f.series, f.first, f.last, f"false {f.peak:.0f}, after: {f.cause}")
            for f in _spread(false)
        ],
    }
    drawn = []
    for name, chosen in cases.items():
        if not chosen:
            (folder / name).unlink(missing_ok=True)
            continue
        figure, axes = plt.subplots(len(chosen), 1, figsize=(14, 2.4 * len(chosen)), squeeze=False)
        for axis, (column, first, last, title) in zip(axes[:, 0], chosen, strict=True):
            _case(axis, fleet, answer, column=column, first=first, last=last, title=title)
        drawn.append(_save(figure, folder, name))
    return drawn


def _spread(cases: list) -> list:
    """Some cases from the largest to the smallest, different series first."""
    unique = list({case.series: case for case in reversed(cases)}.values())[::-1]
    return (
        [unique[i] for i in np.unique(np.linspace(0, len(unique) - 1, CASES).astype(int))]
        if unique
        else []
    )


def _case(
    axis: plt.Axes,
    fleet: Fleet,
    answer: Mapping[str, Floats],
    *,
    column: int,
    first: int,
    last: int,
    title: str,
) -> None:
    day = round(86400 / fleet.settings.span_s)
    rows = slice(max(first - 10 * day, 0), min(last + 2 * day, len(fleet.values)))
    x = np.arange(rows.start, rows.stop)
    axis.fill_between(
        x, answer["lower"][rows, column], answer["upper"][rows, column], alpha=0.25, lw=0
    )
    axis.plot(x, answer["typical"][rows, column], lw=0.5, color="tab:green")
    axis.plot(x, fleet.values[rows, column], lw=0.7, color="k")
    axis.axvspan(first, last + 1, color="tab:red", alpha=0.15)
    info = fleet.series[column]
    axis.set_title(f"{title} — {info.metric} {info.workload or info.node} #{info.slot}", fontsize=9)
    marks = np.flatnonzero(answer["score"][rows, column] >= MAJOR) + rows.start
    axis.plot(marks, fleet.values[marks, column], "r.", ms=4)
    top = np.nanmax(np.append(fleet.values[rows, column], 0.0))
    axis.set_ylim(top=top * 1.1 + 1e-9)
