"""A whole cluster for end-to-end tests: API server, control loops, nodes, and the shipped base.

Three kinds, one suite: the stand-in; a real kube-apiserver where ``KUBEBUILDER_ASSETS`` names one
(control loops and nodes are then the stand-in's, over HTTP); or an existing cluster, by
``--kubeconfig`` (which must have the image ``anomaly-operator:0.1.0`` on its nodes).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from anomaly_operator.devcluster.apiclient.access import ApiAccess
from anomaly_operator.devcluster.apiserver.background import running_apiserver
from anomaly_operator.devcluster.cluster import ClusterSettings, running_workloads
from tests.support.kube_apiserver import assets, running_kube_apiserver
from tests.support.processes import eventually

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "anomaly-system"
SETTINGS = ClusterSettings(
    nodes=("node-1", "node-2"), stats_period_s=(0.4, 0.8), first_backoff_s=1.0
)
START_S = 60.0
_ROUNDS = 5  # the last steps of closing a connection are left to the loop's next rounds

Body = dict[str, Any]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class WholeCluster:
    """What a user of the cluster has: a kubeconfig and kubectl."""

    kubeconfig: Path
    local: bool  # pods are processes of this machine, which share its files

    def kubectl(self, *arguments: str, check: bool = True, given: str | None = None) -> str:
        """Run kubectl as admin; returns what it printed."""
        done = subprocess.run(
            [kubectl_program(), f"--kubeconfig={self.kubeconfig}", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            input=given,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout + done.stderr

    def apply(self, *bodies: Body, check: bool = True) -> str:
        """Apply objects as a user would."""
        return self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(bodies), check=check)

    def patch(self, kind: str, name: str, spec: Body, *, check: bool = True) -> str:
        """Change a detector's, or another object's, spec in the operator's namespace."""
        body = json.dumps({"spec": spec})
        return self.kubectl(
            "-n", SYSTEM, "patch", kind, name, "--type=merge", "-p", body, check=check
        )

    def get(self, kind: str, name: str, *, namespace: str = SYSTEM) -> Body:
        """Get one object; empty where there is none."""
        text = self.kubectl("-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else {}

    def list(self, kind: str, *, labels: str = "", namespace: str = SYSTEM) -> list[Body]:
        """List objects by labels."""
        text = self.kubectl("-n", namespace, "get", kind, "-l", labels, "-o", "json")
        items: list[Body] = json.loads(text)["items"]
        return items

    def status(self, name: str) -> Body:
        """Status of a detector in the operator's namespace."""
        return self.get("andet", name).get("status") or {}

    def condition(self, name: str, kind: str) -> Body:
        """One condition of a detector; empty where there is none."""
        found = self.status(name).get("conditions") or ()
        return next((each for each in found if each["type"] == kind), {})

    def workers(self, name: str) -> list[Body]:
        """Worker pods of a detector that are not on their way out."""
        found = self.list("pods", labels=f"anomaly-operator.dev/detector={name}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def until(
        self, what: str, look: Callable[[], Found | None], *, within_s: float = 60.0
    ) -> Found:
        """Look until something true is found; the failure tells the detectors as they are."""
        try:
            return eventually(look, what=what, within_s=within_s)
        except AssertionError as error:
            seen = self.kubectl("get", "andet,pods,events", "-A", "-o", "wide", check=False)
            raise AssertionError(f"{error}\n{seen}") from None

    def opened(self, name: str, *, within_s: float = 90.0) -> Body:
        """Status of a detector once it is opened, ready and up to date."""

        def look() -> Body | None:
            found = self.get("andet", name)
            status = found.get("status") or {}
            ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
            done = (
                status.get("state") == "opened"
                and ready.get("status") == "True"
                and status.get("appliedGeneration") == found["metadata"]["generation"]
            )
            return status if done else None

        return self.until(f"{name} opened", look, within_s=within_s)


def kubectl_program() -> str:
    """Kubectl beside this interpreter, where the extra ``demo`` puts it."""
    return str(Path(sys.executable).parent / "kubectl")


@contextmanager
def whole_cluster(folder: Path, *, kubeconfig: Path | None = None) -> Iterator[WholeCluster]:
    """Run a cluster with ``manifests/base`` in it and the operator ready."""
    if kubeconfig is not None:
        cluster = WholeCluster(kubeconfig, local=False)
        install(cluster)
        yield cluster
        return
    programs = assets()
    server = (
        running_kube_apiserver(programs, folder / "apiserver")
        if programs is not None
        else _stand_in(folder / "apiserver")
    )
    with server as admin, _workloads(admin, folder / "cluster"):
        cluster = WholeCluster(admin, local=True)
        install(cluster)
        yield cluster


@contextmanager
def _stand_in(folder: Path) -> Iterator[Path]:
    with running_apiserver(folder) as running:
        yield running.kubeconfig


@contextmanager
def _workloads(kubeconfig: Path, folder: Path) -> Iterator[None]:
    """Control loops and nodes in a thread of their own, so that tests may block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="workloads", daemon=True)
    thread.start()
    stack = AsyncExitStack()
    access = ApiAccess.from_kubeconfig(kubeconfig)

    async def start() -> None:
        await stack.enter_async_context(running_workloads(access, folder, settings=SETTINGS))

    # One task enters and leaves: the contexts hold task groups.
    leaving = asyncio.Event()
    entered = threading.Event()

    async def live() -> None:
        async with stack:
            await start()
            entered.set()
            await leaving.wait()
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    future = asyncio.run_coroutine_threadsafe(live(), loop)
    try:
        while not entered.wait(0.1):
            if future.done():
                future.result()
        yield
    finally:
        loop.call_soon_threadsafe(leaving.set)
        future.result(START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_S)
        loop.close()


def install(cluster: WholeCluster) -> None:
    """Apply the base as the README says, with a tester's haste, and wait for the operator."""
    cluster.kubectl("apply", "-k", "manifests/base")
    haste = {
        "ANOMALY_WORKER_POLL_INTERVAL_S": "0.5",
        "ANOMALY_WORKER_STATUS_INTERVAL_S": "1",
        "ANOMALY_RESYNC_INTERVAL_S": "5",
        "ANOMALY_SWEEP_INTERVAL_S": "2",
        "ANOMALY_CLAIM_PATIENCE_S": "2",
        "ANOMALY_WORKER_MEMORY_OVERHEAD": "384Mi",
    }
    cluster.kubectl(
        "-n",
        SYSTEM,
        "set",
        "env",
        "deployment/anomaly-operator",
        *(f"{name}={value}" for name, value in haste.items()),
    )
    cluster.kubectl(
        "-n", SYSTEM, "rollout", "status", "deployment/anomaly-operator", "--timeout=120s"
    )
    if os.environ.get("ANOMALY_E2E_VERBOSE"):
        print(cluster.kubectl("get", "all", "-A"))  # noqa: T201 - for a person who asked
