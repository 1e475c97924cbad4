"""Values as a person reads them: the one table from a metric's unit to words.

Bytes count in powers of 1024, as Kubernetes' memory quantities do; rates stay per second.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """How values of a unit are shown: the base of its steps, their names, and what follows."""

    base: float
    steps: tuple[str, ...]
    suffix: str = ""


_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DECIMAL = ("", "k", "M", "G", "T", "P")

UNITS: dict[str, Unit] = {
    "bytes": Unit(1024.0, _BINARY),
    "bytes/s": Unit(1024.0, _BINARY, "/s"),
    "seconds": Unit(1000.0, ("s",)),
    "cores": Unit(1000.0, ("cores",)),
    "ratio": Unit(1000.0, ("",)),
    "": Unit(1000.0, _DECIMAL),
}
_ALIASES = {
    "byte": "bytes",
    "b": "bytes",
    "bytes/second": "bytes/s",
    "bytes per second": "bytes/s",
    "bytes_per_second": "bytes/s",
    "s": "seconds",
}


def quantity(value: float, unit: str) -> str:
    """Show a value in its unit with three digits.

    Examples
    --------
    >>> quantity(851_443_712, "bytes"), quantity(1536, "bytes/s"), quantity(0.25, "ratio")
    ('812 MiB', '1.5 KiB/s', '0.25')
    >>> quantity(1_250_000, ""), quantity(3.0, "widgets")
    ('1.25 M', '3 widgets')
    """
    known = UNITS.get(_ALIASES.get(unit.lower(), unit.lower()))
    shown = known or Unit(1000.0, (unit,))
    size = abs(value)
    step = 0
    while step + 1 < len(shown.steps) and size >= 999.5 * (shown.base / 1000.0):
        size /= shown.base
        step += 1
    digits = f"{size:.3g}" if size < 999.5 else f"{size:,.0f}"
    sign = "-" if value < 0 else ""
    name = shown.steps[step] + shown.suffix
    return f"{sign}{digits} {name}".rstrip()
