"""Interim."""

from __future__ import annotations

from typing import Any


def rule_definition_causes(schema: Any, *, path: str) -> list[Any]:
    return []
