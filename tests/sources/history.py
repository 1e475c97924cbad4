"""Four weeks of a small cluster's metrics, as closed formulas, so that a test knows every value."""

from __future__ import annotations

import math

from tests.support.prometheus import Sample, openmetrics

END_S = 1_763_805_600 // 60 * 60
DAYS = 28
START_S = END_S - DAYS * 86400
STEP_S = 60
GONE_AT_S = END_S - 14 * 86400  # an old pod ends here, and its successor begins

LABELS = tuple[tuple[str, str], ...]


def memory_at(pod: str, time_s: float) -> float:
    """Working set of a pod's main container."""
    daily = math.floor(1000 * math.sin(2 * math.pi * time_s / 86400))
    return float(50_000_000 + 10_000 * daily + len(pod))


def container(pod: str, name: str, **more: str) -> LABELS:
    image = {"image": "img"} if name else {}
    return tuple({"namespace": "shop", "pod": pod, "container": name, **image, **more}.items())


def times(start_s: int, end_s: int, step_s: int = STEP_S) -> range:
    return range(start_s, end_s + 1, step_s)


def gauge(pod: str, start_s: int, end_s: int) -> list[Sample]:
    return [(float(t), memory_at(pod, t)) for t in times(start_s, end_s)]


def constant(value: float, start_s: int = END_S - 86400, end_s: int = END_S) -> list[Sample]:
    return [(float(t), value) for t in times(start_s, end_s)]


def counter(per_second: float, reset_at_s: int, end_s: int = END_S) -> list[Sample]:
    """A counter over the last day, begun anew once."""
    begin_s = END_S - 86400
    return [
        (float(t), per_second * (t - (reset_at_s if t >= reset_at_s else begin_s)))
        for t in times(begin_s, end_s)
    ]


OLD, NEW, DB = "cart-6b7f9c5d48-x7k2p", "cart-7d4b8f66c9-m2n4q", "db-0"
RESET_S = END_S - 7200


def history() -> str:
    """OpenMetrics text of all of it."""
    memory = {
        container(OLD, "app"): gauge(OLD, START_S, GONE_AT_S),
        container(NEW, "app"): gauge(NEW, GONE_AT_S + STEP_S, END_S),
        container(DB, "db", node="n2"): gauge(DB, START_S, END_S),
        container(DB, "agent", node="n2"): constant(1000.0),
        # What must not count: the pod's cgroup, the pause container, a second scrape.
        container(DB, "", node="n2"): constant(9e15),
        container(DB, "POD", node="n2"): constant(9e15),
        container(DB, "agent", node="n2", job="again"): constant(1000.0),
        (("namespace", "bank"), ("pod", "vault-0"), ("container", "v"), ("image", "i")): constant(
            7
        ),
    }
    received = {
        (("namespace", "shop"), ("pod", DB), ("interface", "eth0")): counter(100.0, RESET_S),
        (("namespace", "shop"), ("pod", DB), ("interface", "net1")): counter(11.0, RESET_S),
        (("namespace", "shop"), ("pod", DB), ("interface", "cali12")): counter(5e6, RESET_S),
        (("namespace", "shop"), ("pod", "proxy-h4t9z"), ("interface", "eth0")): counter(
            1e6, RESET_S
        ),
    }
    twice = [(("instance", one),) for one in ("ksm-a:8080", "ksm-b:8080")]
    owners = {
        (("namespace", "shop"), ("pod", pod), ("owner_kind", kind), ("owner_name", name), *ksm): (
            constant(1, start_s, end_s)
        )
        for pod, kind, name, start_s, end_s in (
            (OLD, "ReplicaSet", "cart-6b7f9c5d48", START_S, GONE_AT_S),
            (NEW, "ReplicaSet", "cart-7d4b8f66c9", GONE_AT_S, END_S),
            (DB, "StatefulSet", "db", END_S - 86400, END_S),
        )
        for ksm in twice
    }
    parents = {
        (("namespace", "shop"), ("replicaset", name), ("owner_kind", "Deployment"),
         ("owner_name", "cart-web"), *ksm): constant(1, start_s, end_s)
        for name, start_s, end_s in (
            ("cart-6b7f9c5d48", START_S, GONE_AT_S),
            ("cart-7d4b8f66c9", GONE_AT_S, END_S),
        )
        for ksm in twice
    }  # fmt: skip
    info = {
        (("namespace", "shop"), ("pod", pod), ("node", node), ("host_network", host), *ksm): (
            constant(1)
        )
        for pod, node, host in ((NEW, "n1", "false"), ("proxy-h4t9z", "n1", "true"))
        for ksm in twice
    }
    pod_labels = {
        (
            ("namespace", "shop"),
            ("pod", DB),
            ("label_app_kubernetes_io_name", "db"),
            ("label_team", "data"),
        ): constant(1)
    }
    nodes = {
        "node_memory_MemTotal_bytes": ("gauge", {(("instance", "10.0.0.1:9100"),): constant(800)}),
        "node_memory_MemAvailable_bytes": (
            "gauge",
            {(("instance", "10.0.0.1:9100"),): constant(300)},
        ),
        "node_uname_info": (
            "gauge",
            {(("instance", "10.0.0.1:9100"), ("nodename", "host-one")): constant(1)},
        ),
        "kube_node_info": (
            "gauge",
            {(("node", "n1"), ("internal_ip", "10.0.0.1"), *ksm): constant(1) for ksm in twice},
        ),
        "kube_node_labels": (
            "gauge",
            {
                (("node", node), ("label_topology_kubernetes_io_zone", zone)): constant(1)
                for node, zone in (("n1", "a"), ("n2", "b"))
            },
        ),
        "node_network_receive_bytes": (
            "counter",
            {
                (("instance", "10.0.0.1:9100"), ("device", device)): counter(rate, RESET_S)
                for device, rate in (("eth0", 40.0), ("ens5", 2.0), ("lo", 1e6), ("eth0.7", 1e6))
            },
        ),
    }
    return openmetrics(
        {
            "container_memory_working_set_bytes": ("gauge", memory),
            "container_network_receive_bytes": ("counter", received),
            "kube_pod_owner": ("gauge", owners),
            "kube_replicaset_owner": ("gauge", parents),
            "kube_pod_info": ("gauge", info),
            "kube_pod_labels": ("gauge", pod_labels),
            **nodes,
        }
    )
