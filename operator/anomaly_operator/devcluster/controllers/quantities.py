"""Kubernetes quantities (``250m``, ``1Gi``) as numbers, for adding up requests."""

from __future__ import annotations

import re
from decimal import Decimal

_FACTORS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
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
_FORM = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkMGTPE]?i?)")


def parse_quantity(text: str | float) -> float:
    """Value of a quantity in its base unit: bytes, cores, pods."""
    match = _FORM.fullmatch(str(text).strip())
    if match is None or match[2] not in _FACTORS:
        raise ValueError(f"{text!r} is no quantity; write it like 250m, 64Mi or 1.5")
    return float(Decimal(match[1]) * _FACTORS[match[2]])
