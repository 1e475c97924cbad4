"""Reading a long table of samples: CSV, CSV.gz or Parquet, batch by batch, in columns.

Columns ``timestamp`` and ``value`` must be there, ``metric`` may be; any other column is a label.
Times are epoch seconds (numbers from 10^11 on are milliseconds), RFC 3339, or without an offset in
a time zone that the caller names. A row without a value is no sample.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from anomaly_operator.adapters.sources.table_problems import (
    MILLISECONDS_FROM,
    TableError,
    header_problems,
    locate_problems,
    time_of,
)
from anomaly_operator.engine.contract import Floats

TIME, METRIC, VALUE = "timestamp", "metric", "value"
BLOCK_BYTES = 8 << 20  # of CSV text at once: about 150 000 rows
PARQUET_ROWS = 1 << 18
_SEPARATOR = "\x1f"  # the ASCII unit separator: in no name
_OFFSET = r"[zZ]$|[+-][0-9]{2}:?[0-9]{2}$"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows: series numbers, times, values, and how many rows of the file they were."""

    series: NDArray[np.int32]
    time_s: Floats
    value: Floats
    rows: int


class Table:
    """One table file.

    ``series[number]`` are a series' metric and labels; the list grows while batches are read.

    Parameters
    ----------
    path
        The file.
    form
        ``csv``, ``csv.gz`` or ``parquet``; None goes by the file's ending.
    time_zone
        Where times without an offset are reckoned.
    """

    def __init__(self, path: Path, form: str | None = None, *, time_zone: str = "UTC") -> None:
        self.path = path
        self.form = form or form_of(path)
        self.series: list[tuple[str, Mapping[str, str]]] = []
        self.label_names: tuple[str, ...] = ()
        self.has_metric = False
        self.epoch_times = True  # whether times were written as numbers
        self.empty_values = 0
        self._zone = time_zone
        self._numbers: dict[str, int] = {}

    def batches(self) -> Iterator[Batch]:
        """Read the file once. Raises TableError with every problem found, up to a limit."""
        try:
            reader = self._parquet() if self.form == "parquet" else self._csv()
            for columns in reader:
                yield self._batch(columns)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeDecodeError, gzip.BadGzipFile) as error:
            raise self._located(error) from error
        except OSError as error:
            raise TableError([f"{self.path}: cannot be read: {error}"]) from error

    def _csv(self) -> Iterator[pa.RecordBatch]:
        compression = "gzip" if self.form == "csv.gz" else None
        with pa.input_stream(str(self.path), compression=compression) as stream:
            head = first_line(self.path, compressed=compression is not None)
            self._columns(head)
            reader = pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(block_size=BLOCK_BYTES),
                parse_options=pacsv.ParseOptions(newlines_in_values=True),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(head, pa.string()), strings_can_be_null=False
                ),
            )
            yield from reader

    def _parquet(self) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(str(self.path)) as file:
            self._columns(file.schema_arrow.names)
            yield from file.iter_batches(batch_size=PARQUET_ROWS)

    def _columns(self, names: list[str]) -> None:
        problems = header_problems(self.path, names)
        if problems:
            raise TableError(problems)
        self.has_metric = METRIC in names
        self.label_names = tuple(name for name in names if name not in {TIME, METRIC, VALUE})

    def _batch(self, columns: pa.RecordBatch) -> Batch:
        value = numbers(columns.column(VALUE))
        present = pc.is_valid(value)
        rows = len(columns)
        if not pc.all(present).as_py():
            self.empty_values += rows - (pc.sum(present).as_py() or 0)
            columns, value = columns.filter(present), value.filter(present)
        return Batch(
            series=self._series(columns),
            time_s=self._times(columns.column(TIME)),
            value=value.to_numpy(zero_copy_only=False).astype(np.float64, copy=False),
            rows=rows,
        )

    def _series(self, columns: pa.RecordBatch) -> NDArray[np.int32]:
        """Number each row's series; Python work is per series, not per row."""
        names = [*([METRIC] if self.has_metric else []), *self.label_names]
        if not len(columns):
            return np.empty(0, np.int32)
        texts = [text(columns.column(name)) for name in names]
        if not texts:
            texts = [pa.array([""] * len(columns))]
        joined = texts[0]
        if len(texts) > 1:
            joined = pc.binary_join_element_wise(*texts, _SEPARATOR)
        encoded = pc.dictionary_encode(joined)
        known = np.fromiter(
            (self._number(one, names) for one in encoded.dictionary.to_pylist()), np.int32
        )
        codes: NDArray[np.int32] = encoded.indices.to_numpy(zero_copy_only=False)
        return known[codes]

    def _number(self, joined: str, names: list[str]) -> int:
        number = self._numbers.get(joined)
        if number is None:
            number = self._numbers[joined] = len(self.series)
            labels = dict(zip(names, joined.split(_SEPARATOR), strict=True)) if names else {}
            metric = labels.pop(METRIC, "")
            self.series.append((metric, {name: one for name, one in labels.items() if one}))
        return number

    def _times(self, column: pa.Array) -> Floats:
        if pa.types.is_timestamp(column.type):
            self.epoch_times = False
            zoned = column if column.type.tz else pc.assume_timezone(column, self._zone)
            return seconds(zoned)
        if pa.types.is_date(column.type):
            self.epoch_times = False
            return seconds(pc.assume_timezone(pc.cast(column, pa.timestamp("ms")), self._zone))
        if pc.any(pc.is_null(column)).as_py():
            raise pa.ArrowInvalid("a timestamp is missing")
        try:
            time_s: Floats = np.array(as_numbers(column).to_numpy(zero_copy_only=False), float)
        except pa.ArrowInvalid:
            self.epoch_times = False
            return self._written_times(pc.utf8_trim_whitespace(column))
        if not np.all(np.isfinite(time_s)):
            raise pa.ArrowInvalid("a timestamp is not a finite number")
        time_s[np.abs(time_s) >= MILLISECONDS_FROM] /= 1000
        return time_s

    def _written_times(self, column: pa.Array) -> Floats:
        """Parse times as people write them; with and without offset may stand side by side."""
        zoned = pc.match_substring_regex(column, _OFFSET)
        try:
            if pc.all(zoned).as_py():
                return seconds(pc.cast(column, pa.timestamp("ns", "UTC")))
            if not pc.any(zoned).as_py():
                return seconds(self._here(pc.cast(column, pa.timestamp("ns"))))
        except pa.ArrowInvalid:
            pass  # spelt in a way that Arrow does not know, or no time at all
        zone = ZoneInfo(self._zone)
        times = [time_of(written, zone) for written in column.to_pylist()]
        if None in times:
            raise pa.ArrowInvalid("a timestamp cannot be read")
        return np.array(times, np.float64)

    def _here(self, local: pa.Array) -> pa.Array:
        """Place times without an offset; an hour that happens twice is taken as the first."""
        return pc.assume_timezone(local, self._zone, ambiguous="earliest", nonexistent="latest")

    def _located(self, error: Exception) -> TableError:
        if self.form == "parquet":
            return TableError([f"{self.path}: {error}"])
        problems = locate_problems(
            self.path, compressed=self.form == "csv.gz", zone=ZoneInfo(self._zone)
        )
        return TableError(problems or [f"{self.path}: {error}"])


def form_of(path: Path) -> str:
    """Form that a file's ending tells of; CSV where it tells none."""
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    return "csv.gz" if name.endswith(".gz") else "csv"


def first_line(path: Path, *, compressed: bool) -> list[str]:
    """Column names of a CSV file."""
    opened: Any = gzip.open if compressed else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        line = file.readline().strip("\r\n")
    return [name.strip().strip('"') for name in line.split(",")] if line else []


def numbers(column: pa.Array) -> pa.Array:
    """Values as floats; empty fields and nulls are null."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        empty = pc.equal(trimmed, "")
        if pc.any(empty).as_py():
            trimmed = pc.if_else(empty, pa.scalar(None, pa.string()), trimmed)
        return pc.cast(trimmed, pa.float64())
    return pc.cast(column, pa.float64(), safe=False)


def as_numbers(column: pa.Array) -> pa.Array:
    """Times written as numbers."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
    return pc.cast(column, pa.float64(), safe=False)


def text(column: pa.Array) -> pa.Array:
    """Labels as strings, absent ones empty."""
    if not pa.types.is_string(column.type):
        column = pc.cast(column, pa.string())
    return pc.fill_null(column, "") if column.null_count else column


def seconds(times: pa.Array) -> Floats:
    """Epoch seconds of zoned times."""
    whole = pc.cast(pc.cast(times, pa.timestamp("ns", "UTC")), pa.int64())
    found: Floats = whole.to_numpy(zero_copy_only=False).astype(np.float64) / 1e9
    return found
