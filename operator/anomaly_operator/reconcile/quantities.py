"""Kubernetes quantities, as far as children need them: written one way, compared by value."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_FACTORS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(
    r"([+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+)(?:[eE]([+-]?[0-9]+)|([a-zA-Z]{0,2}))"
)


def parse_quantity(text: Any) -> Decimal:
    """Value of a quantity in its base unit. Raises ValueError where the text is none.

    Examples
    --------
    >>> parse_quantity("1.5Gi") == parse_quantity("1536Mi")
    True
    >>> parse_quantity("50m") == parse_quantity("0.05")
    True
    """
    match = _QUANTITY.fullmatch(str(text))
    suffix = (match[3] or "") if match else ""
    if match is None or suffix not in _FACTORS:
        raise ValueError(
            f"{text!r} is not a quantity; use a number with a suffix such as Mi, Gi or m"
        )
    number = Decimal(match[1])
    return number.scaleb(int(match[2])) if match[2] else number * _FACTORS[suffix]


def render_bytes(size_bytes: int) -> str:
    """Bytes as the API server itself writes them: the largest binary suffix that stays whole.

    Examples
    --------
    >>> render_bytes(1536 * 2**20), render_bytes(2**30), render_bytes(1000)
    ('1536Mi', '1Gi', '1000')
    """
    for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        unit = int(_FACTORS[suffix])
        if size_bytes and size_bytes % unit == 0:
            return f"{size_bytes // unit}{suffix}"
    return str(size_bytes)
