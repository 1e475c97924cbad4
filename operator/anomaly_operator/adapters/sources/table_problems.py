"""What is wrong with a table, with line and column: the slow, exact second look after a failure."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from anomaly_operator.errors import AnomalyOperatorError

MILLISECONDS_FROM = 1e11  # as seconds, the year 5138
SHOWN = 20  # problems told; a file with more has one cause


class TableError(AnomalyOperatorError):
    """A table cannot be used; carries every problem found, up to a limit."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def header_problems(path: Path, names: Sequence[str]) -> list[str]:
    """Find what the column names lack."""
    if not names:
        return [f"{path}: is empty; the first line must name the columns"]
    problems = [
        f"{path}:1: column '{name}' is missing; there are {', '.join(names)}"
        for name in ("timestamp", "value")
        if name not in names
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [f"{path}:1: column '{name}' stands there twice" for name in twice]
    if "" in names:
        problems.append(f"{path}:1: column {list(names).index('') + 1} has no name")
    return problems


def locate_problems(path: Path, *, compressed: bool, zone: ZoneInfo) -> list[str]:
    """Read a CSV file row by row and say which fields cannot be used."""
    problems: list[str] = []
    opened: Any = gzip.open if compressed else open
    line = 0
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            names = [name.strip() for name in next(rows, [])]
            for row in rows:
                line = rows.line_num
                for problem in row_problems(names, row, zone):
                    if len(problems) == SHOWN:
                        return [*problems, f"{path}: more problems follow; these are the first"]
                    problems.append(f"{path}:{line}: {problem}")
    except UnicodeDecodeError as error:
        problems.append(f"{path}: after line {line}: is not UTF-8 ({error.reason})")
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        problems.append(f"{path}: after line {line}: {error}")
    return problems


def row_problems(names: Sequence[str], row: Sequence[str], zone: ZoneInfo) -> Iterator[str]:
    """Find what is wrong with one row."""
    if not row:
        return
    if len(row) != len(names):
        yield f"has {len(row)} fields, the header {len(names)}"
        return
    fields = dict(zip(names, row, strict=True))
    time, value = fields["timestamp"].strip(), fields["value"].strip()
    if time_of(time, zone) is None:
        yield (
            f"timestamp (column {names.index('timestamp') + 1}): '{time}' is no time; write epoch "
            "seconds or RFC 3339, such as 2024-05-01T10:00:00Z"
        )
    if value and not is_number(value):
        yield f"value (column {names.index('value') + 1}): '{value}' is not a number"


def time_of(written: str, zone: ZoneInfo) -> float | None:
    """Epoch seconds of a written time; None where it is none."""
    try:
        number = float(written)
    except ValueError:
        try:
            moment = datetime.fromisoformat(written.upper().replace(" +", "+"))
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    if not math.isfinite(number):
        return None
    return number / 1000 if abs(number) >= MILLISECONDS_FROM else number


def is_number(written: str) -> bool:
    """Whether a field is a number; NaN and infinities are, and are counted as no sample later."""
    try:
        float(written)
    except ValueError:
        return False
    return "_" not in written  # Python's own spelling
