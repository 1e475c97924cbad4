"""What a backtest found, for a person: counts, worst entities, and what would have alerted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from heapq import nlargest

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from anomaly_operator.adapters.terminal import printable
from anomaly_operator.api.v1alpha1.status import SEVERITY_FROM, severity_of, shown_score
from anomaly_operator.engine.bucketing import SampleCounts
from anomaly_operator.engine.contract import Outcome, Record, SeriesKey

SHOWN = 10  # entities and alerts; the file has them all
CELLS = ("score", "metric", "entity", "what")
APART_BUCKETS = 2  # records this near are one alert: Alertmanager would not send another


@dataclass(frozen=True, slots=True)
class Alert:
    """Records of one series at alerting score, one after the other."""

    start_s: float
    end_s: float
    worst: Record


@dataclass(slots=True)
class Summary:
    """Gathered while results come; holds counts and the worst, never all."""

    alert_at: float
    span_s: float
    rows: int = 0
    series: int = 0
    buckets: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    records: dict[str, int] = field(default_factory=dict)
    worst: dict[tuple[int, SeriesKey], Record] = field(default_factory=dict)
    alerts: int = 0
    top: list[Alert] = field(default_factory=list)
    samples: SampleCounts = field(default_factory=SampleCounts)
    notes: list[str] = field(default_factory=list)
    muted: int = 0
    _open: dict[tuple[int, SeriesKey], Alert] = field(default_factory=dict)

    def take(self, outcome: Outcome) -> None:
        """Count one step's conclusions."""
        self.buckets += len({bucket.timestamp_s for bucket in outcome.buckets})
        self.muted += len(outcome.muted)
        for record in outcome.records:
            severity = severity_of(record.initial_record_score)
            if severity:
                self.records[severity] = self.records.get(severity, 0) + 1
            key = (record.detector_index, record.series)
            known = self.worst.get(key)
            if known is None or record.initial_record_score > known.initial_record_score:
                self.worst[key] = record
            if record.initial_record_score >= self.alert_at:
                self._alert(key, record)

    def finish(self) -> None:
        """Close the alerts that are still open, and keep the worst."""
        for alert in self._open.values():
            self._keep(alert)
        self._open.clear()

    def _alert(self, key: tuple[int, SeriesKey], record: Record) -> None:
        end_s = record.timestamp_s + self.span_s
        alert = self._open.get(key)
        if alert and record.timestamp_s - alert.end_s <= APART_BUCKETS * self.span_s:
            worse = record.initial_record_score > alert.worst.initial_record_score
            self._open[key] = replace(alert, end_s=end_s, worst=record if worse else alert.worst)
            return
        if alert:
            self._keep(alert)
        self.alerts += 1
        self._open[key] = Alert(record.timestamp_s, end_s, record)

    def _keep(self, alert: Alert) -> None:
        self.top = nlargest(
            SHOWN, [*self.top, alert], key=lambda one: one.worst.initial_record_score
        )


def show(summary: Summary, console: Console, metrics: Mapping[int, str]) -> None:
    """Print the summary; no line is broken that is not to be."""
    console.print(rendered(summary, metrics), soft_wrap=False)


def rendered(summary: Summary, metrics: Mapping[int, str]) -> RenderableType:
    """Put the summary into words and tables."""
    counts = summary.samples
    time = f"{written(summary.first_s)} to {written(summary.last_s)}"
    found = ", ".join(f"{summary.records.get(name, 0)} {name}" for name in reversed(SEVERITY_FROM))
    lines = [
        f"{summary.rows} rows, {summary.series} series, {summary.buckets} buckets from {time}",
        f"records: {found}",
        f"would have alerted (score >= {summary.alert_at:g}): {summary.alerts} times",
    ]
    left_out = {
        "repeated": counts.repeated,
        "not a number": counts.invalid,
        "counter resets": counts.resets,
    }
    if any(left_out.values()):
        said = ", ".join(f"{count} {what}" for what, count in left_out.items() if count)
        lines.append(f"samples: {counts.accepted} used, {said}")
    if summary.muted:
        lines.append(f"withheld by rules and maintenance windows: {summary.muted}")
    parts: list[RenderableType] = [Text(line) for line in (*lines, *summary.notes)]
    if summary.top:
        parts.append(alerts_table(summary, metrics))
    if summary.worst:
        parts.append(entities_table(summary, metrics))
    return Group(*parts)


def cells(record: Record, metrics: Mapping[int, str]) -> tuple[Text, ...]:
    """What both tables say of a record, in the order of CELLS; names are words, and no markup."""
    words = (
        str(shown_score(record.initial_record_score)),
        metrics[record.detector_index],
        entity(record.series),
        record.summary,
    )
    return tuple(Text(printable(each)) for each in words)


def alerts_table(summary: Summary, metrics: Mapping[int, str]) -> Table:
    """Alerts that would have fired, the worst of them, in order of time."""
    title = f"Would have fired ({min(SHOWN, summary.alerts)} of {summary.alerts})"
    table = columns(title, "from", "until", *CELLS)
    for alert in sorted(summary.top, key=lambda one: one.start_s):
        times = (written(alert.start_s), written(alert.end_s))
        table.add_row(*times, *cells(alert.worst, metrics))
    return table


def entities_table(summary: Summary, metrics: Mapping[int, str]) -> Table:
    """Entities with the highest scores."""
    table = columns("Worst entities", "at", *CELLS)
    worst = nlargest(SHOWN, summary.worst.values(), key=lambda one: one.initial_record_score)
    for record in worst:
        table.add_row(written(record.timestamp_s), *cells(record, metrics))
    return table


def columns(title: str, *names: str) -> Table:
    """Make a table in which only entities may be broken over lines."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in names:
        table.add_column(
            name,
            no_wrap=name != "entity",
            overflow="fold",
            justify="right" if name == "score" else "left",
        )
    return table


def entity(key: SeriesKey) -> str:
    """Name of a series on one line."""
    parts = [part for part in (key.partition, key.family, key.member) if part]
    return " ".join(parts) or "(the only series)"


def written(time_s: float) -> str:
    """Time to the second, in UTC."""
    moment = datetime.fromtimestamp(time_s, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
