"""How workers are reached and what they may reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from anomaly_operator.reconcile.children.worker import Worker
from anomaly_operator.reconcile.naming import Body

PORT_NAME = "http"
PORT = 8080


def render_service(worker: Worker) -> Body:
    """Render the headless Service that names each shard's pod in DNS."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": worker.metadata(worker.name),
        "spec": {
            "clusterIP": "None",
            "selector": worker.selector,
            # A worker still catching up can be asked too.
            "publishNotReadyAddresses": True,
            "ports": [{"name": PORT_NAME, "port": PORT, "targetPort": PORT_NAME}],
        },
    }


def render_network_policy(worker: Worker, *, source_ports: Iterable[int]) -> Body:
    """Render what may reach a worker (its port) and what it may reach (DNS, API server, source).

    Addresses of API servers, nodes and Prometheuses differ between clusters, so ports say it.
    """
    tcp = sorted({443, 6443, *source_ports})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": worker.metadata(worker.name),
        "spec": {
            "podSelector": {"matchLabels": worker.selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"port": PORT, "protocol": "TCP"}]}],
            "egress": [
                {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
                {"ports": [{"port": port, "protocol": "TCP"} for port in tcp]},
            ],
        },
    }


def render_pod_monitor(worker: Worker, *, labels: Mapping[str, str]) -> Body:
    """Render the PodMonitor by which a Prometheus Operator's Prometheus scrapes the workers."""
    metadata = worker.metadata(worker.name)
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {**metadata, "labels": {**metadata["labels"], **labels}},
        "spec": {
            "selector": {"matchLabels": worker.selector},
            "podMetricsEndpoints": [{"port": PORT_NAME, "honorLabels": True}],
        },
    }
