"""What the Kubernetes API knows of pods and nodes: owners, host network, labels, addresses.

Lists are kept and asked anew when they are old, or when somebody names a pod that is not in them.
Pods that are gone are remembered for a while, as their last samples are still to be named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anomaly_operator.adapters.kube import NAMESPACES, NODES, PODS, Kube, KubeError
from anomaly_operator.adapters.selecting import matches
from anomaly_operator.adapters.workloads import workload_of, workload_of_owner
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import Scope

FRESH_S = 60.0  # a list this old is asked anew
UNKNOWN_S = 5.0  # and this old where it lacks a pod that is there
GONE_S = 3600.0  # how long pods that are gone are remembered
MANY_NAMESPACES = 8  # above this, one list of all namespaces costs less

ZONE = "topology.kubernetes.io/zone"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"


@dataclass(frozen=True, slots=True)
class PodInfo:
    """One pod."""

    namespace: str
    name: str
    node: str
    workload: str
    host_network: bool
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One node; ``address`` is empty where it has none of the kind asked for."""

    name: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True


class Directory:
    """Pods and nodes of a cluster, within a scope.

    Parameters
    ----------
    kube
        The API server.
    address_type
        Which of a node's addresses is given.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        kube: Kube,
        *,
        address_type: str = "InternalIP",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._address_type = address_type
        self._clock = clock
        self._pods: dict[tuple[str, str], PodInfo] = {}
        self._seen_s: dict[tuple[str, str], float] = {}
        self._pods_s = self._nodes_s = -float("inf")
        self._nodes: tuple[NodeInfo, ...] = ()
        self._namespaces: tuple[float, Mapping[str, Mapping[str, str]]] = (-float("inf"), {})

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Every node. Raises SourceUnavailable."""
        if self._clock() - self._nodes_s > FRESH_S:
            found = self._listed(lambda: self._kube.list(NODES).items, what="nodes")
            self._nodes = tuple(node_info(one, self._address_type) for one in found)
            self._nodes_s = self._clock()
        return self._nodes

    def pods(
        self, scope: Scope, needed: Iterable[tuple[str, str]] = ()
    ) -> Mapping[tuple[str, str], PodInfo]:
        """Pods by namespace and name, asked anew where one that is needed is not known."""
        age_s = self._clock() - self._pods_s
        lacking = age_s > UNKNOWN_S and any(pod not in self._pods for pod in needed)
        if age_s > FRESH_S or lacking:
            now_s = self._clock()
            for one in self._listed(lambda: self._pod_bodies(scope), what="pods"):
                pod = pod_info(one)
                self._pods[pod.namespace, pod.name] = pod
                self._seen_s[pod.namespace, pod.name] = now_s
            for gone in [pod for pod, seen_s in self._seen_s.items() if now_s - seen_s > GONE_S]:
                del self._pods[gone], self._seen_s[gone]
            self._pods_s = now_s
        return self._pods

    def namespaces(self, selector: Mapping[str, object]) -> frozenset[str]:
        """Names of the namespaces that a selector chooses."""
        asked_s, labels = self._namespaces
        if self._clock() - asked_s > FRESH_S:
            found = self._listed(lambda: self._kube.list(NAMESPACES).items, what="namespaces")
            labels = {one["metadata"]["name"]: one["metadata"].get("labels") or {} for one in found}
            self._namespaces = (self._clock(), labels)
        return frozenset(name for name, one in labels.items() if matches(selector, one))

    def _pod_bodies(self, scope: Scope) -> list[dict[str, Any]]:
        names = scope.namespaces
        if names is None or len(names) > MANY_NAMESPACES:
            found = self._kube.list(PODS).items
            return [one for one in found if names is None or one["metadata"]["namespace"] in names]
        return [one for name in names for one in self._kube.list(PODS, namespace=name).items]

    def _listed(
        self, ask: Callable[[], Sequence[dict[str, Any]]], *, what: str
    ) -> Sequence[dict[str, Any]]:
        try:
            return ask()
        except KubeError as error:
            refused = error.status in {401, 403}
            raise SourceUnavailable(
                f"kubernetes: {what} cannot be listed: {error}",
                reason="RBAC" if refused else "SourceUnavailable",
                retry_after_s=error.retry_after_s,
            ) from error


def pod_info(body: Mapping[str, Any]) -> PodInfo:
    """Read a pod as the API gives it."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    labels = metadata.get("labels") or {}
    owner = next(
        (one for one in metadata.get("ownerReferences") or () if one.get("controller")), None
    )
    node = spec.get("nodeName") or ""
    if owner is None:
        workload = metadata["name"]
    elif owner["kind"] == "ReplicaSet":
        workload = workload_of_owner(
            "ReplicaSet", owner["name"], pod_template_hash=labels.get("pod-template-hash", "")
        )
    else:
        workload = workload_of(
            metadata["name"], owner_kind=owner["kind"], owner_name=owner["name"], node=node
        )
    return PodInfo(
        namespace=metadata["namespace"],
        name=metadata["name"],
        node=node,
        workload=workload,
        host_network=bool(spec.get("hostNetwork")),
        labels=labels,
    )


def node_info(body: Mapping[str, Any], address_type: str) -> NodeInfo:
    """Read a node as the API gives it."""
    metadata, status = body["metadata"], body.get("status") or {}
    addresses = {one["type"]: one["address"] for one in status.get("addresses") or ()}
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    return NodeInfo(
        name=metadata["name"],
        address=addresses.get(address_type, ""),
        labels=metadata.get("labels") or {},
        ready=conditions.get("Ready", "True") == "True",
    )
