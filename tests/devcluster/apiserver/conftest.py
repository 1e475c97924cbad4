"""A server for each module of tests, an HTTP client for it, and widgets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from anomaly_operator.devcluster.apiserver.background import RunningApiServer, running_apiserver
from tests.support.apiservers import DEFINITIONS, WIDGETS, client_for, definition


@pytest.fixture(scope="module")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    """One server for the module."""
    with running_apiserver(Path(tmp_path_factory.mktemp("apiserver"))) as server:
        yield server


@pytest.fixture(scope="module")
def api(apiserver: RunningApiServer) -> Iterator[httpx.Client]:
    """Return the admin's client."""
    with client_for(apiserver) as client:
        yield client


@pytest.fixture(scope="module")
def widgets(api: httpx.Client) -> str:
    """Define widgets; return the path of their collection."""
    answer = api.post(DEFINITIONS, json=definition())
    assert answer.status_code == 201, answer.text
    return WIDGETS
