"""What the demo tells the person who watches: bars and tables in a terminal, else plain lines."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from anomaly_operator.api.v1alpha1.status import shown_score

PLAIN_STEP = 10.0  # percent between two lines where there is no terminal to draw a bar in
PLAIN_WIDTH = 150
UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One anomaly as a detector's status shows it."""

    detector: str
    time: str
    metric: str
    entity: str
    score: float
    actual: float
    typical: float
    summary: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it another one."""
        return self.detector, self.time, self.metric, self.entity


def amount(value: float, metric: str) -> str:
    """Bytes as people read them, per second for traffic.

    Examples
    --------
    >>> amount(2 * 2**20, "memory_usage"), amount(1536.0, "network_in")
    ('2.0 MiB', '1.5 KiB/s')
    """
    ending = "/s" if metric.startswith("network") else ""
    for size, unit in UNITS:
        if abs(value) >= size:
            return f"{value / size:.1f} {unit}{ending}"
    return f"{value:.0f} B{ending}"


class Report:
    """Writes everything the demo says."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(
                file=self.console.file, width=PLAIN_WIDTH, highlight=False, force_terminal=False
            )
        self._begun_s = time.monotonic()
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._told: dict[str, float] = {}

    def say(self, text: str) -> None:
        """One line, with the seconds since the start."""
        elapsed_s = time.monotonic() - self._begun_s
        self.console.print(f"[dim]{elapsed_s:6.1f} s[/dim]  {text}", soft_wrap=True)

    def progress(self, name: str, percent: float) -> None:
        """How far a detector's look at the past has come."""
        if not self.console.is_terminal:
            if percent >= 100 > self._told.get(name, -1.0) or (
                percent - self._told.get(name, -PLAIN_STEP) >= PLAIN_STEP
            ):
                self._told[name] = percent
                self.say(f"{name}: {percent:.0f} %")
            return
        if self._progress is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:.0f} %"),
            )
            self._progress = Progress(*columns, TimeElapsedColumn(), console=self.console)
            self._progress.start()
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(f"          {name}", total=100)
        self._progress.update(self._bars[name], completed=percent)

    def end_progress(self) -> None:
        """Leave the bars as they are."""
        if self._progress is not None:
            self._progress.stop()
            self._progress, self._bars = None, {}

    def detectors(self, rows: Iterable[Sequence[str]]) -> None:
        """Table of detectors."""
        table = Table(title="Detectors", title_justify="left")
        for column in ("detector", "state", "ready", "series", "buckets", "major", "critical"):
            table.add_column(column)
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def anomalies(self, found: Sequence[Anomaly], *, title: str = "Anomalies") -> None:
        """Table of anomalies."""
        table = Table(title=title, title_justify="left")
        for column in ("time", "detector", "metric", "entity", "score", "actual", "typical", ""):
            table.add_column(column, overflow="fold")
        for each in found:
            table.add_row(
                each.time,
                each.detector,
                each.metric,
                each.entity,
                str(shown_score(each.score)),
                amount(each.actual, each.metric),
                amount(each.typical, each.metric),
                each.summary,
            )
        self.console.print(table)

    def anomaly(self, found: Anomaly) -> None:
        """One anomaly, as it comes."""
        style = "bold red" if found.score >= 75 else "yellow"
        self.say(
            f"[{style}]anomaly[/] {escape(found.detector)}: {escape(found.metric)} of "
            f"{escape(found.entity)} was {amount(found.actual, found.metric)}, "
            f"{amount(found.typical, found.metric)} is typical "
            f"({escape(found.summary)}; score {shown_score(found.score)})"
        )

    def pointers(self, lines: Mapping[str, str]) -> None:
        """How to look further."""
        self.console.print()
        for title, text in lines.items():
            self.console.print(f"  {title:<38}{text}", soft_wrap=True)
        self.console.print()
