"""What the sections of all generators share: the two goals every fleet has, and what they add."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.fleet.measure import Figures
from benchmarks.report import Goal, Table

FOUND = 0.97  # of the events that stand out, at the mark ≥ 50
FALSE_RATE = 0.1  # episodes a series-month, at the same mark
RATE = 0.1  # false episodes a series-month, to compare at


@dataclass(frozen=True, slots=True)
class Findings:
    """What a further generator adds to the fleet section."""

    tables: tuple[Table, ...]
    goals: tuple[Goal, ...]


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
