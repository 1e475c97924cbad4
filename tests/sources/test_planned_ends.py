"""Which deletions are planned ends, as an API server tells of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from anomaly_operator.adapters.kube import PODS, Kube
from anomaly_operator.adapters.sources.planned_ends import PodWatch, WithEnds, leaving
from anomaly_operator.engine.contract import PlannedEnd
from anomaly_operator.ports import ReadRequest, Scope
from tests.support.either_apiserver import either_apiserver
from tests.support.fakes import ScriptedSource
from tests.support.processes import eventually

SHOP = Scope("Pod", ("default",))
ASKED_S = 1_800_000_000.0


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    with either_apiserver(tmp_path_factory.mktemp("apiserver")) as kubeconfig:
        api = Kube.connect(str(kubeconfig))
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        api.create({**account, "metadata": {"name": "default", "namespace": "default"}})
        yield api
        api.close()


@pytest.fixture
def watch(kube: Kube) -> Iterator[PodWatch]:
    made = PodWatch(kube)
    yield made
    made.close()


def run_pod(kube: Kube, name: str) -> None:
    """A pod on a node that nobody runs: what a kubelet would say is said by the test."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "img"}]},
    }
    assert kube.create(body) is not None
    say(kube, name, phase="Running")


def say(kube: Kube, name: str, **status: Any) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "status": status,
    }
    kube.apply(body, field_manager="kubelet", subresource="status")


def delete(kube: Kube, name: str, grace_s: int | None = None) -> None:
    options = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
    kube._call("DELETE", f"/api/v1/namespaces/default/pods/{name}", body=options)


def written(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def end_of(watch: PodWatch, name: str) -> PlannedEnd | None:
    return next((end for end in watch.ends(SHOP, 0.0) if end.pod == name), None)


def test_a_deleted_pod_ends_from_when_it_was_asked_for_until_it_is_gone(
    kube: Kube, watch: PodWatch
) -> None:
    run_pod(kube, "leaver")
    assert watch.ends(SHOP, 0.0) == ()
    began_s = time.time()
    delete(kube, "leaver")
    first = eventually(lambda: end_of(watch, "leaver"), what="the end is heard of")
    assert first.from_s == pytest.approx(began_s, abs=1.5)
    assert first.until_s == pytest.approx(time.time(), abs=1.5), "it is not gone yet"
    delete(kube, "leaver", 0)  # as a kubelet does once its processes have ended
    eventually(lambda: watch._leaving and kube.get(PODS, "leaver", namespace="default") is None,
               what="the pod is gone")  # fmt: skip
    gone = eventually(
        lambda: next((one for one in watch._leaving.values() if one.gone_s), None),
        what="that it is gone is heard of",
    )
    last = end_of(watch, "leaver")
    assert last is not None
    assert last == PlannedEnd("default", "leaver", first.from_s, gone.gone_s or 0.0)
    assert watch.ends(SHOP, last.until_s + 1.0) == ()


def test_a_pod_that_was_killed_at_once_by_a_person_has_ended_too(
    kube: Kube, watch: PodWatch
) -> None:
    run_pod(kube, "forced")
    watch.ends(SHOP, 0.0)
    began_s = time.time()
    delete(kube, "forced", 0)
    end = eventually(lambda: end_of(watch, "forced"), what="the end is heard of")
    assert end.from_s == pytest.approx(began_s, abs=1.5)


def test_a_failed_pod_that_is_cleared_away_later_did_not_end_as_planned(
    kube: Kube, watch: PodWatch
) -> None:
    for name in ("crashed", "evicted", "after"):
        run_pod(kube, name)
    watch.ends(SHOP, 0.0)
    crash = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": written(time.time() - 5)}
    status = {"name": "app", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    say(
        kube, "crashed", phase="Failed",
        containerStatuses=[{**status, "state": {"terminated": crash}}],
    )  # fmt: skip
    say(kube, "evicted", phase="Failed", reason="Evicted")
    delete(kube, "crashed")
    delete(kube, "evicted")
    delete(kube, "after", 0)
    eventually(lambda: end_of(watch, "after"), what="what came after is heard of")
    assert {end.pod for end in watch.ends(SHOP, 0.0)} & {"crashed", "evicted"} == set()


def pod(**changes: Any) -> dict[str, Any]:
    metadata = {
        "name": "p",
        "namespace": "shop",
        "uid": "u",
        "deletionTimestamp": written(ASKED_S + 30),
        "deletionGracePeriodSeconds": 30,
        **changes.pop("metadata", {}),
    }
    return {"metadata": metadata, "status": {"phase": "Running", **changes}}


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
@pytest.mark.parametrize(("ended_s", "planned"), [(ASKED_S + 3, True), (ASKED_S - 3, False)])
def test_what_was_over_before_anybody_asked_was_not_ended_by_it(
    phase: str, ended_s: float, *, planned: bool
) -> None:
    state = {"terminated": {"exitCode": 1, "finishedAt": written(ended_s)}}
    body = pod(phase=phase, containerStatuses=[{"state": state}])
    assert (leaving(body, gone_s=None) is not None) == planned


@pytest.mark.parametrize(
    ("reason", "planned"),
    [
        ("EvictionByEvictionAPI", True),
        ("PreemptionByScheduler", True),
        ("DeletionByTaintManager", False),
        ("DeletionByPodGC", False),
        ("TerminationByKubelet", False),
    ],
)
def test_drains_are_planned_and_lost_nodes_are_not(reason: str, *, planned: bool) -> None:
    body = pod(conditions=[{"type": "DisruptionTarget", "status": "True", "reason": reason}])
    assert (leaving(body, gone_s=None) is not None) == planned


def test_what_runs_on_past_its_grace_is_watched_again(kube: Kube) -> None:
    watch = PodWatch(kube, linger_s=300.0, now_s=lambda: ASKED_S + 5000.0)
    watch.hear("MODIFIED", pod())
    watch._threads.append(None)  # type: ignore[arg-type]  # nothing to watch
    assert watch.ends(SHOP, 0.0) == (PlannedEnd("shop", "p", ASKED_S, ASKED_S + 30 + 60 + 300),)


def test_ends_come_beside_samples_of_pods_and_not_of_nodes(kube: Kube) -> None:
    watch = PodWatch(kube, now_s=lambda: ASKED_S + 7.0)
    watch.hear("MODIFIED", pod())
    watch._threads.append(None)  # type: ignore[arg-type]
    source = WithEnds(ScriptedSource(lambda _m, _p, times: times, pods=["p-1"]), watch)

    def read(kind: str, start_s: float) -> tuple[PlannedEnd, ...]:
        scope = Scope(kind, ("shop",))
        request = ReadRequest("memory_usage", "pod", start_s, ASKED_S + 60, 10.0, scope)
        return source.read(request).ends

    assert read("Pod", ASKED_S) == (PlannedEnd("shop", "p", ASKED_S, ASKED_S + 7),)
    assert read("Pod", ASKED_S + 10) == ()
    assert read("Node", ASKED_S) == ()


def test_an_api_server_that_refuses_costs_the_ends_alone() -> None:
    class Refusing:
        def list(self, *_: object, **__: object) -> Any:
            from anomaly_operator.adapters.kube import KubeError  # noqa: PLC0415

            raise KubeError("pods is forbidden", status=403)

    watch = PodWatch(Refusing())  # type: ignore[arg-type]
    source = WithEnds(ScriptedSource(lambda _m, _p, times: times, pods=["p-1"]), watch)
    samples = source.read(ReadRequest("memory_usage", "pod", 0.0, 60.0, 10.0, SHOP))
    assert len(samples.value) == 6
    assert samples.ends == ()
    source.close()
