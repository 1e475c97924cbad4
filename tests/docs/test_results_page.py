"""docs/results.md names every kind of result and every parameter that a worker knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomaly_operator.adapters.http_server import _JOB, _PARAMETERS
from anomaly_operator.adapters.results_query import KINDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results.md"


@pytest.mark.parametrize("word", [_JOB, *KINDS, *sorted(_PARAMETERS)])
def test_what_can_be_asked_for_is_on_the_page(word: str):
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert any(f"`{word}`" in row.split("|")[1] for row in rows)
