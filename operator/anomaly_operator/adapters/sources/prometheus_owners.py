"""What kube-state-metrics knows of pods and nodes: owners, nodes, names; also of those now gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anomaly_operator.adapters.sources.prometheus_client import PrometheusClient
from anomaly_operator.adapters.sources.promql import label_name, matchers, quoted
from anomaly_operator.adapters.workloads import workload_of
from anomaly_operator.ports import Scope

Pod = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True)
class PodFacts:
    """Owner and node of pods seen in a span of time."""

    owner: Mapping[Pod, tuple[str, str]] = field(default_factory=dict)  # kind, name
    parent: Mapping[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    node: Mapping[Pod, str] = field(default_factory=dict)

    def workload(self, namespace: str, pod: str, node: str) -> str:
        """Lasting owner of a pod: as recorded, else by the shape of its name."""
        kind, name = self.owner.get((namespace, pod), ("", ""))
        above = self.parent.get((namespace, kind, name))
        if above:
            kind, name = above
        return workload_of(pod, owner_kind=kind, owner_name=name, node=node)


def pod_facts(
    client: PrometheusClient, scope: Scope, extra: Mapping[str, str], *, span_s: float, end_s: float
) -> PodFacts:
    """Ask for everything that existed within ``span_s`` before ``end_s``.

    Two replicas of kube-state-metrics say the same twice; the maximum over what tells them apart is
    one answer. Without kube-state-metrics the answers are empty, and names' shapes have to do.
    """
    inside = matchers(scope, extra)
    back = f"{max(60, round(span_s))}s"

    def ask(metric: str, by: str, more: str = "") -> list[Mapping[str, str]]:
        query = f"max by ({by}) (last_over_time({metric}{{{more}{inside}}}[{back}]))"
        return [row.labels for row in client.instant(query, end_s).rows]

    owner, parent, node = {}, {}, {}
    for labels in ask(
        "kube_pod_owner", "namespace, pod, owner_kind, owner_name", 'owner_is_controller!="false",'
    ):
        pod = (labels.get("namespace", ""), labels.get("pod", ""))
        owner[pod] = (labels.get("owner_kind", ""), labels.get("owner_name", ""))
    for kind, label, metric in (
        ("ReplicaSet", "replicaset", "kube_replicaset_owner"),
        ("Job", "job_name", "kube_job_owner"),
    ):
        for labels in ask(metric, f"namespace, {label}, owner_kind, owner_name"):
            if labels.get("owner_name", "<none>") != "<none>":
                key = (labels.get("namespace", ""), kind, labels.get(label, ""))
                parent[key] = (labels.get("owner_kind", ""), labels["owner_name"])
    for labels in ask("kube_pod_info", "namespace, pod, node", 'node!="",'):
        node[labels.get("namespace", ""), labels.get("pod", "")] = labels.get("node", "")
    return PodFacts(owner, parent, node)


def kubernetes_labels(
    client: PrometheusClient, metric: str, keys: Mapping[str, str], *, by: str, inside: str, at: At
) -> dict[tuple[str, ...], dict[str, str]]:
    """Values of Kubernetes labels by what has them, where kube-state-metrics is told to show them.

    ``keys`` maps what we call a label to its key in Kubernetes; ``by`` are the labels that name the
    thing, such as "namespace, pod".
    """
    names = {ours: label_name(key) for ours, key in keys.items()}
    grouped = ", ".join([by, *sorted(set(names.values()))])
    query = f"max by ({grouped}) (last_over_time({metric}{{{inside}}}[{at.back}]))"
    found = {}
    for row in client.instant(query, at.end_s).rows:
        thing = tuple(row.labels.get(name, "") for name in by.split(", "))
        found[thing] = {ours: row.labels[one] for ours, one in names.items() if row.labels.get(one)}
    return found


@dataclass(frozen=True, slots=True)
class At:
    """A span of time that ends at a moment."""

    span_s: float
    end_s: float

    @property
    def back(self) -> str:
        """The span as PromQL's range."""
        return f"{max(60, round(self.span_s))}s"


@dataclass(frozen=True, slots=True)
class NodeNames:
    """Node names by what a series has in place of one."""

    by_instance: Mapping[str, str] = field(default_factory=dict)
    by_address: Mapping[str, str] = field(default_factory=dict)

    def name(self, labels: Mapping[str, str]) -> str:
        """Node that a series speaks of; its instance, without the port, where nothing tells."""
        for label in ("node", "nodename", "kubernetes_node"):
            if labels.get(label):
                return labels[label]
        instance = labels.get("instance", "")
        host = instance.rsplit(":", 1)[0].strip("[]") if ":" in instance else instance
        return self.by_instance.get(instance) or self.by_address.get(host) or host


def node_names(
    client: PrometheusClient, extra: Mapping[str, str], *, span_s: float, end_s: float
) -> NodeNames:
    """Ask node exporters for their hosts' names, and kube-state-metrics for nodes' addresses."""
    inside = ",".join(f"{name}={quoted(value)}" for name, value in sorted(extra.items()))
    back = f"{max(60, round(span_s))}s"
    hosts = client.instant(
        f"max by (instance, nodename) (last_over_time(node_uname_info{{{inside}}}[{back}]))", end_s
    )
    nodes = client.instant(
        f"max by (node, internal_ip) (last_over_time(kube_node_info{{{inside}}}[{back}]))", end_s
    )
    by_address = {
        row.labels["internal_ip"]: row.labels["node"]
        for row in nodes.rows
        if row.labels.get("internal_ip") and row.labels.get("node")
    }
    by_instance = {
        row.labels["instance"]: row.labels["nodename"]
        for row in hosts.rows
        if row.labels.get("instance") and row.labels.get("nodename")
    }
    # The cluster's name for a node wins over the host's own, which may be another.
    for instance in by_instance:
        host = instance.rsplit(":", 1)[0].strip("[]")
        if host in by_address:
            by_instance[instance] = by_address[host]
    return NodeNames(by_instance, by_address)
