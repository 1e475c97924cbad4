"""Append-only journal of what the worker was told since the last snapshots.

A segment file per snapshot, named by the snapshot's position in milliseconds; in it entries of
``length | CRC | body``, the body being ``array_files``' encoding. Label sets are written once a
segment and referred to by number after, since they hardly change from read to read. A torn tail,
as a kill leaves it, ends the replay; the loop asks the source for what is missing.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.adapters import array_files
from anomaly_operator.engine.contract import PlannedEnd
from anomaly_operator.errors import StoreUnavailable
from anomaly_operator.ports import (
    CloseEntry,
    JournalEntry,
    SampleKind,
    Samples,
    SamplesEntry,
    SettingsEntry,
)

_ENTRY = struct.Struct("<II")  # body length, CRC-32 of the body
_SUFFIX = ".journal"


class FileJournal:
    """Journal in a local directory.

    An append that fails, on a full disk say, cuts the file back to its last whole entry, so the
    journal is as it was and the same entry may be offered again.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: FileIO | None = None
        self._position_s = 0.0
        self._numbers: dict[tuple[tuple[str, str], ...], int] = {}

    def append(self, entry: JournalEntry) -> None:
        """Keep one entry, on the disk when this returns. Raises StoreUnavailable."""
        try:
            file = self._open()
            whole = file.tell()
            known = len(self._numbers)
            try:
                body = self._body(entry)
                _write_all(file, _ENTRY.pack(len(body), zlib.crc32(body)) + body)
                os.fsync(file.fileno())
            except OSError:
                while len(self._numbers) > known:
                    self._numbers.popitem()
                self._cut(file, whole)
                raise
        except OSError as error:
            raise StoreUnavailable(f"journal {self._directory}: {error.strerror}") from error

    def rotate(self, position_s: float) -> None:
        """Start a new segment: a snapshot at ``position_s`` now stands for all before."""
        self.close()
        self._position_s = position_s

    def replay(self, position_s: float) -> Iterator[JournalEntry]:
        """Entries of the segments that began at ``position_s`` or later, oldest first."""
        for began_s, path in self._segments():
            if began_s >= position_s:
                yield from _read_segment(path)

    def forget(self, before_s: float) -> None:
        """Drop segments that began before ``before_s``."""
        for began_s, path in self._segments():
            if began_s < before_s:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the file; the next append opens its segment again."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _segments(self) -> list[tuple[float, Path]]:
        found = []
        try:
            for path in self._directory.glob(f"*{_SUFFIX}"):
                name = path.name.removesuffix(_SUFFIX)
                if name.lstrip("-").isdecimal():
                    found.append((int(name) / 1000.0, path))
        except OSError:
            return []
        return sorted(found)

    def _open(self) -> FileIO:
        if self._file is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            path = self._directory / f"{round(self._position_s * 1000)}{_SUFFIX}"
            # Unbuffered: what a failed write leaves behind must be on the disk or nowhere.
            file = path.open("ab", buffering=0)
            whole = 0
            self._numbers = {}
            for body in _bodies_of(path):
                whole += _ENTRY.size + len(body)
                for labels in array_files.decode_meta(body).get("new", ()):
                    self._numbers[_label_key(labels)] = len(self._numbers)
            if file.seek(0, os.SEEK_END) > whole:
                self._cut(file, whole)
            self._file = file
        return self._file

    def _cut(self, file: FileIO, whole: int) -> None:
        """Undo a failed write; where even that fails, reopening cuts the torn tail."""
        try:
            os.ftruncate(file.fileno(), whole)
            file.seek(0, os.SEEK_END)
        except OSError:
            self.close()

    def _body(self, entry: JournalEntry) -> bytes:
        if isinstance(entry, SettingsEntry):
            text = np.frombuffer(entry.job_json, dtype=np.uint8)
            return array_files.encode({"kind": "settings"}, {"job": text})
        if isinstance(entry, CloseEntry):
            return array_files.encode(
                {"kind": "close", "end_s": entry.end_s, "live": entry.live}, {}
            )
        samples = entry.samples
        new = []
        numbers = np.empty(len(samples.series), dtype=np.int32)
        for position, labels in enumerate(samples.series):
            key = _label_key(labels)
            if key not in self._numbers:
                self._numbers[key] = len(self._numbers)
                new.append(dict(labels))
            numbers[position] = self._numbers[key]
        meta = {
            "kind": "samples",
            "detector": entry.detector_index,
            "start_s": entry.start_s,
            "through_s": entry.through_s,
            "sample_kind": samples.kind.value,
            "new": new,
            "ends": [[one.namespace, one.pod, one.from_s, one.until_s] for one in samples.ends],
        }
        columns: dict[str, NDArray[np.generic]] = {
            "series": numbers,
            "index": samples.index,
            "time_s": samples.time_s,
            "value": samples.value,
        }
        return array_files.encode(meta, columns)


def _write_all(file: FileIO, data: bytes) -> None:
    """Write every byte: the system takes a part when the disk is nearly full."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _label_key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _read_segment(path: Path) -> Iterator[JournalEntry]:
    known: list[Mapping[str, str]] = []
    for body in _bodies_of(path):
        meta, arrays = array_files.decode(body)
        if meta["kind"] == "settings":
            yield SettingsEntry(arrays["job"].tobytes())
        elif meta["kind"] == "close":
            yield CloseEntry(meta["end_s"], meta["live"])
        else:
            known += meta["new"]
            yield SamplesEntry(
                meta["detector"],
                meta["start_s"],
                meta["through_s"],
                Samples(
                    kind=SampleKind(meta["sample_kind"]),
                    series=tuple(known[number] for number in arrays["series"].tolist()),
                    index=arrays["index"].astype(np.int32),
                    time_s=arrays["time_s"].astype(np.float64),
                    value=arrays["value"].astype(np.float64),
                    ends=tuple(PlannedEnd(*row) for row in meta.get("ends", ())),
                ),
            )


def _bodies_of(path: Path) -> Iterator[bytes]:
    """Yield every whole entry's body; stop at the first that is torn."""
    try:
        with path.open("rb") as file:
            while len(head := file.read(_ENTRY.size)) == _ENTRY.size:
                length, crc = _ENTRY.unpack(head)
                body = file.read(length)
                if len(body) < length or zlib.crc32(body) != crc:
                    return
                yield body
    except OSError:
        return
