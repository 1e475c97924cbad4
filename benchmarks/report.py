"""Tables and goals: what every section hands over, and how it is written down."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

Cell = str | float | int


@dataclass(frozen=True, slots=True)
class Table:
    """One table, written as Markdown and as CSV."""

    name: str  # file name without ending
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        """Text of the table under its title."""
        lines = [f"### {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines += ["| " + " | ".join(self.columns) + " |", "|" + " --- |" * len(self.columns)]
        lines += ["| " + " | ".join(shown(cell) for cell in row) + " |" for row in self.rows]
        return "\n".join([*lines, ""])

    def write(self, folder: Path) -> None:
        """Write the CSV file; Markdown goes into the section's page."""
        with (folder / f"{self.name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            writer.writerows(self.rows)


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the summary: what was to be reached and what was."""

    what: str
    goal: str
    reached: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Section:
    """What one part of the benchmark found."""

    name: str
    tables: tuple[Table, ...]
    goals: tuple[Goal, ...]
    plots: tuple[str, ...] = field(default=())  # file names in the folder of results

    def write(self, folder: Path) -> None:
        """Write the section's page and tables."""
        for table in self.tables:
            table.write(folder)
        pictures = [f"![{plot}]({plot})\n" for plot in self.plots]
        page = [f"# {self.name}\n", summary(self.goals), *(t.markdown() for t in self.tables)]
        text = "\n".join([*page, *pictures])
        (folder / f"{self.name}.md").write_text(text, encoding="utf-8")


def summary(goals: Sequence[Goal]) -> str:
    """Goals as a Markdown table."""
    lines = ["| what | goal | reached | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {goal.what} | {goal.goal} | {goal.reached} | {'ok' if goal.ok else 'SHORT'} |"
        for goal in goals
    ]
    return "\n".join([*lines, ""])


def shown(cell: Cell) -> str:
    """Three significant digits for numbers; text as it is."""
    if isinstance(cell, float):
        if cell != cell:  # noqa: PLR0124 - NaN is the one value unequal to itself
            return "n/a"
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return str(cell)
