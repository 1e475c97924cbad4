"""What the demo tells the person who watches: bars and tables in a terminal, else plain lines."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from anomaly_operator.api.v1alpha1.status import severity_of, shown_score

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
    >>> amount(2 * 2**20, "memory_usage"), amount(1536.0, "network_in"), amount(3.4e5, "network_in")
    ('2.0 MiB', '1.5 KiB/s', '332 KiB/s')
    """
    ending = "/s" if metric.startswith("network") else ""
    for size, unit in UNITS:
        if abs(value) >= size:
            digits = 0 if abs(value) >= 99.95 * size else 1
            return f"{value / size:.{digits}f} {unit}{ending}"
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
        clock = f"[dim]{time.monotonic() - self._begun_s:6.1f} s[/dim]"
        if not self.console.is_terminal:
            self.console.print(f"{clock}  {text}", soft_wrap=True)
            return
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_row(clock, text)  # what is too long goes on below its beginning
        self.console.print(line)

    def progress(self, name: str, percent: float, *, words: str = "") -> None:
        """How far something has come; ``words`` say it more exactly beside a bar."""
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
                TextColumn("{task.percentage:3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[words]}[/dim]"),
            )
            self._progress = Progress(*columns, console=self.console)
            self._progress.start()
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(f"          {name}", total=100, words=words)
        self._progress.update(self._bars[name], completed=percent, words=words)

    def end_progress(self) -> None:
        """Leave the bars as they are."""
        if self._progress is not None:
            self._progress.stop()
            self._progress, self._bars = None, {}

    def detectors(self, rows: Iterable[Sequence[str]]) -> None:
        """Table of detectors."""
        table = _table("Detectors (major and critical anomalies: of the last 24 hours)")
        for column in ("detector", "state", "ready"):
            table.add_column(column)
        for column in ("series", "buckets", "major", "critical"):
            table.add_column(column, justify="right")
        for row in rows:
            table.add_row(*row)
        self._print(table)

    def anomalies(self, found: Sequence[Anomaly], *, title: str) -> None:
        """Table of anomalies; made to fit into a hundred columns."""
        table = _table(title)
        for column in ("bucket", "metric", "entity"):
            table.add_column(column, overflow="fold")
        for column in ("score", "actual", "typical"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("")
        for each in found:
            table.add_row(
                datetime.fromisoformat(each.time).strftime("%b %d %H:%M"),
                each.metric,
                each.entity,
                str(shown_score(each.score)),
                amount(each.actual, each.metric),
                amount(each.typical, each.metric),
                each.summary,
                style=_style(each.score),
            )
        self._print(table)

    def _print(self, table: Table) -> None:
        self.console.print()
        self.console.print(table)
        self.console.print()

    def anomaly(self, found: Anomaly) -> None:
        """One anomaly, as it comes."""
        actual, typical = (amount(v, found.metric) for v in (found.actual, found.typical))
        self.say(
            f"[{_style(found.score)}]anomaly[/] {escape(found.detector)}: {escape(found.metric)} "
            f"of {escape(found.entity)} was {actual}, {typical} is typical "
            f"({escape(found.summary)}; score {shown_score(found.score)})"
        )

    def pointers(self, lines: Mapping[str, str]) -> None:
        """How to look further: commands, and what each of them is for."""
        width = max(len(command) for command, what in lines.items() if what) + 2
        self.console.print("[bold]Look further, in another terminal:[/]")
        for command, what in lines.items():
            words = f"  {escape(command)}"
            if what:
                words += f"{'':<{width - len(command)}}[dim]# {escape(what)}[/]"
            self.console.print(words, soft_wrap=True)
        self.console.print()


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)


def _style(score: float) -> str:
    return "red" if severity_of(score) == "critical" else "yellow"
