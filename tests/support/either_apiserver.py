"""An API server: the stand-in, or the real one of ``KUBEBUILDER_ASSETS``."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from anomaly_operator.devcluster.apiserver.background import running_apiserver
from tests.support.kube_apiserver import assets, running_kube_apiserver
from tests.support.processes import stop


@contextmanager
def either_apiserver(folder: Path, *, aggregates_roles: bool = False) -> Iterator[Path]:
    """Run it until the block ends; yields an admin's kubeconfig.

    Adding up aggregated roles is a controller's work, and the real server has none by itself: with
    ``aggregates_roles`` the real controller runs beside it.
    """
    programs = assets()
    if programs is None:
        with running_apiserver(folder, persist=False) as running:
            yield running.kubeconfig
        return
    with running_kube_apiserver(programs, folder) as kubeconfig, ExitStack() as stack:
        if aggregates_roles:
            stack.enter_context(_aggregating(programs, kubeconfig, folder))
        yield kubeconfig


@contextmanager
def _aggregating(programs: Path, kubeconfig: Path, folder: Path) -> Iterator[None]:
    command = [
        str(programs / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        "--controllers=clusterrole-aggregation-controller",
        "--leader-elect=false",
        "--secure-port=0",
    ]
    with (folder / "controllers.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        stop(process)
