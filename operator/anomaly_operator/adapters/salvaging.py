"""A damaged SQLite file is set aside, and what can still be read of it goes into a new one.

Nobody should have to repair a volume by hand before a worker goes on. The damaged file stays beside
the new one for whoever wants to try harder; the newest only, so that a bad disk does not fill up.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

DAMAGED = ".damaged"
_SIDES = ("", "-wal", "-shm")
_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF  # extended result codes hold the primary one in their lowest byte


def is_damage(error: BaseException | None) -> bool:
    """Whether an error says that the file itself is broken."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY in _CODES


def set_aside(path: Path) -> Path:
    """Move the file and its companions away; gives where to. Raises OSError."""
    aside = path.with_name(path.name + DAMAGED)
    for side in _SIDES:
        source, target = Path(f"{path}{side}"), Path(f"{aside}{side}")
        target.unlink(missing_ok=True)
        if source.exists():
            source.rename(target)
    return aside


def salvage(aside: Path, path: Path, *, tables: tuple[str, ...], job_id: str) -> int:
    """Copy the job's readable rows into the new file's tables; gives how many.

    A table is read from its beginning up to the damage and from its end back to it; a row that is
    not the job's, or that the new table does not take, is no row.
    """
    saved = 0
    with contextlib.closing(sqlite3.connect(path)) as new:
        for table in tables:
            for row in _readable(aside, table):
                if job_id not in row.values():
                    continue
                names = ",".join(row)
                marks = ",".join("?" * len(row))
                with contextlib.suppress(sqlite3.Error):
                    done = new.execute(
                        f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - our schema's names
                        tuple(row.values()),
                    )
                    saved += done.rowcount
            new.commit()
    return saved


def _readable(aside: Path, table: str) -> Iterator[dict[str, Any]]:
    for order in ("ASC", "DESC"):
        try:
            with contextlib.closing(sqlite3.connect(f"file:{aside}?mode=ro", uri=True)) as old:
                old.row_factory = sqlite3.Row
                for row in old.execute(f"SELECT * FROM {table} ORDER BY rowid {order}"):  # noqa: S608 - as above
                    yield dict(row)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            logger.info("damaged table %s, read %s: %s", table, order, error)
        else:
            return
