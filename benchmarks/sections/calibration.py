"""Calibration on ordinary data: tail shares, bounds, probability plots."""

from __future__ import annotations

from pathlib import Path

from benchmarks import plots
from benchmarks.calibration import DECADES, KINDS, Calibration, calibrate
from benchmarks.report import Goal, Section, Table

FACTOR = 2.0
SEED = 7
BOUNDS = (0.93, 0.97)


def run(folder: Path, *, quick: bool, seed_shift: int = 0) -> Section:
    """Calibrate on every kind of ordinary life."""
    results = []
    for kind in KINDS:
        print(f"  {kind}", flush=True)
        results.append(calibrate(kind, series=40 if quick else 200, seed=SEED + seed_shift))
    rows = tuple(
        (
            r.kind,
            r.buckets,
            *(r.shares[k] * 10**k for k in DECADES),
            r.coverage,
            *(r.flagged[mark] * 2880 for mark in (50.0, 75.0)),
            float(sorted(r.by_series)[len(r.by_series) // 2]),
            float(r.by_series.max()),
        )
        for r in results
    )
    table = Table(
        "calibration",
        "Share of p < 10⁻ᵏ over 10⁻ᵏ on ordinary data (1 = exact)",
        (
            "kind",
            "buckets",
            *(f"k = {k}" for k in DECADES),
            "95 % bounds hold",
            "buckets ≥ 50 a series-month",
            "≥ 75",
            "k = 2, median series",
            "worst series",
        ),
        rows,
    )
    drawn = plots.probability(folder, results)
    return Section("calibration", (table,), tuple(_goals(results)), (drawn,))


def _goals(results: list[Calibration]) -> list[Goal]:
    goals = []
    for r in results:
        ratios = [r.shares[k] * 10**k for k in DECADES]
        goals.append(
            Goal(
                f"calibration, {r.kind} ({r.buckets:,} buckets)",
                "p < 10⁻ᵏ within a factor 2, k = 1..4",
                " / ".join(f"{ratio:.2f}" for ratio in ratios),
                all(1 / FACTOR <= ratio <= FACTOR for ratio in ratios),
            )
        )
        goals.append(
            Goal(
                f"95 % bounds, {r.kind}",
                "93 to 97 %",
                f"{100 * r.coverage:.1f} %",
                BOUNDS[0] <= r.coverage <= BOUNDS[1],
            )
        )
    return goals
