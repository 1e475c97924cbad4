"""A real Prometheus and a real VictoriaMetrics give back what was put in, value by value."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from anomaly_operator.adapters.sources.prometheus import PrometheusSource
from anomaly_operator.api.v1alpha1 import metricsource
from anomaly_operator.ports import ReadRequest, SampleKind, Samples, Scope
from tests.sources import history
from tests.sources.history import DB, END_S, GONE_AT_S, NEW, OLD, RESET_S, START_S, STEP_S
from tests.support import prometheus as running

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("prometheus")]
DAY_AGO_S = END_S - 86400


@pytest.fixture(scope="module", params=["prometheus", "victoria-metrics"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "prometheus":
        running.fill(folder, history.history())
        with running.prometheus(folder) as server:
            yield server.url
    else:
        with running.victoria_metrics(folder) as server:
            running.imported(server, history.history())
            yield server.url


@pytest.fixture
def source(url: str) -> Iterator[PrometheusSource]:
    found = make(url)
    yield found
    found.close()


def make(url: str, **settings: Any) -> PrometheusSource:
    return PrometheusSource("main", metricsource.PrometheusSource.parse({"url": url, **settings}))


def ask(
    source: PrometheusSource,
    metric: str,
    by: str = "pod",
    *,
    start_s: float = DAY_AGO_S,
    end_s: float = END_S,
    step_s: float = STEP_S,
    **scope: Any,
) -> Samples:
    target = Scope("Node" if by == "node" else "Pod", **scope)
    return source.read(ReadRequest(metric, by, start_s, end_s, step_s, target))


def of(samples: Samples, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of a pod or node, in order."""
    numbers = [
        number
        for number, labels in enumerate(samples.series)
        if name in {labels.get("pod"), labels.get("node") if "pod" not in labels else None}
    ]
    chosen = np.isin(samples.index, numbers)
    order = np.argsort(samples.time_s[chosen], kind="stable")
    return samples.time_s[chosen][order], samples.value[chosen][order]


def test_four_weeks_come_back_value_by_value(source: PrometheusSource) -> None:
    """40 320 steps: more than a server gives at once, so chunks must meet without seam."""
    samples = ask(source, "memory_usage", start_s=START_S, namespaces=("shop",))
    time_s, value = of(samples, DB)
    assert np.array_equal(time_s, np.arange(START_S, END_S, STEP_S))
    # A sample stands for the step that ends with it.
    expected = np.array([history.memory_at(DB, t + STEP_S) for t in time_s])
    expected[time_s + STEP_S >= DAY_AGO_S] += 1000  # the second container, once
    assert np.array_equal(value, expected)


def test_a_rollout_keeps_the_workload_and_pods_long_gone_have_owners(
    source: PrometheusSource,
) -> None:
    samples = ask(source, "memory_usage", start_s=START_S, namespaces=("shop",))
    workloads = {labels["pod"]: labels["workload"] for labels in samples.series}
    assert workloads == {OLD: "cart-web", NEW: "cart-web", DB: "db"}
    old_s, _ = of(samples, OLD)
    new_s, _ = of(samples, NEW)
    assert GONE_AT_S - STEP_S <= old_s[-1] <= GONE_AT_S + 300  # the server looks back 5 min
    assert new_s[0] == GONE_AT_S
    nodes = {labels["pod"]: labels.get("node") for labels in samples.series}
    assert nodes == {OLD: None, NEW: "n1", DB: "n2"}


def test_network_is_the_rate_of_real_interfaces_without_pods_on_the_host(
    source: PrometheusSource,
) -> None:
    samples = ask(source, "network_in", start_s=DAY_AGO_S + 600, namespaces=("shop",))
    assert samples.kind is SampleKind.GAUGE
    assert {labels["pod"] for labels in samples.series} == {DB}
    time_s, value = of(samples, DB)
    quiet = np.abs(time_s - RESET_S) > 600
    assert np.allclose(value[quiet], 111.0, rtol=1e-6)
    assert np.all((value > 50) & (value < 170))  # nor does a reset make a spike


def test_a_namespaced_detector_gets_its_own_namespace_alone(source: PrometheusSource) -> None:
    everything = ask(source, "memory_usage")
    assert {labels["namespace"] for labels in everything.series} == {"shop", "bank"}
    own = ask(source, "memory_usage", namespaces=("bank",))
    assert {labels["namespace"] for labels in own.series} == {"bank"}
    assert not len(ask(source, "memory_usage", namespaces=()).value)
    for hostile in ('shop"} or on() vector(1) #', "sho.", "shop|bank", ".*", "\\"):
        nothing = ask(source, "memory_usage", namespaces=(hostile, "none"))
        assert not len(nothing.value), hostile
        assert [problem.reason for problem in nothing.problems] == ["NoData"]


def test_a_selector_narrows_pods(source: PrometheusSource) -> None:
    chosen = ask(
        source,
        "memory_usage",
        selector={"matchLabels": {"app.kubernetes.io/name": "db"}},
        start_s=END_S - 3600,
    )
    assert {labels["pod"] for labels in chosen.series} == {DB}


def test_containers_have_series_of_their_own(source: PrometheusSource) -> None:
    samples = ask(source, "memory_usage", "container", start_s=END_S - 600, namespaces=("shop",))
    assert {labels["container"] for labels in samples.series} == {"app", "db", "agent"}


def test_zones_and_kubernetes_labels_come_where_they_are_asked_for(
    source: PrometheusSource,
) -> None:
    wanted = ("team", "zone")
    scope = Scope("Pod", ("shop",))
    request = ReadRequest("memory_usage", "pod", END_S - 600, END_S, 60.0, scope, wanted)
    found = {labels["pod"]: labels for labels in source.read(request).series}
    assert (found[DB]["zone"], found[DB]["team"]) == ("b", "data")
    assert found[NEW]["zone"] == "a"
    assert "team" not in found[NEW]
    nodes = ReadRequest("memory_usage", "node", END_S - 600, END_S, 60.0, Scope("Node"), wanted)
    assert source.read(nodes).series == ({"node": "n1", "zone": "a"},)


def test_nodes_are_named_as_the_cluster_names_them(source: PrometheusSource) -> None:
    memory = ask(source, "memory_usage", "node", start_s=END_S - 600)
    assert memory.series == ({"node": "n1"},)
    assert set(memory.value.tolist()) == {500.0}
    _, received = of(ask(source, "network_in", "node", start_s=END_S - 600), "n1")
    assert np.allclose(received, 42.0, rtol=1e-6)


def test_a_users_own_metric_goes_through_its_query(url: str) -> None:
    defined = {
        "name": "working_set",
        "query": "container_memory_working_set_bytes{container='db',${matchers}}",
        "unit": "bytes",
        "kind": "counter",
        "labels": {"pod": "pod", "namespace": "namespace"},
    }
    source = make(url, metrics=[defined], extraMatchers={"node": "n2"})
    samples = ask(source, "working_set", start_s=END_S - 600, namespaces=("shop",))
    assert samples.kind is SampleKind.COUNTER
    assert {labels["pod"] for labels in samples.series} == {DB}
    assert source.catalogue()["working_set"].unit == "bytes"
    source.close()


def test_what_stopped_is_stale_and_what_never_was_is_no_data(source: PrometheusSource) -> None:
    stopped = ask(source, "memory_usage", start_s=END_S - 600, end_s=END_S + 3600)
    assert [problem.reason for problem in stopped.problems] == ["Stale"]
    before = ask(source, "network_in", start_s=START_S, end_s=START_S + 600, namespaces=("shop",))
    assert [problem.reason for problem in before.problems] == ["NoNetworkSeries"]


def test_reads_that_follow_each_other_neither_overlap_nor_leave_out(
    source: PrometheusSource,
) -> None:
    cuts = [END_S - 600, END_S - 433.7, END_S - 420, END_S - 1, END_S]
    parts = [
        ask(source, "memory_usage", start_s=a, end_s=b, namespaces=("bank",))
        for a, b in pairwise(cuts)
    ]
    found = np.concatenate([part.time_s for part in parts])
    assert np.array_equal(found, np.arange(END_S - 600, END_S, STEP_S))
