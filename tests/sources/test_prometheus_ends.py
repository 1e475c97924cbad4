"""A real Prometheus and a real VictoriaMetrics tell which pods of the past ended as planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from anomaly_operator.adapters.sources.prometheus import PrometheusSource
from anomaly_operator.api.v1alpha1 import metricsource
from anomaly_operator.engine.contract import PlannedEnd
from anomaly_operator.ports import ReadRequest, Scope
from tests.support import prometheus as running
from tests.support.prometheus import openmetrics

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("prometheus")]

BEGIN_S = 1_763_805_600 // 60 * 60
END_S = BEGIN_S + 3 * 3600
GONE_S = BEGIN_S + 3600  # when pods stop
SCRAPE_S = 30
SLOW_S = 600  # that a pod may take to end


def steady(end_s: float, value: float = 1.0, start_s: float = BEGIN_S) -> list[tuple[float, float]]:
    return [(float(t), value) for t in range(int(start_s), int(end_s), SCRAPE_S)]


def labels(pod: str, **more: str) -> tuple[tuple[str, str], ...]:
    return tuple({"namespace": "shop", "pod": pod, **more}.items())


def history() -> str:
    """Pods that stop at one time for several reasons, as kube-state-metrics shows them."""
    lasts = {"stays": END_S, "deleted": GONE_S, "crashed": END_S, "failed": GONE_S + 1800}
    lasts |= {"swept": GONE_S, "slow": GONE_S + SLOW_S, "lost": GONE_S + 900}
    memory = {
        labels(pod, container="app", image="i"): steady(
            END_S if pod == "stays" else lasts[pod] if pod == "slow" else GONE_S, 5e7
        )
        for pod in lasts
    }
    phases = {
        labels("failed", phase="Failed"): steady(GONE_S + 1800, 1.0, GONE_S),
        labels("swept", phase="Failed"): steady(GONE_S, 1.0, GONE_S - 60),
        labels("deleted", phase="Failed"): steady(GONE_S, 0.0),
    }
    reasons = {labels("lost", reason="NodeLost"): steady(GONE_S + 900, 1.0, GONE_S + 40)}
    deletions = {
        labels("slow"): steady(GONE_S + SLOW_S, GONE_S + SLOW_S + 30.0, GONE_S),
        labels("lost"): steady(GONE_S + 900, GONE_S + 370.0, GONE_S + 340),
    }
    namespaces = {(("namespace", "shop"), ("phase", "Active")): steady(END_S)}
    return openmetrics(
        {
            "container_memory_working_set_bytes": ("gauge", memory),
            "kube_pod_info": ("gauge", {labels(pod): steady(end) for pod, end in lasts.items()}),
            "kube_pod_status_phase": ("gauge", phases),
            "kube_pod_status_reason": ("gauge", reasons),
            "kube_pod_deletion_timestamp": ("gauge", deletions),
            "kube_namespace_status_phase": ("gauge", namespaces),
        }
    )


@pytest.fixture(scope="module", params=["prometheus", "victoria-metrics"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "prometheus":
        running.fill(folder, history())
        with running.prometheus(folder) as server:
            yield server.url
    else:
        with running.victoria_metrics(folder) as server:
            running.imported(server, history())
            yield server.url


def ends(url: str, start_s: float, end_s: float, namespace: str = "shop") -> list[PlannedEnd]:
    source = PrometheusSource("main", metricsource.PrometheusSource.parse({"url": url}))
    scope = Scope("Pod", (namespace,))
    samples = source.read(ReadRequest("memory_usage", "pod", start_s, end_s, 60.0, scope))
    source.close()
    return list(samples.ends)


def spans(found: list[PlannedEnd]) -> Mapping[str, tuple[float, float]]:
    """First and last time of each pod's ends."""
    return {
        pod: (
            min(end.from_s for end in found if end.pod == pod),
            max(end.until_s for end in found if end.pod == pod),
        )
        for pod in {end.pod for end in found}
    }


def test_deleted_pods_ended_as_planned_and_crashed_or_lost_ones_did_not(url: str) -> None:
    found = spans(ends(url, BEGIN_S, END_S))
    assert set(found) == {"deleted", "slow"}
    begin_s, end_s = found["deleted"]
    assert GONE_S - 180 <= begin_s <= GONE_S
    assert GONE_S <= end_s <= GONE_S + 600
    begin_s, end_s = found["slow"]
    assert GONE_S - 60 <= begin_s <= GONE_S + 60
    assert GONE_S + SLOW_S <= end_s <= GONE_S + SLOW_S + 600


def test_live_reads_tell_what_one_long_read_tells(url: str) -> None:
    found: list[PlannedEnd] = []
    for at in range(BEGIN_S + 1800, BEGIN_S + 7200, 150):
        found += ends(url, at, at + 150)
    whole, pieces = spans(ends(url, BEGIN_S, END_S)), spans(found)
    assert whole == pieces


def test_a_day_read_at_once_times_ends_less_closely_and_still_finds_them(url: str) -> None:
    found = spans(ends(url, END_S - 86400, END_S))
    assert set(found) == {"deleted", "slow"}
    assert GONE_S - 480 <= found["deleted"][0] <= GONE_S


def test_another_namespaces_ends_are_nobody_elses_to_know(url: str) -> None:
    assert ends(url, BEGIN_S, END_S, namespace="bank") == []
