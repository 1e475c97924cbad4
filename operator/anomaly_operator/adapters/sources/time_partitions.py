"""Rows put in order of time whatever their order in the file, in bounded memory.

Rows go into partitions of time, in memory first; what does not fit is appended to a temporary file
for each partition. A partition is small enough to be sorted by whoever reads it. This is a bucket
sort to disk: one pass in, one pass out, nothing compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import Floats

ROW = np.dtype([("series", np.int32), ("time_s", np.float64), ("value", np.float64)])
MEMORY_BYTES = 384 << 20  # 19 million rows; typical files never touch the disk
MAX_PARTITIONS = 4096  # above this many, partitions become four times as wide
Rows = NDArray[np.void]


class TimePartitions:
    """Takes rows in any order, gives them back partition by partition in order of time.

    Parameters
    ----------
    width_s
        Length of a partition; grows where the rows span too many of them.
    memory_bytes
        Rows beyond this go to disk.
    """

    def __init__(self, width_s: float, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self.width_s = width_s
        self.rows = 0
        self.first_s, self.last_s = np.inf, -np.inf
        self._memory_bytes = memory_bytes
        self._held: dict[int, list[Rows]] = {}
        self._held_bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._spilled: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, series: NDArray[np.int32], time_s: Floats, value: Floats) -> None:
        """Take rows."""
        if not len(time_s):
            return
        rows = np.empty(len(time_s), ROW)
        rows["series"], rows["time_s"], rows["value"] = series, time_s, value
        self.rows += len(rows)
        self.first_s = min(self.first_s, float(time_s.min()))
        self.last_s = max(self.last_s, float(time_s.max()))
        while (self.last_s - self.first_s) / self.width_s > MAX_PARTITIONS:
            self._widen()
        number = np.floor(time_s / self.width_s).astype(np.int64)
        if number[0] == number[-1] and np.all(number == number[0]):
            self._hold(int(number[0]), rows)
        else:
            order = np.argsort(number, kind="stable")
            number, rows = number[order], rows[order]
            starts = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [len(rows)]])
            for begin, end in pairwise(starts):
                self._hold(int(number[begin]), rows[begin:end].copy())
        if self._held_bytes > self._memory_bytes:
            self._spill()

    def __iter__(self) -> Iterator[tuple[float, Rows]]:
        """Yield (end of the partition, its rows in the order they came) in order of time.

        Partitions without rows are left out; each is given once, and its memory freed.
        """
        for number in sorted(self._held.keys() | self._spilled):
            parts = self._held.pop(number, [])
            if number in self._spilled:
                file = self._file(number)
                parts.insert(0, np.fromfile(file, ROW))
                file.unlink()
            yield (number + 1) * self.width_s, np.concatenate(parts)

    def close(self) -> None:
        """Drop everything."""
        self._held.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _hold(self, number: int, rows: Rows) -> None:
        self._held.setdefault(number, []).append(rows)
        self._held_bytes += rows.nbytes

    def _spill(self) -> None:
        """Append all that is in memory to the partitions' files."""
        for number, parts in self._held.items():
            with self._file(number).open("ab") as file:
                for rows in parts:
                    rows.tofile(file)
            self._spilled.add(number)
        self._held.clear()
        self._held_bytes = 0

    def _widen(self) -> None:
        """Make partitions four times as wide; files of those that become one are joined."""
        self.width_s *= 4
        held, self._held = self._held, {}
        for number, parts in held.items():
            self._held.setdefault(number // 4, []).extend(parts)
        spilled, self._spilled = sorted(self._spilled), set()
        for number in spilled:
            old = self._file(number)
            rows = np.fromfile(old, ROW)
            old.unlink()
            with self._file(number // 4).with_suffix(".wider").open("ab") as file:
                rows.tofile(file)
            self._spilled.add(number // 4)
        for number in self._spilled:
            wide = self._file(number)
            wide.with_suffix(".wider").rename(wide)

    def _file(self, number: int) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="anomaly-rows-")
        return Path(self._folder.name) / f"{number}.rows"
