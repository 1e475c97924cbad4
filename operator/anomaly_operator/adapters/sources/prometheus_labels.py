"""From a server's labels to ours: whose series it is, and whether the detector may see it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from anomaly_operator.adapters.pods import INSTANCE_TYPE, ZONE
from anomaly_operator.adapters.sources import promql
from anomaly_operator.adapters.sources.prometheus_client import PrometheusClient
from anomaly_operator.adapters.sources.prometheus_owners import (
    At,
    NodeNames,
    PodFacts,
    kubernetes_labels,
    node_names,
    pod_facts,
)
from anomaly_operator.adapters.sources.promql import Query
from anomaly_operator.engine.identity import KNOWN
from anomaly_operator.ports import ReadRequest, Scope

Labels = Mapping[str, str]
Naming = Callable[[Labels], Labels | None]
PLACING = {"zone": ZONE, "instance-type": INSTANCE_TYPE}
FRESH_S = 3600.0  # nodes are seldom relabelled
REMEMBERED = 200_000  # pods whose owners are kept in mind; then all is asked anew


class Labelling:
    """Names the series of answers; asks the server only when something new appears."""

    def __init__(self, client: PrometheusClient, extra: Mapping[str, str]) -> None:
        self._client = client
        self._extra = extra
        self._facts = PodFacts({}, {}, {})
        self._asked: set[tuple[str, str]] = set()
        self._names = NodeNames({}, {})
        self._instances: set[str] = set()
        self._pod_labels: dict[tuple[str, ...], dict[str, str]] = {}
        self._node_labels: dict[tuple[str, ...], dict[str, str]] = {}
        self._node_labels_s = -math.inf

    def naming(
        self, seen: Sequence[Labels], query: Query, request: ReadRequest, *, span_s: float
    ) -> Naming:
        """Prepare for the series of one read; the result gives None for what is out of scope."""
        if request.scope.target_kind == "Node":
            self._learn_nodes(seen, span_s, request.end_s)
            self._learn_node_labels(request, At(span_s, request.end_s))
            chosen = self._chosen_nodes(request)
            return lambda labels: self._node(labels, query, request=request, chosen=chosen)
        pods = {pod_of(labels, query) for labels in seen}
        new = pods - self._asked
        self._learn_node_labels(request, At(span_s, request.end_s))
        if new:
            self._learn_pods(request, span_s)
            self._asked |= pods
        return lambda labels: self._pod(labels, query, request)

    def _learn_pods(self, request: ReadRequest, span_s: float) -> None:
        if len(self._asked) > REMEMBERED:
            self._asked.clear()
            self._facts = PodFacts({}, {}, {})
        found = pod_facts(
            self._client, request.scope, self._extra, span_s=span_s, end_s=request.end_s
        )
        self._facts = PodFacts(
            {**self._facts.owner, **found.owner},
            {**self._facts.parent, **found.parent},
            {**self._facts.node, **found.node},
        )

        keys = {key: key for key in request.labels if key not in {*KNOWN, *PLACING}}
        if keys:
            self._pod_labels |= kubernetes_labels(
                self._client,
                "kube_pod_labels",
                keys,
                by="namespace, pod",
                inside=promql.matchers(request.scope, self._extra),
                at=At(span_s, request.end_s),
            )

    def _learn_node_labels(self, request: ReadRequest, at: At) -> None:
        """Ask where nodes stand, and for their labels where nodes are analysed."""
        of_nodes = request.scope.target_kind == "Node"
        keys = {
            key: PLACING.get(key, key)
            for key in request.labels
            if key in PLACING or (of_nodes and key not in KNOWN)
        }
        if keys and abs(at.end_s - self._node_labels_s) > FRESH_S:
            inside = ",".join(f"{k}={promql.quoted(v)}" for k, v in sorted(self._extra.items()))
            self._node_labels |= kubernetes_labels(
                self._client, "kube_node_labels", keys, by="node", inside=inside, at=at
            )
            self._node_labels_s = at.end_s

    def _learn_nodes(self, seen: Sequence[Labels], span_s: float, end_s: float) -> None:
        unnamed = {
            labels.get("instance", "") for labels in seen if not labels.get("node")
        } - self._instances
        if unnamed:
            found = node_names(self._client, self._extra, span_s=span_s, end_s=end_s)
            self._names = NodeNames(
                {**self._names.by_instance, **found.by_instance},
                {**self._names.by_address, **found.by_address},
            )
            self._instances |= unnamed

    def _chosen_nodes(self, request: ReadRequest) -> frozenset[str] | None:
        """Nodes that a label selector chooses; None where there is no selector."""
        if not request.scope.selector:
            return None
        answer = self._client.instant(
            promql.selected_nodes(request.scope.selector, self._extra), request.end_s
        )
        return frozenset(row.labels.get("node", "") for row in answer.rows)

    def _node(
        self, labels: Labels, query: Query, *, request: ReadRequest, chosen: frozenset[str] | None
    ) -> Labels | None:
        ours = renamed(labels, query)
        name = self._names.name(ours)
        if chosen is not None and name not in chosen:
            return None
        if request.scope.node_names and name not in request.scope.node_names:
            return None
        kept = {} if query.built_in else {k: v for k, v in ours.items() if k != "instance"}
        return {**kept, **self._node_labels.get((name,), {}), "node": name}

    def _pod(self, labels: Labels, query: Query, request: ReadRequest) -> Labels | None:
        ours = {name: value for name, value in renamed(labels, query).items() if value}
        namespace, pod = ours.get("namespace", ""), ours.get("pod", "")
        node = ours.get("node") or self._facts.node.get((namespace, pod), "")
        if not within(request.scope, namespace, node):
            return None
        if node:
            ours["node"] = node
        if pod and "workload" not in ours:
            ours["workload"] = self._facts.workload(namespace, pod, node)
        if request.labels:
            ours.update(self._pod_labels.get((namespace, pod), {}))
            ours.update(self._node_labels.get((node,), {}))
        return ours


def within(scope: Scope, namespace: str, node: str) -> bool:
    """Whether a series may be seen at all."""
    if scope.namespaces is not None and namespace not in scope.namespaces:
        return False
    return not scope.node_names or node in scope.node_names


def renamed(labels: Labels, query: Query) -> dict[str, str]:
    """Call labels what we call them; a metric's own name is no label."""
    ours = {theirs: name for name, theirs in query.labels.items()}
    return {ours.get(name, name): value for name, value in labels.items() if name != "__name__"}


def pod_of(labels: Labels, query: Query) -> tuple[str, str]:
    """Namespace and name of the pod that a series speaks of."""
    return (
        labels.get(query.labels.get("namespace", "namespace"), ""),
        labels.get(query.labels.get("pod", "pod"), ""),
    )
