"""One history for all: every test goes on from a copy of the same worker's data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.jobs import rfc3339
from tests.updates.lab import BASE_UNTIL_S, Lab
from tests.updates.scenario import CROWD, FLOOD, FLOOD_FROM_S, PODS, write_table

MakeLab = Callable[[str], Lab]


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


@pytest.fixture(scope="session")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Another worker, that has learnt the pods of the flood too."""
    folder = tmp_path_factory.mktemp("flooded")
    made = Lab(folder / "base", write_table(folder / "table.csv", (*PODS, *FLOOD)))
    made.edit(generation=1, start=rfc3339(FLOOD_FROM_S))
    made.run(BASE_UNTIL_S)
    return made


@pytest.fixture
def laboratory(base: Lab, request: pytest.FixtureRequest, tmp_path: Path) -> MakeLab:
    """Give a worker's data to go on from, by what will happen: plain, crowd or flood."""

    def make(happens: str) -> Lab:
        if happens == "flood":
            learnt: Lab = request.getfixturevalue("flooded")
            return learnt.copied(tmp_path / "flood")
        made = base.copied(tmp_path / happens)
        if happens == "crowd":  # 400 new pods come after the edit
            made.table = write_table(tmp_path / "table.csv", (*PODS, *CROWD))
            made.edit(generation=1)
        return made

    return make
