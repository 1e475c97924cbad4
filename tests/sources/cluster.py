"""A cluster small enough to write down: an API server's lists and one kubelet, over real HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubernetes import client

from anomaly_operator.adapters.kube import Kube
from anomaly_operator.adapters.pods import Directory
from anomaly_operator.adapters.sources.kubelet import KubeletSource
from anomaly_operator.api.v1alpha1 import metricsource
from tests.support.answering import Answer, Asked

START = "2026-11-22T04:00:00Z"


def summary(node: str, pods: Sequence[Mapping[str, Any]] = (), **more: Any) -> dict[str, Any]:
    return {"node": {"nodeName": node, "startTime": START, **more}, "pods": list(pods)}


def memory(value: int, time: str) -> dict[str, Any]:
    return {"time": time, "usageBytes": value + 7, "workingSetBytes": value, "rssBytes": 1}


def network(time: str, **interfaces: tuple[int, int]) -> dict[str, Any]:
    found = [
        {"name": name, "rxBytes": received, "txBytes": sent, "rxErrors": 0, "txErrors": 0}
        for name, (received, sent) in interfaces.items()
    ]
    return {"time": time, **found[0], "interfaces": found}


def stats_pod(namespace: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "podRef": {"namespace": namespace, "name": name, "uid": f"uid-of-{name}"},
        "startTime": START,
        **more,
    }


def pod(namespace: str, name: str, node: str, *owner: str, **more: Any) -> dict[str, Any]:
    labels = more.pop("labels", {})
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": labels,
            "ownerReferences": owners,
        },
        "spec": {"nodeName": node, **more},
    }


def node(name: str, address: str = "127.0.0.1", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


@dataclass
class Cluster:
    """What is answered; a test changes it as it goes."""

    pods: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=lambda: [node("n1")])
    namespaces: list[dict[str, Any]] = field(default_factory=list)
    kubelet: Answer = field(default_factory=Answer)
    asked: list[Asked] = field(default_factory=list)

    def respond(self, asked: Asked) -> Answer:
        """Answer as API server and kubelet in one."""
        self.asked.append(asked)
        if asked.path == "/stats/summary":
            return self.kubelet
        kind = asked.path.rsplit("/", 1)[1]
        items = {"pods": self.pods, "nodes": self.nodes, "namespaces": self.namespaces}[kind]
        parts = asked.path.split("/")
        if "namespaces" in parts and kind == "pods":
            namespace = parts[parts.index("namespaces") + 1]
            items = [one for one in items if one["metadata"]["namespace"] == namespace]
        return Answer({"items": items, "metadata": {"resourceVersion": "1"}})

    def directory(self, url: str) -> Directory:
        """Pods and nodes, through the official client."""
        configuration = client.Configuration(host=url)
        return Directory(Kube(client.ApiClient(configuration)))

    def source(self, url: str, account: Path, **settings: Any) -> KubeletSource:
        """Make the source under test; it polls when told, not by itself."""
        parts = urlsplit(url)
        model = metricsource.KubeletSource.parse({"scheme": "http", "port": parts.port, **settings})
        return KubeletSource(
            "kubelets", model, self.directory(url), service_account=account, poll_s=3600
        )
