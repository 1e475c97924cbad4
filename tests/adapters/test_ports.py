"""Every implementation of a port, fake or real, keeps the port's laws."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from anomaly_operator.adapters.journal import FileJournal
from anomaly_operator.adapters.results_store import ResultsStore
from anomaly_operator.adapters.snapshot_store import open_snapshot_store
from tests.support import ports_conformance
from tests.support.databases import fresh_database
from tests.support.fakes import MemoryJournal, MemorySnapshots, MemoryStore

numbers = itertools.count()


def once(made: Any) -> Callable[[], Any]:
    """Give the same object at every call: what is in memory does not outlive its process."""
    return lambda: made


@pytest.fixture(params=["fake", "directory", "s3"])
def make_snapshots(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    if request.param == "fake":
        return once(MemorySnapshots())
    if request.param == "directory":
        return lambda: open_snapshot_store(str(tmp_path / "snapshots"), "uid-1", shard=0)
    endpoint = request.getfixturevalue("s3_endpoint")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket = f"models-{next(numbers)}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=bucket)
    url = f"s3://{bucket}/detectors?endpoint={endpoint}&region=us-east-1"
    return lambda: open_snapshot_store(url, "uid-1", shard=0)


@pytest.mark.parametrize("law", ports_conformance.SNAPSHOT_STORE_LAWS)
def test_snapshot_stores(make_snapshots: Callable[[], Any], law: Callable[[Any], None]) -> None:
    law(make_snapshots)


@pytest.fixture(params=["fake", "file"])
def make_journal(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    if request.param == "fake":
        return once(MemoryJournal())
    made = []

    def make() -> FileJournal:
        made.append(FileJournal(tmp_path / "journal"))
        return made[-1]

    request.addfinalizer(lambda: [each.close() for each in made])  # noqa: PT021 - one branch
    return make


@pytest.mark.parametrize("law", ports_conformance.JOURNAL_LAWS)
def test_journals(make_journal: Callable[[], Any], law: Callable[[Any], None]) -> None:
    law(make_journal)


@pytest.fixture(params=["fake", "sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    if request.param == "fake":
        return once(MemoryStore())
    url = str(tmp_path / "results.db")
    if request.param == "postgresql":
        url = fresh_database(request.getfixturevalue("postgres_url"))
    made = []

    def make() -> ResultsStore:
        made.append(ResultsStore(url, job_id="shop/memory", shard=0, now_s=lambda: 1e9))
        return made[-1]

    request.addfinalizer(lambda: [each.close() for each in made])  # noqa: PT021 - one branch
    return make


@pytest.mark.parametrize("law", ports_conformance.RESULT_STORE_LAWS)
def test_result_stores(make_store: Callable[[], Any], law: Callable[[Any], None]) -> None:
    law(make_store)
