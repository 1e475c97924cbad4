"""Keeps the stored objects on disk: one JSON line a change, rewritten as a whole at the start.

A server that is killed leaves at most one torn last line, which is skipped: the client of that
write never got its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from anomaly_operator.devcluster.apiserver.documents import Document

Entry = tuple[str, tuple[str, str], int, Document | None]
"""(table, (namespace, name), revision, document or None for a deletion)."""


def _line(entry: Entry) -> bytes:
    return orjson.dumps(entry) + b"\n"


class Journal:
    """An append-only file of changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    def read(self) -> Iterator[Entry]:
        """Yield every entry that was written whole."""
        for line in self._path.read_bytes().splitlines():
            try:
                table, key, revision, document = orjson.loads(line)
            except (orjson.JSONDecodeError, ValueError):
                continue
            yield table, (key[0], key[1]), revision, document

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Replace the file by what is still true, so it does not grow from start to start."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(_line(entry) for entry in entries)
        self._file.close()
        fresh.replace(self._path)
        self._file = self._path.open("ab")

    def append(
        self, table: str, key: tuple[str, str], *, revision: int, document: Document | None
    ) -> None:
        """Add a change; flushed to the kernel, so only a crash of the machine loses it."""
        self._file.write(_line((table, key, revision, document)))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
