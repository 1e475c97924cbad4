"""Durations, byte sizes and times as people write them, turned into numbers.

API models parse with these functions, so that YAML keeps the writer's spelling and Python sees
seconds, bytes and aware datetimes. Every function raises ValueError with a message that says what
would be right.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

MIB = 2**20

DURATION_PATTERN = r"^([0-9]{1,5}d)?([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?$"
"""Durations that a manifest may hold (and not empty): whole seconds, each unit once at most."""

BYTE_SIZE_PATTERN = (
    r"^([0-9]{1,15}[bB]|[0-9]{1,9}([kKmMgG][bB]|[KMG]i|[kMG])|[0-9]{1,6}([tT][bB]|Ti|T))$"
)
"""Byte sizes that a manifest may hold: Elastic's units (`11mb`) or Kubernetes' (`11Mi`, `11M`)."""

_UNITS_US = {
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "micros": 1,
}
_PART = re.compile(r"([0-9]+)([a-z]+)")
_RFC3339 = re.compile(
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_BYTES = re.compile(BYTE_SIZE_PATTERN)
_BINARY = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_duration(text: str) -> timedelta:
    """Turn ``15m``, ``1h30m`` or ``30d`` into a span; Elastic's ``ms`` and ``micros`` too.

    Examples
    --------
    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)
    >>> parse_duration("1500ms").total_seconds()
    1.5
    """
    parts = _PART.findall(text)
    if (
        not parts
        or "".join(number + unit for number, unit in parts) != text
        or any(unit not in _UNITS_US for _, unit in parts)
    ):
        message = f"'{text}' is not a duration; use numbers with d, h, m or s, such as 15m or 1h30m"
        raise ValueError(message)
    try:
        return timedelta(microseconds=sum(int(n) * _UNITS_US[unit] for n, unit in parts))
    except OverflowError:
        message = f"'{text}' is longer than any duration can be"
        raise ValueError(message) from None


def format_duration(span: timedelta) -> str:
    """Shortest spelling that ``parse_duration`` reads back.

    Examples
    --------
    >>> format_duration(timedelta(minutes=90)), format_duration(timedelta(0))
    ('1h30m', '0s')
    """
    rest = span // timedelta(microseconds=1)
    parts = []
    for unit, size_us in _UNITS_US.items():
        count, rest = divmod(rest, size_us)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_byte_size(value: str | int) -> int:
    """Bytes of an Elastic or Kubernetes size; a bare number is MiB, as Elastic has it.

    Units that end in ``b`` are Elastic's, powers of 1024 in either case; ``Ki``, ``Mi``... are
    powers of 1024 and ``k``, ``M``... of 1000, as in Kubernetes. A string without a unit is
    refused: read as MiB or as bytes it would be wrong by a factor of a million for somebody.

    Examples
    --------
    >>> parse_byte_size("11mb"), parse_byte_size(11), parse_byte_size("11M")
    (11534336, 11534336, 11000000)
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        message = f"{value!r} is not a byte size; write it such as 1024mb or 1Gi"
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueError
    if isinstance(value, int):
        return value * MIB
    if not _BYTES.match(value):
        hint = f"; did you mean {value}mb?" if value.isdigit() else ""
        message = f"'{value}' is not a byte size; write it such as 1024mb or 1Gi{hint}"
        raise ValueError(message)
    number = int(value.rstrip("bBiKkMmGgTt"))
    unit = value[len(value.rstrip("bBiKkMmGgTt")) :]
    base = 1024 if unit[-1] in "bBi" else 1000
    return int(number * base ** _BINARY[unit.rstrip("bBi").lower()])


def format_byte_size(size_bytes: int) -> str:
    """Spell bytes in Elastic's form, in MiB where it is whole.

    Examples
    --------
    >>> format_byte_size(11 * MIB), format_byte_size(1000)
    ('11mb', '1000b')
    """
    whole, rest = divmod(size_bytes, MIB)
    return f"{size_bytes}b" if rest else f"{whole}mb"


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time as an aware datetime in UTC.

    Examples
    --------
    >>> parse_time("2024-05-01T12:00:00+02:00").isoformat()
    '2024-05-01T10:00:00+00:00'
    """
    message = f"'{text}' is not an RFC 3339 time; write it such as 2024-05-01T10:00:00Z"
    if not _RFC3339.match(text):
        raise ValueError(message)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(message) from None


def format_time(moment: datetime) -> str:
    """Spell a time as RFC 3339 in UTC, with a ``Z``; microseconds only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
