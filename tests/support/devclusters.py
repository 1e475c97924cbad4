"""A cluster for tests of controllers and nodes: the stand-in's API server, or a real one.

``KUBEBUILDER_ASSETS`` with kube-apiserver and etcd chooses the real one; controllers and nodes are
the stand-in's in both cases.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from anomaly_operator.devcluster.apiclient.access import ApiAccess
from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.resources import PODS, JsonObject
from anomaly_operator.devcluster.apiserver.server import ApiServer
from anomaly_operator.devcluster.cluster import ClusterSettings, Workloads, running_workloads
from tests.support.kube_apiserver import assets, running_kube_apiserver

Found = TypeVar("Found")
DEADLINE_S = 30.0
PAUSE_S = 0.1
# Figures refresh every second or so: a real kubelet's ten to nineteen would only make tests long.
QUICK = ClusterSettings(stats_period_s=(0.5, 1.0), first_backoff_s=1.0)


@contextlib.asynccontextmanager
async def running_cluster(
    folder: Path, settings: ClusterSettings = QUICK
) -> AsyncIterator[Workloads]:
    """Run an API server, controllers and nodes."""
    async with (
        running_access(folder) as access,
        running_workloads(access, folder / "cluster", settings=settings) as workloads,
    ):
        yield workloads


@contextlib.asynccontextmanager
async def running_access(folder: Path) -> AsyncIterator[ApiAccess]:
    """Run an API server alone, and tell how to reach it."""
    programs = assets()
    async with contextlib.AsyncExitStack() as stack:
        if programs is not None:
            server = running_kube_apiserver(programs, folder / "apiserver")
            kubeconfig = await asyncio.to_thread(server.__enter__)
            stack.push_async_callback(asyncio.to_thread, server.__exit__, None, None, None)
        else:
            standin = ApiServer(folder / "apiserver", persist=False)
            await standin.start()
            stack.push_async_callback(standin.stop)
            kubeconfig = standin.write_kubeconfig(folder / "kubeconfig")
        yield ApiAccess.from_kubeconfig(kubeconfig)


async def until(
    what: str, look: Callable[[], Awaitable[Found | None]], *, deadline_s: float = DEADLINE_S
) -> Found:
    """Look again and again until something true is found; AssertionError tells what was awaited."""
    deadline = time.monotonic() + deadline_s
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {deadline_s:g} s: {what}"
        await asyncio.sleep(PAUSE_S)


def pod(name: str, *command: str, namespace: str = "default", **spec: Any) -> JsonObject:
    """Pod of one container that runs a command."""
    container: JsonObject = {"name": "main", "image": "test:1", "command": list(command)}
    container |= spec.pop("container", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 2, **spec},
    }


async def await_pod(
    client: ApiClient,
    name: str,
    condition: Callable[[JsonObject], bool],
    *,
    namespace: str = "default",
    deadline_s: float = DEADLINE_S,
) -> JsonObject:
    """Pod, once a condition holds of it."""

    async def look() -> JsonObject | None:
        found = await client.find(PODS, namespace, name)
        return found if found is not None and condition(found) else None

    try:
        return await until(f"pod {name}", look, deadline_s=deadline_s)
    except AssertionError as error:
        seen = await client.find(PODS, namespace, name)
        raise AssertionError(f"{error}; last seen: {(seen or {}).get('status')}") from None


def phase(word: str) -> Callable[[JsonObject], bool]:
    """Condition: the pod is in a phase."""
    return lambda found: found.get("status", {}).get("phase") == word


def is_ready(found: JsonObject) -> bool:
    """Condition: the pod is ready."""
    conditions = found.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def container_status(found: JsonObject) -> JsonObject:
    """Status of a pod's first container; empty while there is none."""
    statuses = found.get("status", {}).get("containerStatuses") or [{}]
    first: JsonObject = statuses[0]
    return first
