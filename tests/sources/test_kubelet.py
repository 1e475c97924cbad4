"""Kubelets as they are: own times, repeated values, missing parts, and nodes that do not answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from anomaly_operator.adapters.sources.kubelet import KubeletSource
from anomaly_operator.adapters.sources.stats_summary import entries
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import ReadRequest, SampleKind, Samples, Scope
from tests.sources.cluster import (
    Cluster,
    memory,
    network,
    node,
    pod,
    stats_pod,
    summary,
)
from tests.support.answering import Answer, answering

T1, T2 = "2026-11-22T04:10:00Z", "2026-11-22T04:10:15Z"
T1_S = 1795320600.0
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "kubelet" / "stats-summary.json"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    with answering(cluster.respond) as address:
        yield address


def read(source: KubeletSource, metric: str, by: str = "pod", **scope: Any) -> Samples:
    kind = "Node" if by == "node" else "Pod"
    try:
        return source.read(ReadRequest(metric, by, 0.0, 1e10, 60.0, Scope(kind, **scope)))
    finally:
        source.close()


def table(samples: Samples) -> set[tuple[str, float, float]]:
    """Rows as (finest name, seconds after T1, value)."""
    return {
        (
            next(
                samples.series[index][name]
                for name in ("container", "pod", "node")
                if name in samples.series[index]
            ),
            time_s - T1_S,
            value,
        )
        for index, time_s, value in zip(
            samples.index.tolist(), samples.time_s.tolist(), samples.value.tolist(), strict=True
        )
    }


def test_each_part_keeps_its_own_time_and_a_repeated_value_comes_once(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    cluster.pods = [pod("shop", "cart-6b7f9c5d48-x7k2p", "n1", "ReplicaSet", "cart-6b7f9c5d48")]
    shown = stats_pod(
        "shop",
        "cart-6b7f9c5d48-x7k2p",
        memory=memory(100, T1),
        network=network(T2, eth0=(1000, 500)),
    )
    cluster.kubelet = Answer(summary("n1", [shown]))
    source = cluster.source(url, tmp_path)
    first = source.read(ReadRequest("memory_usage", "pod", 0.0, 1e10, 60.0, Scope("Pod")))
    source.poll()  # the same answer again
    shown["memory"] = memory(120, T2)
    source.poll()
    assert table(first) == {("cart-6b7f9c5d48-x7k2p", 0.0, 100.0)}
    assert first.series[0] == {
        "namespace": "shop",
        "workload": "cart",
        "pod": "cart-6b7f9c5d48-x7k2p",
        "node": "n1",
    }
    assert table(read(source, "memory_usage")) == {
        ("cart-6b7f9c5d48-x7k2p", 0.0, 100.0),
        ("cart-6b7f9c5d48-x7k2p", 15.0, 120.0),
    }


def test_network_is_a_counter_and_the_sum_of_real_interfaces(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    cluster.pods = [pod("shop", "db-0", "n1", "StatefulSet", "db")]
    shown = stats_pod(
        "shop", "db-0", network=network(T1, eth0=(1000, 1), net1=(30, 2), lo=(9999, 9999))
    )
    cluster.kubelet = Answer(summary("n1", [shown]))
    samples = read(cluster.source(url, tmp_path), "network_in")
    assert samples.kind is SampleKind.COUNTER
    assert table(samples) == {("db-0", 0.0, 1030.0)}


def test_a_pod_on_the_hosts_network_has_memory_and_no_network(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    cluster.pods = [pod("kube-system", "proxy-h4t9z", "n1", "DaemonSet", "proxy", hostNetwork=True)]
    shown = stats_pod(
        "kube-system", "proxy-h4t9z", memory=memory(5, T1), network=network(T1, eth0=(9, 9))
    )
    cluster.kubelet = Answer(summary("n1", [shown]))
    assert not len(read(cluster.source(url, tmp_path), "network_out").value)
    assert table(read(cluster.source(url, tmp_path), "memory_usage")) == {("proxy-h4t9z", 0.0, 5.0)}


def test_a_runtime_without_network_is_told_and_not_taken_for_silence(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    """CRI-O with drop_infra_ctr: memory by container alone, no network at all."""
    cluster.pods = [pod("shop", "db-0", "n1", "StatefulSet", "db")]
    containers = [
        {"name": "db", "memory": memory(60, T1)},
        {"name": "agent", "memory": memory(4, T2)},
    ]
    cluster.kubelet = Answer(summary("n1", [stats_pod("shop", "db-0", containers=containers)]))
    missing = read(cluster.source(url, tmp_path), "network_in")
    assert [problem.reason for problem in missing.problems] == ["NoNetworkSeries"]
    assert table(read(cluster.source(url, tmp_path), "memory_usage")) == {("db-0", 15.0, 64.0)}
    by_container = read(cluster.source(url, tmp_path), "memory_usage", "container")
    assert table(by_container) == {("db", 0.0, 60.0), ("agent", 15.0, 4.0)}


def test_a_very_young_pod_is_not_taken_to_use_nothing(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    young = stats_pod("shop", "db-0", memory=memory(0, T1), network=network(T1, eth0=(0, 0)))
    young["startTime"] = "2026-11-22T04:09:55Z"
    bare = stats_pod("shop", "db-1")
    assert list(entries(summary("n1", [young, bare]), node="n1")) == []


def test_a_restarted_container_begins_again_and_only_the_new_one_counts(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    cluster.pods = [pod("shop", "db-0", "n1", "StatefulSet", "db")]
    shown = stats_pod("shop", "db-0", containers=[{"name": "db", "memory": memory(900, T1)}])
    cluster.kubelet = Answer(summary("n1", [shown]))
    source = cluster.source(url, tmp_path)
    source.read(ReadRequest("memory_usage", "container", 0.0, 1e10, 60.0, Scope("Pod")))
    shown["containers"] = [{"name": "db", "startTime": T2, "memory": memory(12, T2)}]
    source.poll()
    assert table(read(source, "memory_usage", "container")) == {
        ("db", 0.0, 900.0),
        ("db", 15.0, 12.0),
    }


def test_nodes_have_memory_and_the_traffic_of_physical_interfaces(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    zone = {"topology.kubernetes.io/zone": "a"}
    cluster.nodes = [node("n1", **zone)]
    about = {
        "memory": memory(4_000, T1),
        "network": network(T1, eth0=(70, 7), ens5=(30, 3), veth1a=(9, 9), cni0=(9, 9)),
    }
    cluster.kubelet = Answer(summary("n1", **about))
    samples = read(cluster.source(url, tmp_path), "network_in", "node")
    assert table(samples) == {("n1", 0.0, 100.0)}
    assert samples.series == ({"node": "n1", "zone": "a"},)
    assert table(read(cluster.source(url, tmp_path), "memory_usage", "node")) == {
        ("n1", 0.0, 4000.0)
    }


def test_a_namespaced_detector_sees_its_own_pods_alone(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    cluster.pods = [pod("shop", "a", "n1", labels={"tier": "web"}), pod("bank", "b", "n1")]
    shown = [
        stats_pod(ns, name, memory=memory(5, T1)) for ns, name in (("shop", "a"), ("bank", "b"))
    ]
    cluster.kubelet = Answer(summary("n1", shown))
    found = read(cluster.source(url, tmp_path), "memory_usage", namespaces=("shop",))
    assert [labels["pod"] for labels in found.series] == ["a"]
    assert not any(asked.path == "/api/v1/pods" for asked in cluster.asked)
    selected = read(
        cluster.source(url, tmp_path), "memory_usage", selector={"matchLabels": {"tier": "web"}}
    )
    assert [labels["pod"] for labels in selected.series] == ["a"]


def test_labels_come_where_they_are_asked_for(cluster: Cluster, url: str, tmp_path: Path) -> None:
    cluster.pods = [pod("shop", "db-0", "n1", labels={"team": "data", "other": "x"})]
    cluster.kubelet = Answer(summary("n1", [stats_pod("shop", "db-0", memory=memory(5, T1))]))
    source = cluster.source(url, tmp_path)
    request = ReadRequest("memory_usage", "pod", 0.0, 1e10, 60.0, Scope("Pod"), ("team",))
    (labels,) = source.read(request).series
    source.close()
    assert labels["team"] == "data"
    assert "other" not in labels


def test_a_node_that_does_not_answer_is_named_and_the_others_are_read(
    cluster: Cluster, url: str, tmp_path: Path
) -> None:
    cluster.nodes = [node("n1"), node("n2", "127.0.0.9"), node("n3", "")]
    cluster.kubelet = Answer(summary("n1", memory=memory(4_000, T1)))
    source = cluster.source(url, tmp_path, timeout="1s")
    samples = read(source, "memory_usage", "node")
    assert table(samples) == {("n1", 0.0, 4000.0)}
    (problem,) = samples.problems
    assert problem.reason == "PartialCoverage"
    assert problem.message.startswith("1 of 3 nodes answered: n2 (127.0.0.9:")
    assert problem.message.endswith("node n3 has no InternalIP")


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (Answer("Unauthorized", 401), "RBAC", "needs get on nodes/stats"),
        (Answer("Forbidden (user=x, verb=get)", 403), "RBAC", "Forbidden (user=x, verb=get)"),
        (Answer("no", 500), "SourceUnavailable", "none of 1 nodes answered"),
        (Answer("<html>"), "SourceUnavailable", "no stats summary"),
        (Answer({"pods": []}), "SourceUnavailable", "no stats summary"),
    ],
)
def test_where_no_node_answers_there_is_no_source(
    cluster: Cluster, url: str, tmp_path: Path, *, answer: Answer, reason: str, words: str
) -> None:
    cluster.kubelet = answer
    with pytest.raises(SourceUnavailable) as raised:
        read(cluster.source(url, tmp_path), "memory_usage", "node")
    assert raised.value.reason == reason
    assert words in str(raised.value)


def test_the_tokens_newest_content_is_sent(cluster: Cluster, url: str, tmp_path: Path) -> None:
    cluster.kubelet = Answer(summary("n1", memory=memory(4_000, T1)))
    token = tmp_path / "token"
    token.write_text("first\n", encoding="utf-8")
    source = cluster.source(url, tmp_path)
    source.poll()
    token.write_text("second-one\n", encoding="utf-8")
    source.poll()
    source.close()
    sent = [
        one.headers.get("Authorization") for one in cluster.asked if one.path == "/stats/summary"
    ]
    assert sent == ["Bearer first", "Bearer second-one"]


def test_a_real_kubelets_answer_is_read_whole() -> None:
    if not REAL.exists():
        pytest.skip(f"{REAL} is not here: the captured answer of a v1.36 kubelet")
    found = list(entries(orjson.loads(REAL.read_bytes()), node="node1"))
    by_kind: dict[tuple[str, str], int] = {}
    for entry in found:
        by_kind[entry.kind] = by_kind.get(entry.kind, 0) + 1
    document = orjson.loads(REAL.read_bytes())
    assert by_kind["memory_usage", "pod"] == len(document["pods"])
    assert by_kind["network_in", "pod"] == sum("network" in one for one in document["pods"])
    received = next(entry for entry in found if entry.kind == ("network_in", "node"))
    assert received.value == 1127622078 + 2866934  # eth0 and kc-host; not ifb0 and ifb1
