"""A server per test module where tests only add objects, or one of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from anomaly_operator.devcluster.apiserver.background import RunningApiServer, running_apiserver


@pytest.fixture(scope="module")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    """One server for the module."""
    with running_apiserver(Path(tmp_path_factory.mktemp("apiserver"))) as server:
        yield server
