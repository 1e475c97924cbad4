"""Interim."""

from __future__ import annotations

from typing import Any


def rule_causes(new: Any, schema: Any, *, old: Any) -> list[Any]:
    return []
