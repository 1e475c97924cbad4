"""One cluster for all end-to-end tests of a worker process; each test has detectors of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.whole_cluster import WholeCluster, whole_cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the suite run against a cluster that is there."""
    parser.addoption(
        "--kubeconfig",
        type=Path,
        default=None,
        help="Run the end-to-end tests against this cluster instead of the stand-in.",
    )


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[WholeCluster]:
    """A cluster with the operator in it."""
    kubeconfig: Path | None = pytestconfig.getoption("--kubeconfig")
    with whole_cluster(tmp_path_factory.mktemp("cluster"), kubeconfig=kubeconfig) as running:
        yield running
