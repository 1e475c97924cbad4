"""The kubelet endpoint of a stand-in node: who may ask, and what it answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.resources import (
    PODS,
    SERVICE_ACCOUNTS,
    JsonObject,
    Resource,
)
from anomaly_operator.devcluster.cluster import Workloads
from tests.support import devclusters
from tests.support.devclusters import await_pod, pod, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RBAC = "rbac.authorization.k8s.io"
ROLES = Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
BINDINGS = Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
MEBIBYTE = 2**20
# Answers each connection with a mebibyte.
SERVER = """
import os, socket
server = socket.create_server((os.environ["POD_IP"], 8080))
while True:
    connection, _ = server.accept()
    if connection.recv(100):
        connection.sendall(bytes(2**20))
    connection.close()
"""


async def token(client: ApiClient, name: str, *subresources: str) -> str:
    """Token of a new account that may get these subresources of nodes."""
    metadata = {"name": name, "namespace": "default"}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    await client.create(SERVICE_ACCOUNTS, account)
    if subresources:
        resources = [f"nodes/{each}" for each in subresources]
        rule = {"apiGroups": [""], "resources": resources, "verbs": ["get"]}
        role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}}
        await client.create(ROLES, {**role, "rules": [rule]})
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
        }
        await client.create(BINDINGS, binding)
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": metadata,
        "spec": {"audiences": []},
    }
    answer = await client.create(SERVICE_ACCOUNTS, request, subresource="token", name=name)
    return str(answer["status"]["token"])


class Kubelet:
    """Asks one node's kubelet."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def get(self, path: str, bearer: str = "") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        async with self._session.get(self._url + path, headers=headers, ssl=False) as answer:
            return answer.status, await answer.text()

    async def summary(self, bearer: str) -> dict[str, Any]:
        status, text = await self.get("/stats/summary", bearer)
        assert status == 200, text
        found: dict[str, Any] = json.loads(text)
        return found


@asynccontextmanager
async def kubelet_of(cluster: Workloads) -> AsyncIterator[Kubelet]:
    settings = cluster.nodes["node-1"].settings
    async with aiohttp.ClientSession() as session:
        yield Kubelet(session, f"https://{settings.address}:{settings.kubelet_port}")


async def test_permissions_are_those_of_a_real_kubelet(tmp_path: Path) -> None:
    """401 without a token; each permission opens its own paths and no others."""
    async with devclusters.running_cluster(tmp_path) as cluster, kubelet_of(cluster) as kubelet:
        stats = await token(cluster.client, "stats", "stats")
        metrics = await token(cluster.client, "metrics", "metrics")
        assert await kubelet.get("/stats/summary") == (401, "Unauthorized")
        assert (await kubelet.get("/stats/summary", "nonsense"))[0] == 401
        assert (await kubelet.get("/stats/summary", stats))[0] == 200
        for path in ("/metrics", "/metrics/cadvisor", "/metrics/resource"):
            assert (await kubelet.get(path, metrics))[0] == 200
            assert (await kubelet.get(path, stats))[0] == 403
        assert await kubelet.get("/stats/summary", metrics) == (
            403,
            (
                "Forbidden (user=system:serviceaccount:default:metrics, verb=get, resource=nodes, "
                "subresource(s)=[stats])"
            ),
        )
        assert (await kubelet.get("/pods", stats))[1].endswith("subresource(s)=[pods proxy])")


async def test_figures_are_those_of_the_processes(tmp_path: Path) -> None:
    """Memory that is really held and bytes that are really sent show, with times of their own."""
    async with devclusters.running_cluster(tmp_path) as cluster, kubelet_of(cluster) as kubelet:
        client = cluster.client
        bearer = await token(client, "reader", "stats", "metrics")
        hold = "import time; held = bytearray(b'x') * (60 * 2**20); time.sleep(600)"
        limits = {"resources": {"limits": {"memory": "256Mi"}}}
        await client.create(PODS, pod("holder", "python3", "-c", hold, container=limits))
        serve = {"env": [POD_IP], "readinessProbe": {"exec": {"command": ["true"]}}}
        await client.create(PODS, pod("server", "python3", "-c", SERVER, container=serve))
        await await_pod(client, "holder", devclusters.is_ready)
        address = (await await_pod(client, "server", devclusters.is_ready))["status"]["podIP"]

        async def reached() -> bool:
            try:
                _, writer = await asyncio.open_connection(address, 8080)
            except OSError:
                return False
            writer.close()
            return True

        await until("the server listens", reached)
        for _ in range(5):
            reader, writer = await asyncio.open_connection(address, 8080)
            writer.write(b"ask")
            assert len(await reader.readexactly(MEBIBYTE)) == MEBIBYTE
            writer.close()

        async def shown() -> dict[str, JsonObject] | None:
            pods = {p["podRef"]["name"]: p for p in (await kubelet.summary(bearer))["pods"]}
            sent = pods.get("server", {}).get("network", {}).get("txBytes", 0)
            holder = pods.get("holder", {"containers": []})
            # The pod's figure and its container's have times of their own.
            parts = [holder, *holder["containers"]]
            held = min(part.get("memory", {}).get("workingSetBytes", 0) for part in parts)
            return pods if sent >= 5 * MEBIBYTE and held >= 60 * MEBIBYTE else None

        pods = await until("memory and traffic show", shown)
        memory = pods["holder"]["memory"]
        assert memory["workingSetBytes"] < 90 * MEBIBYTE
        assert memory["availableBytes"] == 256 * MEBIBYTE - memory["workingSetBytes"]
        assert pods["holder"]["containers"][0]["memory"]["rssBytes"] >= 60 * MEBIBYTE
        assert pods["server"]["network"]["txBytes"] < 5.1 * MEBIBYTE

        async def shown_of_node() -> bool:
            # The node's figures have times of their own.
            node = (await kubelet.summary(bearer))["node"]
            holds_more = node["memory"]["workingSetBytes"] > memory["workingSetBytes"]
            return holds_more and node["network"]["txBytes"] >= 5 * MEBIBYTE

        await until("the node's figures hold the pods'", shown_of_node)

        _, text = await kubelet.get("/metrics/cadvisor", bearer)
        lines = [
            line
            for line in text.splitlines()
            if line.startswith("container_network_transmit_bytes_total") and 'pod="server"' in line
        ]
        assert len(lines) == 1
        assert 'container=""' in lines[0]
        assert float(lines[0].split()[-2]) >= 5 * MEBIBYTE
        assert len(lines[0].split()[-1]) == 13  # milliseconds
        _, text = await kubelet.get("/metrics/resource", bearer)
        assert 'pod_memory_working_set_bytes{namespace="default",pod="holder"}' in text


async def test_logs_are_tailed_and_followed_to_the_end(tmp_path: Path) -> None:
    async with devclusters.running_cluster(tmp_path) as cluster, kubelet_of(cluster) as kubelet:
        bearer = await token(cluster.client, "reader", "proxy")
        script = "echo one; echo two >&2; sleep 1; echo three"
        talker = pod("talker", "sh", "-c", script, restartPolicy="Never")
        await cluster.client.create(PODS, talker)
        await await_pod(cluster.client, "talker", lambda p: p["status"]["phase"] != "Pending")
        path = "/containerLogs/default/talker/main"
        assert (await kubelet.get(f"{path}?follow=true", bearer))[1] == "one\ntwo\nthree\n"
        assert (await kubelet.get(f"{path}?tailLines=2", bearer))[1] == "two\nthree\n"
        assert (await kubelet.get("/containerLogs/default/nobody/main", bearer))[0] == 404
