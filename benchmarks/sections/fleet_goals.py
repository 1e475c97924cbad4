"""The two goals every fleet has, whichever generator made it; both sections take them from here."""

from __future__ import annotations

from benchmarks.fleet.measure import Figures
from benchmarks.report import Goal

FOUND = 0.97  # of the events that stand out, at the mark ≥ 50
FALSE_RATE = 0.1  # episodes a series-month, at the same mark


def found_and_false(fleet: str, major: Figures) -> tuple[Goal, Goal]:
    """Compare what was found at the mark ≥ 50, and what it cost, with what should be."""
    recall, rate = major.recall(), major.false_rate
    return (
        Goal(
            f"{fleet}: {len(major.chosen())} events that stand out found at ≥ 50",
            f"≥ {100 * FOUND:.0f} %",
            f"{100 * recall:.1f} %",
            bool(recall >= FOUND),
        ),
        Goal(
            f"{fleet}: false a series-month at ≥ 50",
            f"≤ {FALSE_RATE}",
            f"{rate:.3f}",
            bool(rate <= FALSE_RATE),
        ),
    )
