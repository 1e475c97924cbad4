"""One history for all: every test goes on from a copy of the same worker's data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.updates.lab import BASE_UNTIL_S, Lab
from tests.updates.scenario import CROWD, PODS, write_table

MakeLab = Callable[[], Lab]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A worker that has learnt four days and was stopped shortly before the edit."""
    folder = tmp_path_factory.mktemp("updates")
    made = Lab(folder / "base", write_table(folder / "table.csv"))
    made.run(BASE_UNTIL_S)
    return made


@pytest.fixture
def lab(base: Lab, tmp_path: Path) -> Lab:
    """The worker's data, to go on from."""
    return base.copied(tmp_path / "lab")


@pytest.fixture
def crowded(base: Lab, tmp_path: Path) -> Lab:
    """The same, and 400 new pods come after the edit."""
    made = base.copied(tmp_path / "crowded")
    made.table = write_table(tmp_path / "table.csv", (*PODS, *CROWD))
    made.edit(generation=1)
    return made
