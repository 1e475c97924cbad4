"""The source of events, against an API server: what is told, what was watched, and repeats."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from anomaly_operator.adapters.kube import EVENTS, Kube
from anomaly_operator.adapters.pods import Directory
from anomaly_operator.adapters.sources.events import LOOKBACK_S, MESSAGE, EventSource, WithEvents
from anomaly_operator.ports import ReadRequest, Samples, Scope
from tests.support.either_apiserver import either_apiserver
from tests.support.fakes import ScriptedSource
from tests.support.processes import eventually

NAMESPACE = "default"


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    with either_apiserver(tmp_path_factory.mktemp("apiserver")) as kubeconfig:
        api = Kube.connect(str(kubeconfig))
        yield api
        api.close()


@pytest.fixture
def source(kube: Kube) -> Iterator[EventSource]:
    made = EventSource(kube, Directory(kube))
    yield made
    made.close()


def rfc3339(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tell(
    kube: Kube,
    name: str,
    *,
    at_s: float,
    count: int = 1,
    first_s: float | None = None,
    about: str = "Pod",
    component: str = "kubelet",
) -> None:
    """Create the Event, or tell it again."""
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "involvedObject": {"kind": about, "namespace": NAMESPACE, "name": "web-7d9f8b6c5-x2x4z"},
        "reason": "BackOff",
        "message": f"Back-off restarting failed container {name}",
        "type": "Warning",
        "source": {"component": component, "host": "node-1"},
        "firstTimestamp": rfc3339(first_s or at_s),
        "lastTimestamp": rfc3339(at_s),
        "count": count,
    }
    kube.apply(body, field_manager="test")


def read(source: EventSource, start_s: float, end_s: float, **scope: Any) -> Samples:
    request = ReadRequest(
        metric="events",
        by="category",
        start_s=start_s,
        end_s=end_s,
        step_s=10.0,
        scope=Scope("Pod", (NAMESPACE,), **scope),
    )
    return source.read(request)


def told(samples: Samples, name: str) -> list[tuple[float, float]]:
    """Times and counts of what was told by one Event."""
    return [
        (float(time_s), float(value))
        for index, time_s, value in zip(samples.index, samples.time_s, samples.value, strict=True)
        if samples.series[index].get(MESSAGE, "").endswith(f" {name}")
    ]


def heard(source: EventSource, name: str, *, times: int = 1) -> None:
    """Wait until the watch has brought so many tellings: reading would move what is late."""
    tellings = source._heard.tellings
    eventually(
        lambda: sum(one.text.endswith(f" {name}") for one in tuple(tellings)) == times,
        what=f"{name} heard",
    )


def test_events_that_are_there_are_read_with_what_they_are_about(kube: Kube, source: EventSource):
    now_s = float(int(time.time()))
    tell(kube, "listed", at_s=now_s - 60.0)
    samples = read(source, now_s - 120.0, now_s)
    assert told(samples, "listed") == [(now_s - 60.0, 1.0)]
    labels = next(one for one in samples.series if one.get(MESSAGE, "").endswith("listed"))
    assert labels[MESSAGE] == "BackOff: Back-off restarting failed container listed"
    assert labels["workload"] == "web"
    assert labels["pod"] == "web-7d9f8b6c5-x2x4z"
    assert labels["node"] == "node-1"
    assert labels["namespace"] == NAMESPACE


def test_a_count_that_grows_is_that_many_events_more(kube: Kube, source: EventSource):
    now_s = float(int(time.time()))
    tell(kube, "grows", at_s=now_s - 30.0, count=2)
    assert told(read(source, now_s - 60.0, now_s), "grows") == [(now_s - 30.0, 2.0)]
    tell(kube, "grows", at_s=now_s + 2.0, count=7, first_s=now_s - 30.0)
    heard(source, "grows", times=2)
    assert told(read(source, now_s, now_s + 10.0), "grows") == [(now_s + 2.0, 5.0)]


def test_an_event_that_comes_in_late_is_handed_out_once_at_its_own_time(
    kube: Kube, source: EventSource
):
    now_s = float(int(time.time()))
    read(source, now_s - 60.0, now_s)
    tell(kube, "late", at_s=now_s - 20.0)
    heard(source, "late")
    assert told(read(source, now_s, now_s + 10.0), "late") == [(now_s - 20.0, 1.0)]
    assert told(read(source, now_s + 10.0, now_s + 20.0), "late") == []


def test_what_was_watched_is_told_and_nothing_before_it(source: EventSource):
    now_s = float(int(time.time() / 10.0) * 10)
    samples = read(source, now_s - 2 * LOOKBACK_S, now_s)
    watched = samples.time_s[samples.index == 0]
    assert samples.series[0] == {}
    assert watched.min() == pytest.approx(now_s - LOOKBACK_S, abs=25.0)
    assert watched.max() == now_s - 10.0


def test_our_own_events_are_not_read(kube: Kube, source: EventSource):
    now_s = float(int(time.time()))
    tell(kube, "ours", at_s=now_s - 60.0, component="anomaly-worker")
    tell(kube, "detectors", at_s=now_s - 60.0, about="AnomalyDetector")
    samples = read(source, now_s - 120.0, now_s)
    assert told(samples, "ours") == told(samples, "detectors") == []


def test_a_selector_narrows_to_pods_that_match(kube: Kube, source: EventSource):
    now_s = float(int(time.time()))
    tell(kube, "unselected", at_s=now_s - 60.0)
    samples = read(source, now_s - 120.0, now_s, selector={"matchLabels": {"app": "web"}})
    assert told(samples, "unselected") == []


def test_beside_metrics_history_is_the_metrics_own(source: EventSource):
    metrics = ScriptedSource(lambda _metric, _pod, times: times, pods=["web-1"])
    assert WithEvents(metrics, source, only_events=False).keeps_history()
    assert not WithEvents(metrics, source, only_events=True).keeps_history()
    assert {"events", "memory_usage"} <= WithEvents(
        metrics, source, only_events=False
    ).catalogue().keys()


def test_events_of_the_kind_are_listed(kube: Kube):
    """The other tests would say nothing if the API server kept no Events."""
    now_s = time.time()
    tell(kube, "kept", at_s=now_s)
    assert kube.get(EVENTS, "kept", namespace=NAMESPACE) is not None
