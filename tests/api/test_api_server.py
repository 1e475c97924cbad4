"""The same tables against API servers with the generated CRDs: the stand-in, and a real one.

The real one is a kube-apiserver from ``KUBEBUILDER_ASSETS``; where the two differ, the stand-in is
wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from anomaly_operator.devcluster.apiserver.background import running_apiserver
from tests.api.asking import Server, speaks_of
from tests.api.cases import ACCEPTS, Case, Update, detector
from tests.api.cases_updates import MANIFOLD_UPDATES, MEMORY_UPDATES
from tests.api.test_updates import UPDATES
from tests.api.test_validation import CASES
from tests.support.kube_apiserver import assets, running_kube_apiserver


@contextmanager
def _stand_in(folder: Path) -> Iterator[Path]:
    with running_apiserver(folder, persist=False) as running:
        yield running.kubeconfig


@contextmanager
def _real(folder: Path) -> Iterator[Path]:
    programs = assets()
    if programs is None:
        pytest.skip("no real API server: KUBEBUILDER_ASSETS is not set")
    with running_kube_apiserver(programs, folder) as kubeconfig:
        yield kubeconfig


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(_stand_in, id="stand-in", marks=pytest.mark.xdist_group("api-stand-in")),
        pytest.param(_real, id="kube-apiserver", marks=pytest.mark.xdist_group("api-real")),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run a server with the CRDs, once for all cases."""
    with request.param(tmp_path_factory.mktemp("apiserver")) as kubeconfig:
        server = Server(kubeconfig)
        try:
            server.install()
            yield server
        finally:
            server.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_server_takes_what_is_sound_and_names_what_is_not(server: Server, case: Case) -> None:
    causes = server.refusal(case)
    if case.message is None or case.server == ACCEPTS:
        assert causes == []
    else:
        assert speaks_of(case, causes), causes


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
def test_the_server_takes_or_refuses_a_change_for_the_one_reason(
    server: Server, update: Update
) -> None:
    causes = server.refusal_of_update(update)
    if update.message is None:
        assert causes == []
    else:
        assert len(causes) == 1
        assert speaks_of(update, causes), causes


@pytest.mark.parametrize("update", MANIFOLD_UPDATES, ids=lambda update: update.name)
def test_the_server_names_each_reason_of_several(server: Server, update: Update) -> None:
    causes = server.refusal_of_update(update)
    assert speaks_of(update, causes), causes


@pytest.mark.parametrize("update", MEMORY_UPDATES, ids=lambda update: update.name)
def test_the_memory_law_does_not_block_who_writes_the_status(
    server: Server, update: Update
) -> None:
    """It compares spec with status, and so runs on status updates too."""
    if update.model_bytes is not None:
        assert server.write_status(update) == []


def test_defaults_are_shown_by_the_server(server: Server) -> None:
    """``kubectl get -o yaml`` shows what will happen, not only what was written."""
    spec = server.defaulted(detector())["spec"]
    assert spec == {
        "target": {"kind": "Pod"},
        "detectors": [{"metric": "memory_usage"}],
        "bucketSpan": "15m",
        "queryDelay": "1m30s",
        "suspend": False,
        "allowLazyOpen": False,
        "analysisLimits": {"modelMemoryLimit": "1024mb"},
        "modelSnapshotRetentionDays": 10,
        "dailyModelSnapshotRetentionAfterDays": 1,
        "perPartitionCategorization": {"enabled": False, "stopOnWarn": False},
    }
