"""Writes a backtest's results as CSV while they come.

Records are few and go through the standard library; every bucket of every series is many, and goes
through Arrow in columns. Scores that renormalisation changes later are put right in a last pass,
for which only the positions of records are kept.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from anomaly_operator.engine.contract import Block, Floats, Outcome, Record, SeriesKey, SeriesSet

FIRST = ("timestamp", "detector_index", "metric")
FIGURES = (
    "actual",
    "typical",
    "lower",
    "upper",
    "probability",
    "multi_bucket_impact",
    "initial_record_score",
    "record_score",
    "log10_probability",  # says how much where the probability is too small for a float
)
WORDS = ("summary", "explanation")  # of records
LN10 = math.log(10)
DIGITS = 4  # of scores and impacts
SMALLEST = math.ulp(0.0)  # a probability is never zero; its logarithm says how small it is
Key = tuple[float, int, SeriesKey]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the output file looks like."""

    labels: tuple[str, ...]  # the input's label columns
    metrics: tuple[str, ...]  # by detector
    span_s: float
    epoch_times: bool  # as in the input; RFC 3339 otherwise
    quoted: bool  # a label holds what CSV must quote


class Writer(Protocol):
    """Appends results to a file; tells which row each record went to."""

    columns: tuple[str, ...]

    def write(
        self, blocks: Sequence[Block], outcome: Outcome, row_of: Callable[[Key, int], None]
    ) -> int:
        """Append one step's results; returns how many rows."""

    def close(self) -> None:
        """Write what is still held."""


class RecordsWriter:
    """Records alone."""

    def __init__(self, path: Path, shape: Shape) -> None:
        self.columns = (*FIRST, *shape.labels, *FIGURES, *WORDS)
        self._shape = shape
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._csv.writerow(self.columns)

    def write(
        self,
        blocks: Sequence[Block],  # noqa: ARG002 - the other writer's input
        outcome: Outcome,
        row_of: Callable[[Key, int], None],
    ) -> int:
        """Append one step's records."""
        for number, record in enumerate(outcome.records):
            row_of((record.timestamp_s, record.detector_index, record.series), number)
            self._csv.writerow(self._row(record))
        return len(outcome.records)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _row(self, record: Record) -> list[Any]:
        explanation = record.explanation
        return [
            written_time(record.timestamp_s, epoch=self._shape.epoch_times),
            record.detector_index,
            self._shape.metrics[record.detector_index],
            *(record.labels.get(name, "") for name in self._shape.labels),
            record.actual,
            record.typical,
            explanation.lower_confidence_bound,
            explanation.upper_confidence_bound,
            max(math.exp(record.log_p), SMALLEST),
            round(record.multi_bucket_impact, DIGITS),
            round(record.initial_record_score, DIGITS),
            round(record.record_score, DIGITS),
            round(record.log_p / LN10, DIGITS),
            record.summary,
            explanation.sentence,
        ]


class BucketsWriter:
    """Every bucket that has a value, of every series."""

    def __init__(self, path: Path, shape: Shape) -> None:
        self.columns = (*FIRST, *shape.labels, *FIGURES)
        self._shape = shape
        time = pa.int64() if shape.epoch_times else pa.string()
        if shape.epoch_times and shape.span_s % 1:
            time = pa.float64()
        types = [time, pa.int32(), pa.string(), *(pa.string() for _ in shape.labels)]
        types += [pa.float64() for _ in FIGURES]
        self._schema = pa.schema(list(zip(self.columns, types, strict=True)))
        self._file = path.open("wb")
        options = pacsv.WriteOptions(
            quoting_style="needed" if shape.quoted else "none", include_header=False
        )
        self._file.write((",".join(self.columns) + "\n").encode())
        self._csv = pacsv.CSVWriter(self._file, self._schema, write_options=options)
        self._set: SeriesSet | None = None
        self._labels: list[pa.Array] = []

    def write(
        self, blocks: Sequence[Block], outcome: Outcome, row_of: Callable[[Key, int], None]
    ) -> int:
        """Append one step's buckets, detector by detector, in order of time."""
        written = 0
        for block in blocks:
            columns = outcome.columns.get(block.detector_index)
            rows, positions = np.nonzero(block.counts)
            if columns is None or not len(rows):
                continue
            for number, key in self._records(block, outcome, rows, positions):
                row_of(key, written + number)
            log_p = columns.log_p[rows, positions]
            # What was not judged yet is no anomaly; what is expected of it stays unknown.
            score = np.round(np.nan_to_num(columns.score[rows, positions]), DIGITS)
            figures = (
                block.values[rows, positions],
                columns.typical[rows, positions],
                columns.lower[rows, positions],
                columns.upper[rows, positions],
                np.maximum(np.exp(log_p), SMALLEST),
                np.round(columns.multi_bucket_impact[rows, positions], DIGITS),
                score,
                score,
                np.round(log_p / LN10, DIGITS),
            )
            self._csv.write_batch(
                pa.record_batch(
                    [*self._names(block, rows, positions), *(map(_figure, figures))],
                    schema=self._schema,
                )
            )
            written += len(rows)
        return written

    def close(self) -> None:
        """Write what Arrow holds, and close the file."""
        self._csv.close()
        self._file.close()

    def _records(
        self, block: Block, outcome: Outcome, rows: np.ndarray, positions: np.ndarray
    ) -> list[tuple[int, Key]]:
        """Position among the rows written of each record of a block."""
        ours = [one for one in outcome.records if one.detector_index == block.detector_index]
        if not ours:
            return []
        width = len(block.series.keys)
        place_of = {key: position for position, key in enumerate(block.series.keys)}
        cells = rows.astype(np.int64) * width + positions
        found = []
        for record in ours:
            row = round((record.timestamp_s - block.start_s) / self._shape.span_s)
            cell = row * width + place_of[record.series]
            number = int(np.searchsorted(cells, cell))
            found.append((number, (record.timestamp_s, record.detector_index, record.series)))
        return found

    def _names(self, block: Block, rows: np.ndarray, positions: np.ndarray) -> list[pa.Array]:
        """Columns that say when and whose."""
        if block.series is not self._set:
            self._set = block.series
            self._labels = [
                pa.array([labels.get(name, "") for labels in block.series.labels], pa.string())
                for name in self._shape.labels
            ]
        starts = block.start_s + np.arange(len(block.values)) * self._shape.span_s
        times = [written_time(start_s, epoch=self._shape.epoch_times) for start_s in starts]
        taken = pa.array(positions.astype(np.int32))
        metric = self._shape.metrics[block.detector_index]
        nothing = pa.array(np.zeros(len(rows), np.int32))
        return [
            pa.array(times, self._schema.field(0).type).take(pa.array(rows.astype(np.int32))),
            pa.array([block.detector_index], pa.int32()).take(nothing),
            pa.array([metric], pa.string()).take(nothing),
            *(labels.take(taken) for labels in self._labels),
        ]


class ResultsFile:
    """The output file: written beside its name, and renamed when it is whole."""

    def __init__(self, path: Path, shape: Shape, *, all_buckets: bool) -> None:
        self.rows = 0
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._writer: Writer = (BucketsWriter if all_buckets else RecordsWriter)(self._part, shape)
        self._rows: dict[Key, int] = {}
        self._changed: dict[int, float] = {}  # row to its score after renormalisation

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        if kind is not None:
            self._part.unlink(missing_ok=True)
            return
        if self._changed:
            self._correct()
        self._part.replace(self._path)

    def write(self, blocks: Sequence[Block], outcome: Outcome) -> None:
        """Append what one step concluded."""
        before = self.rows

        def remember(key: Key, number: int) -> None:
            self._rows[key] = before + number

        self.rows += self._writer.write(blocks, outcome, remember)
        for change in outcome.rescores:
            row = self._rows.get((change.timestamp_s, change.detector_index, change.series))
            if row is not None:
                self._changed[row] = change.score

    def _correct(self) -> None:
        """Copy the file with the scores that were changed after they were written."""
        column = self._writer.columns.index("record_score")
        corrected = self._part.with_suffix(".corrected")
        with (
            self._part.open(encoding="utf-8", newline="") as source,
            corrected.open("w", encoding="utf-8", newline="") as target,
        ):
            rows = csv.reader(source)
            out = csv.writer(target, lineterminator="\n")
            out.writerow(next(rows))
            for number, row in enumerate(rows):
                if number in self._changed:
                    row[column] = str(round(self._changed[number], DIGITS))
                out.writerow(row)
        corrected.replace(self._part)


def written_time(time_s: float, *, epoch: bool) -> str | int | float:
    """Spell a time as the input did: epoch seconds, or RFC 3339 in UTC."""
    if epoch:
        return int(time_s) if time_s == int(time_s) else float(time_s)
    moment = datetime.fromtimestamp(time_s, UTC)
    return moment.isoformat().replace("+00:00", "Z")


def needs_quotes(series: Sequence[tuple[str, Mapping[str, str]]]) -> bool:
    """Whether some label holds a comma, a quote or a line's end."""
    special = frozenset(',"\r\n')
    return any(
        not special.isdisjoint(value)
        for metric, labels in series
        for value in (metric, *labels.values())
    )


def _figure(values: Floats) -> pa.Array:
    return pa.array(values, from_pandas=True)  # NaN is an empty field
