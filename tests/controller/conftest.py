"""One cluster and one operator a test: the real process, the real rights, a real API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.operating import Cluster, Operator, running_cluster, start_operator


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An API server with the shipped manifests applied."""
    with running_cluster(tmp_path) as found:
        yield found


@pytest.fixture
def operator(cluster: Cluster) -> Operator:
    """The operator, ready."""
    return start_operator(cluster)
