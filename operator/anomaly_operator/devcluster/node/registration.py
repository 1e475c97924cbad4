"""The Node object and its lease: what the cluster sees of a stand-in node."""

from __future__ import annotations

import platform
import socket
from datetime import UTC, datetime

from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.resources import LEASES, NAMESPACES, NODES, JsonObject
from anomaly_operator.devcluster.controllers.templates import now
from anomaly_operator.devcluster.node.settings import NodeSettings

LEASE_NAMESPACE = "kube-node-lease"
LEASE_S = 40
NOT_READY = "node.kubernetes.io/not-ready"
KUBELET_VERSION = "v1.36.0-devcluster"


def capacity(settings: NodeSettings) -> dict[str, str]:
    """Size of the node; all of it can be given to pods."""
    return {"cpu": settings.cpu, "memory": settings.memory, "pods": str(settings.pods)}


def render_node(settings: NodeSettings) -> JsonObject:
    """Node as it registers itself."""
    labels = {
        "kubernetes.io/hostname": settings.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(
            platform.machine(), platform.machine()
        ),
        **settings.labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": settings.name, "labels": labels},
        "spec": {},
    }


def render_status(settings: NodeSettings, *, port: int, since: str) -> JsonObject:
    """Status of a healthy node whose kubelet answers on ``port``."""
    moment = now()
    pressures = {
        "MemoryPressure": "kubelet has sufficient memory available",
        "DiskPressure": "kubelet has no disk pressure",
        "PIDPressure": "kubelet has sufficient PID available",
    }
    words = {
        "MemoryPressure": "KubeletHasSufficientMemory",
        "DiskPressure": "KubeletHasNoDiskPressure",
        "PIDPressure": "KubeletHasSufficientPID",
    }
    conditions = [
        {"type": kind, "status": "False", "reason": words[kind], "message": message}
        for kind, message in pressures.items()
    ]
    conditions.append(
        {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
        }
    )
    return {
        "addresses": [
            {"type": "InternalIP", "address": settings.address},
            {"type": "Hostname", "address": settings.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "capacity": capacity(settings),
        "allocatable": capacity(settings),
        "conditions": [
            {**entry, "lastHeartbeatTime": moment, "lastTransitionTime": since}
            for entry in conditions
        ],
        "nodeInfo": {
            "machineID": settings.name,
            "systemUUID": settings.name,
            "bootID": settings.run_id,
            "kernelVersion": platform.release(),
            "osImage": f"processes of {socket.gethostname()}",
            "containerRuntimeVersion": "process://1",
            "kubeletVersion": KUBELET_VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": render_node(settings)["metadata"]["labels"]["kubernetes.io/arch"],
        },
    }


async def register(client: ApiClient, settings: NodeSettings, *, port: int, since: str) -> None:
    """Create or refresh the node and its lease."""
    if await client.find(NODES, "", settings.name) is None:
        await client.create(NODES, render_node(settings))
    status = render_status(settings, port=port, since=since)
    await client.patch(NODES, "", settings.name, patch={"status": status}, subresource="status")
    # A node controller would take away the taint that admission puts on every new node.
    node = await client.get(NODES, "", settings.name)
    taints = node["spec"].get("taints") or []
    kept = [taint for taint in taints if taint["key"] != NOT_READY]
    if kept != taints:
        await client.patch(NODES, "", settings.name, patch={"spec": {"taints": kept or None}})
    await renew_lease(client, settings)


async def renew_lease(client: ApiClient, settings: NodeSettings) -> None:
    """Tell that the node is alive."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {
        "holderIdentity": settings.name,
        "leaseDurationSeconds": LEASE_S,
        "renewTime": moment,
    }
    if await client.find(LEASES, LEASE_NAMESPACE, settings.name) is not None:
        await client.patch(LEASES, LEASE_NAMESPACE, settings.name, patch={"spec": spec})
        return
    if await client.find(NAMESPACES, "", LEASE_NAMESPACE) is not None:
        metadata = {"name": settings.name, "namespace": LEASE_NAMESPACE}
        lease = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata}
        await client.create(LEASES, {**lease, "spec": spec})
