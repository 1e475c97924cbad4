"""Runs a detector over history in a table: the live bucketing and engine, unchanged.

The file is read once and put in order of time (in memory, or on disk where it is large), so that
rows may come in any order. Then buckets go through the engine as a worker would hand them over, and
results are written as they come. Nothing here judges anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.adapters.settings import analysis_settings, base_function
from anomaly_operator.adapters.sources.table_labels import with_workload, within_target
from anomaly_operator.adapters.sources.table_problems import TableError
from anomaly_operator.adapters.sources.table_reading import Table
from anomaly_operator.adapters.sources.time_partitions import Rows, TimePartitions
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.status import SEVERITY_FROM
from anomaly_operator.devtools.backtest_results import ResultsFile, Shape, needs_quotes
from anomaly_operator.devtools.backtest_summary import Summary
from anomaly_operator.engine.bucketing import Bucketing, BucketingSettings, SampleCounts
from anomaly_operator.engine.contract import AnalysisSettings, Block, DetectorSettings
from anomaly_operator.engine.engine import Engine
from anomaly_operator.ports import MetricInfo, SampleKind

PARTITION_BUCKETS = 16
STEP_BUCKETS = 64  # at once through the engine, which works in stretches of as many
STEP_CELLS = 2_000_000  # series-buckets at once: 16 MB a column
STALENESS_S = 300.0  # Prometheus' own look-back: a counter older than this gives no rate
RETIRE_BUCKETS, RETIRE_S = 10, 7200.0  # as in the worker
SKIPPED_S = 90 * 86400.0  # silence that is left out: a wrong clock's row must not cost years

# What is known of the built-in metrics whatever the unit a file has them in.
BUILT_IN = {
    name: MetricInfo(name, "", SampleKind.GAUGE, resolution=0.0)
    for name in ("memory_usage", "network_in", "network_out")
}


@dataclass(frozen=True, slots=True)
class Request:
    """What to run over what."""

    spec: AnomalyDetectorSpec
    filters: Mapping[str, Sequence[str]]
    input: Path
    output: Path
    all_buckets: bool = False
    from_s: float = -np.inf
    to_s: float = np.inf
    time_zone: str = "UTC"
    counters: frozenset[str] = frozenset()
    alert_at: float = SEVERITY_FROM["critical"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Whom to tell how far it is: bytes of the file read, then share of time analysed."""

    reading: Callable[[int], None]
    analysing: Callable[[float], None]


class Lane:
    """One detector: its share of the rows, and its open buckets."""

    def __init__(self, bucketing: Bucketing, table: Table, *, own: NDArray[np.int32]) -> None:
        self.bucketing = bucketing
        self._own = own  # own series number by the table's, -1 where it is none of ours
        chosen = np.flatnonzero(own >= 0)
        self._series = tuple(with_workload(table.series[number][1]) for number in chosen.tolist())

    @property
    def width(self) -> int:
        """How many series there can be."""
        return len(self._series)

    def add(self, rows: Rows) -> None:
        """Take the rows that are ours."""
        index = self._own[rows["series"]]
        ours = index >= 0
        if not ours.all():
            index, rows = index[ours], rows[ours]
        self.bucketing.add(self._series, index, time_s=rows["time_s"], value=rows["value"])


def run(request: Request, progress: Progress) -> Summary:
    """Run a backtest. Raises SpecError, TableError, OSError."""
    span_s = request.spec.bucket_span.total_seconds()
    table = Table(request.input, time_zone=request.time_zone)
    with TimePartitions(PARTITION_BUCKETS * span_s) as partitions:
        read(request, table, partitions, progress)
        horizon_s = (partitions.first_s - span_s, partitions.last_s + span_s)
        settings = analysis_settings(
            request.spec, request.filters, catalogue=BUILT_IN, horizon_s=horizon_s
        )
        start_s = np.floor(partitions.first_s / span_s) * span_s
        lanes = [lane(request, table, one, start_s=start_s) for one in settings.detectors]
        summary = Summary(
            alert_at=request.alert_at,
            span_s=span_s,
            rows=partitions.rows,
            series=sum(one.width for one in lanes),
            first_s=partitions.first_s,
            last_s=partitions.last_s,
            notes=notes(request, settings, table, lanes),
        )
        shape = Shape(
            labels=table.label_names,
            metrics=tuple(one.metric for one in settings.detectors),
            span_s=span_s,
            epoch_times=table.epoch_times,
            quoted=needs_quotes(table.series),
        )
        engine = Engine(settings)
        with ResultsFile(request.output, shape, all_buckets=request.all_buckets) as results:
            for blocks in steps(partitions, lanes, span_s=span_s):
                outcome = engine.advance(blocks)
                results.write(blocks, outcome)
                summary.take(outcome)
                reached_s = blocks[0].start_s + len(blocks[0].values) * span_s
                whole_s = max(span_s, partitions.last_s - partitions.first_s)
                progress.analysing(min(1.0, (reached_s - partitions.first_s) / whole_s))
    summary.finish()
    summary.samples = totals([one.bucketing.counts for one in lanes])
    return summary


def read(request: Request, table: Table, partitions: TimePartitions, progress: Progress) -> None:
    """Put the whole table in order of time."""
    for batch in table.batches():
        series, time_s, value = batch.series, batch.time_s, batch.value
        wanted = (time_s >= request.from_s) & (time_s < request.to_s)
        if not wanted.all():
            series, time_s, value = series[wanted], time_s[wanted], value[wanted]
        partitions.add(series, time_s, value)
        progress.reading(batch.rows)
    if not partitions.rows:
        raise TableError(
            [f"{request.input}: has no row with a value in the time asked for; nothing to analyse"]
        )


def lane(request: Request, table: Table, detector: DetectorSettings, *, start_s: float) -> Lane:
    """Choose a detector's rows, and make its bucketing as the worker does."""
    span_s = request.spec.bucket_span.total_seconds()
    counter = detector.metric in request.counters
    own = np.full(len(table.series), -1, np.int32)
    chosen = [
        number
        for number, (metric, labels) in enumerate(table.series)
        if (metric == detector.metric or not table.has_metric)
        and within_target(labels, request.spec.target)
    ]
    own[chosen] = np.arange(len(chosen))
    settings = BucketingSettings(
        detector_index=detector.index,
        function=base_function(detector.function),
        span_s=span_s,
        by=detector.by,
        partition_field=detector.partition_field,
        counter=counter,
        staleness_s=max(STALENESS_S, 2 * span_s),
        retire_s=max(RETIRE_S, RETIRE_BUCKETS * span_s),
    )
    return Lane(Bucketing(settings, start_s), table, own=own)


def steps(
    partitions: TimePartitions, lanes: Sequence[Lane], *, span_s: float
) -> Iterator[list[Block]]:
    """Blocks of all detectors, step by step, of the same buckets each."""
    widest = max(1, *(one.width for one in lanes))
    most = max(1, min(STEP_BUCKETS, STEP_CELLS // widest))
    for until_s, rows in partitions:
        first_s = float(rows["time_s"].min())
        if first_s - lanes[0].bucketing.next_start_s > SKIPPED_S:
            for one in lanes:
                one.bucketing.skip_to(first_s)
        for one in lanes:
            one.add(rows)
        # Nothing comes after the last row's bucket: the last partition ends there, not at its end.
        end_s = min(until_s, (np.floor(partitions.last_s / span_s) + 1) * span_s)
        yield from closed(lanes, end_s, most=most)


def closed(lanes: Sequence[Lane], end_s: float, *, most: int) -> Iterator[list[Block]]:
    """Close buckets up to a time, so many at once."""
    while True:
        blocks = [one.bucketing.close(end_s, most) for one in lanes]
        found = [block for block in blocks if block is not None]
        if not found:
            return
        yield found


def notes(
    request: Request, settings: AnalysisSettings, table: Table, lanes: Sequence[Lane]
) -> list[str]:
    """What a person should know about how the file was understood."""
    found = []
    metrics = sorted({metric for metric, _ in table.series})
    silent = [
        one.metric for one, rows in zip(settings.detectors, lanes, strict=True) if not rows.width
    ]
    if len(silent) == len(lanes):
        wanted = ", ".join(dict.fromkeys(silent))
        there = ", ".join(metrics[:20]) or "no rows"
        message = f"has none of the detectors' metrics ({wanted}) within the target; it has {there}"
        raise TableError([f"{request.input}: {message}"])
    if silent:
        found.append(f"no rows for {', '.join(silent)}")
    if not table.has_metric:
        found.append("the file has no column 'metric': every row counts for every detector")
    for by in sorted({one.by for one in settings.detectors} - set(table.label_names)):
        told = ", ".join(table.label_names) or "none: one series"
        found.append(
            f"the file has no column '{by}': entities are told apart by all labels ({told})"
        )
    if table.empty_values:
        found.append(f"{table.empty_values} rows have no value; they are no samples")
    target = request.spec.target
    if target.selector or target.namespace_selector:
        found.append("selectors of the target are not applied: a file has no Kubernetes labels")
    return found


def totals(counts: Sequence[SampleCounts]) -> SampleCounts:
    """Add up what became of samples."""
    names = [one.name for one in fields(SampleCounts)]
    return SampleCounts(**{name: sum(getattr(one, name) for one in counts) for name in names})
