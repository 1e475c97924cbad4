"""Naming what a kubelet told of: whose pod it is, and whether the detector may see it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from anomaly_operator.adapters.pods import INSTANCE_TYPE, ZONE, Directory, NodeInfo, PodInfo
from anomaly_operator.adapters.selecting import matches
from anomaly_operator.adapters.sources.stats_summary import Entry
from anomaly_operator.ports import ReadRequest

Labels = Mapping[str, str]
Naming = Callable[[Entry], Labels | None]


def node_naming(directory: Directory, request: ReadRequest) -> Naming:
    """Name nodes; None for those out of scope."""
    nodes = {node.name: node for node in directory.nodes()}

    def name(entry: Entry) -> Labels | None:
        node = nodes.get(entry.node)
        if request.scope.node_names and entry.node not in request.scope.node_names:
            return None
        if node is None or not matches(request.scope.selector, node.labels):
            return None
        return {"node": entry.node, **wanted(node.labels, request), **placing(node)}

    return name


def pod_naming(directory: Directory, request: ReadRequest, seen: Collection[Entry]) -> Naming:
    """Name pods and containers; None for those out of scope, or on the host's network."""
    scope = request.scope
    needed = {
        (entry.namespace, entry.pod)
        for entry in seen
        if scope.namespaces is None or entry.namespace in scope.namespaces
    }
    pods = directory.pods(scope, needed)
    nodes = {node.name: node for node in directory.nodes()}
    chosen = directory.namespaces(scope.namespace_selector) if scope.namespace_selector else None

    def name(entry: Entry) -> Labels | None:
        pod = pods.get((entry.namespace, entry.pod))
        if (entry.namespace, entry.pod) not in needed or pod is None:
            return None  # not ours to see, or gone before anybody could ask whose it was
        if chosen is not None and entry.namespace not in chosen:
            return None
        if scope.node_names and entry.node not in scope.node_names:
            return None
        if not matches(scope.selector, pod.labels):
            return None
        if pod.host_network and entry.metric != "memory_usage":
            return None  # its interfaces are the node's
        named = pod_labels(entry, pod, nodes.get(entry.node))
        return {**wanted(pod.labels, request), **named}

    return name


def pod_labels(entry: Entry, pod: PodInfo, node: NodeInfo | None) -> dict[str, str]:
    """Labels of a pod's or a container's series."""
    labels = {
        "namespace": entry.namespace,
        "workload": pod.workload,
        "pod": entry.pod,
        "node": entry.node,
        **placing(node),
    }
    if entry.container:
        labels["container"] = entry.container
    return labels


def wanted(labels: Labels, request: ReadRequest) -> dict[str, str]:
    """Choose the Kubernetes labels that were asked for."""
    return {key: labels[key] for key in request.labels if key in labels}


def placing(node: NodeInfo | None) -> dict[str, str]:
    """Where a node stands and what it is: what partitions are made of."""
    if node is None:
        return {}
    found = {"zone": node.labels.get(ZONE), "instance-type": node.labels.get(INSTANCE_TYPE)}
    return {name: value for name, value in found.items() if value}
