"""A worker whose files are damaged goes on without hands, with all that can still be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from anomaly_operator.adapters.journal import FileJournal
from anomaly_operator.adapters.results_query import Query, query_results
from anomaly_operator.adapters.results_store import ResultsStore
from anomaly_operator.adapters.snapshot_store import open_snapshot_store
from anomaly_operator.errors import StoreUnavailable
from tests.support.disk import full_at
from tests.support.jobs import START_S, UID
from tests.worker.conftest import SPAN_S, Rig

NOW_S = START_S + 3 * 86400
MIDDLE_S, END_S = NOW_S + 12 * SPAN_S, NOW_S + 24 * SPAN_S


@contextmanager
def real(folder: Path) -> Iterator[Any]:
    """A worker over real files; its source and clock are scripted."""
    rig: Any = Rig()
    rig.folder = folder
    rig.store = ResultsStore(
        str(folder / "results.db"), job_id="shop/memory", shard=0, now_s=rig.clock.now_s
    )
    rig.snapshots = open_snapshot_store(str(folder / "snapshots"), UID, shard=0)
    rig.journal = FileJournal(folder / "journal")
    yield rig
    rig.journal.close()
    rig.store.close()


def documents(rig: Any, kind: str) -> dict[tuple[Any, ...], Any]:
    """Results by what names them."""
    query = Query(kind, limit=10_000)
    try:
        found = query_results(rig.store, query).documents
    except StoreUnavailable:  # whoever meets the damage is told once
        found = query_results(rig.store, query).documents
    names = ("timestamp", "detector_index", "by_field_value", "partition_field_value")
    return {tuple(each.get(name) for name in names): each for each in found}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[tuple[Any, ...], Any]]:
    with real(tmp_path_factory.mktemp("undisturbed")) as rig:
        rig.run_until(MIDDLE_S)
        rig.run_until(END_S)
        return {kind: documents(rig, kind) for kind in ("records", "buckets")}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Any]:
    with real(tmp_path) as made:
        yield made


def overwrite(path: Path, start: float, end: float) -> None:
    """Put noise over a part of a file, given as shares of its size."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(int(size * start))
        file.write(os.urandom(int(size * (end - start)) + 16))


def database_header(rig: Any) -> None:
    overwrite(rig.folder / "results.db", 0.0, 0.0)


def database_middle(rig: Any) -> None:
    overwrite(rig.folder / "results.db", 0.5, 0.6)


def newest_snapshot(rig: Any) -> None:
    newest = max((rig.folder / "snapshots").rglob("*.snapshot"), key=lambda path: path.name)
    overwrite(newest, 0.3, 0.5)


def every_snapshot(rig: Any) -> None:
    for path in (rig.folder / "snapshots").rglob("*.snapshot"):
        overwrite(path, 0.3, 0.5)


def journal(rig: Any) -> None:
    for path in (rig.folder / "journal").rglob("*"):
        if path.is_file():
            overwrite(path, 0.0, 0.1)


LOSSLESS: dict[str, Callable[[Any], None]] = {
    "the newest snapshot": newest_snapshot,
    "every snapshot": every_snapshot,
    "the journal": journal,
}


@pytest.mark.parametrize("damage", LOSSLESS.values(), ids=LOSSLESS)
def test_with_a_damaged_state_the_results_are_the_same(
    rig: Any,
    undisturbed: dict[str, dict[tuple[Any, ...], Any]],
    damage: Callable[[Any], None],
):
    rig.run_until(MIDDLE_S)
    damage(rig)
    rig.run_until(END_S)
    for kind, expected in undisturbed.items():
        found = documents(rig, kind)
        assert found.keys() == expected.keys()
    scores = {key: each["record_score"] for key, each in documents(rig, "records").items()}
    assert scores == {
        key: pytest.approx(each["record_score"], abs=1e-6)
        for key, each in undisturbed["records"].items()
    }


@pytest.mark.parametrize("damage", [database_header, database_middle])
def test_with_a_damaged_database_it_goes_on_in_a_new_one(
    rig: Any,
    undisturbed: dict[str, dict[tuple[Any, ...], Any]],
    damage: Callable[[Any], None],
):
    rig.run_until(MIDDLE_S)
    rig.store.flush()
    rig.store.close()
    damage(rig)
    rig.run_until(END_S)
    found, expected = documents(rig, "buckets"), undisturbed["buckets"]
    since = {key for key in expected if key[0] >= MIDDLE_S * 1000}
    assert since <= found.keys(), "nothing that came after the damage is missing"
    assert found.keys() <= expected.keys()
    if damage is database_middle:
        assert len(found) > len(since), "something could be read, and was saved"
    assert (rig.folder / "results.db.damaged").exists()
    assert rig.condition("ResultsStored")["status"] == "True"


def test_a_full_disk_is_waited_out_and_nothing_is_lost(
    rig: Any, undisturbed: dict[str, dict[tuple[Any, ...], Any]]
):
    rig.run_until(MIDDLE_S)
    seen: list[str] = []
    with full_at(64 * 1024):
        rig.run_until(END_S - 6 * SPAN_S)
        seen.append(rig.condition("ResultsStored")["status"])
    rig.run_until(END_S)
    assert seen == ["False"]
    assert rig.condition("ResultsStored")["status"] == "True"
    for kind, expected in undisturbed.items():
        assert documents(rig, kind).keys() == expected.keys()
