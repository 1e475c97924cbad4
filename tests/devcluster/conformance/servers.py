"""The two servers that scenarios are played on, with our CRDs and roles in place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anomaly_operator.devcluster.apiserver.background import running_apiserver
from tests.devcluster.conformance.playing import HERE, Player
from tests.support.kube_apiserver import assets, running_kube_apiserver
from tests.support.processes import eventually

ROOT = HERE.parents[2]


@contextmanager
def stand_in(folder: Path) -> Iterator[Player]:
    """Run the stand-in's API server."""
    with running_apiserver(folder / "apiserver", persist=False) as running:
        yield from _ready(running.kubeconfig, folder)


@contextmanager
def real_server(folder: Path) -> Iterator[tuple[Player, str]]:
    """Run a real API server, and the control loop that aggregates roles; yields its version too."""
    programs = assets()
    assert programs is not None, "KUBEBUILDER_ASSETS is not set"
    with running_kube_apiserver(programs, folder / "apiserver") as kubeconfig:
        controllers = [
            str(programs / "kube-controller-manager"),
            f"--kubeconfig={kubeconfig}",
            "--controllers=clusterrole-aggregation-controller",
            "--leader-elect=false",
            f"--cert-dir={folder / 'controllers'}",
            "--secure-port=0",
        ]
        log = folder / "controllers.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(controllers, stdout=output, stderr=subprocess.STDOUT) as process,
        ):
            try:
                for player in _ready(kubeconfig, folder):
                    version = player.get("/version")["gitVersion"]
                    yield player, version
                assert process.poll() is None, log.read_text()
            finally:
                process.terminate()


def kubectl_program() -> str | None:
    """Find kubectl: beside the real server, beside this interpreter, or in PATH."""
    programs = assets()
    for beside in (programs, Path(sys.executable).parent):
        if beside is not None and (beside / "kubectl").exists():
            return str(beside / "kubectl")
    return shutil.which("kubectl")


def _ready(kubeconfig: Path, folder: Path) -> Iterator[Player]:
    player = Player(kubeconfig, kubectl_program(), folder / "kubectl")
    try:
        player.create_all(
            [*sorted((ROOT / "crds").glob("*dev.yaml")), ROOT / "manifests/base/user-roles.yaml"]
        )
        eventually(player.serves_our_kinds, what="our kinds are served", within_s=30)
        yield player
    finally:
        player.close()
