"""A detector's life as its user sees it: apply, edit, suspend, delete, and what goes wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import detector
from tests.support.whole_cluster import SYSTEM, Body, WholeCluster

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]

OURS = "anomaly-operator.dev/detector"


@pytest.fixture
def lively(cluster: WholeCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Name of a detector that is opened and has series."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-")
    cluster.apply(detector(name))
    cluster.opened(name)
    cluster.until("series", lambda: (cluster.status(name).get("seriesCount") or 0) > 0)
    yield name
    cluster.kubectl("-n", SYSTEM, "delete", "andet", name, "--ignore-not-found", "--wait=false")


def restarts(pod: Body) -> int:
    statuses = pod["status"].get("containerStatuses") or ()
    return sum(status["restartCount"] for status in statuses)


def buckets_of(cluster: WholeCluster, name: str) -> int:
    shards = cluster.status(name).get("shards") or ({},)
    return int((shards[0].get("dataCounts") or {}).get("bucketCount") or 0)


def children(cluster: WholeCluster, name: str) -> list[tuple[str, str]]:
    found = []
    for kind in ("statefulsets", "configmaps", "services", "serviceaccounts", "pvc", "pods"):
        items = cluster.list(kind, labels=f"{OURS}={name}")
        found += [(kind, item["metadata"]["name"]) for item in items]
    return found


def test_applied_detector_opens_and_tells_what_it_does(cluster: WholeCluster, lively: str):
    table = cluster.kubectl("-n", SYSTEM, "get", "andet", lively)
    header, row = table.splitlines()
    for column in ("READY", "STATE", "ANOMALOUS", "SERIES", "CRITICAL", "MAJOR", "MEMORY", "AGE"):
        assert column in header
    assert "True" in row
    assert "opened" in row
    assert cluster.get("andet", lively)["metadata"].get("finalizers") is None
    assert cluster.condition(lively, "Stalled").get("status") != "True"


def test_live_edit_is_followed_without_a_restart(cluster: WholeCluster, lively: str):
    before = cluster.workers(lively)
    assert before
    rule = {"conditions": [{"appliesTo": "actual", "operator": "lt", "value": 1000000000000}]}
    edited = [{"metric": "memory_usage", "customRules": [rule]}]
    cluster.patch("andet", lively, {"detectors": edited})
    cluster.opened(lively)
    after = cluster.workers(lively)
    assert [pod["metadata"]["uid"] for pod in after] == [pod["metadata"]["uid"] for pod in before]
    assert [restarts(pod) for pod in after] == [restarts(pod) for pod in before]


def test_memory_limit_is_changed_by_reopening_with_what_was_learnt(
    cluster: WholeCluster, lively: str
):
    before = cluster.workers(lively)[0]["metadata"]["uid"]
    counted = buckets_of(cluster, lively)
    cluster.patch("andet", lively, {"analysisLimits": {"modelMemoryLimit": "48mb"}})

    def reopened() -> bool:
        found = cluster.workers(lively)
        return bool(found) and found[0]["metadata"]["uid"] != before

    cluster.until("another worker", reopened)
    cluster.opened(lively)
    limit = cluster.status(lively)["shards"][0]["modelSizeStats"]["modelBytesMemoryLimit"]
    assert limit == 48 * 2**20
    cluster.until("buckets go on", lambda: buckets_of(cluster, lively) > counted)


def test_what_cannot_change_is_refused_by_the_api_server(cluster: WholeCluster, lively: str):
    answer = cluster.patch("andet", lively, {"bucketSpan": "2s"}, check=False)
    assert "spec.bucketSpan" in answer
    assert "cannot be changed after creation" in answer


def test_bad_edit_is_refused_with_every_problem(cluster: WholeCluster, lively: str):
    answer = cluster.patch(
        "andet",
        lively,
        {"modelSnapshotRetentionDays": -1, "resultsRetentionDays": -2},
        check=False,
    )
    assert "modelSnapshotRetentionDays" in answer
    assert "resultsRetentionDays" in answer


def test_source_that_is_not_there_stalls_with_its_path(cluster: WholeCluster):
    name = "no-such-source"
    cluster.apply(detector(name, sourceRef={"name": "nowhere"}))
    stalled = cluster.until(
        "stalled",
        lambda: c if (c := cluster.condition(name, "Stalled")).get("status") == "True" else None,
    )
    assert "nowhere" in stalled["message"]
    assert cluster.workers(name) == []
    cluster.kubectl("-n", SYSTEM, "delete", "andet", name)


def test_suspended_closes_and_opens_again(cluster: WholeCluster, lively: str):
    counted = buckets_of(cluster, lively)
    cluster.patch("andet", lively, {"suspend": True})
    cluster.until("closed", lambda: cluster.status(lively).get("state") == "closed")
    cluster.until("no worker", lambda: not cluster.workers(lively))
    cluster.patch("andet", lively, {"suspend": False})
    cluster.opened(lively)
    cluster.until("buckets go on", lambda: buckets_of(cluster, lively) > counted)


def test_worker_that_is_killed_comes_back_with_what_it_knew(cluster: WholeCluster, lively: str):
    counted = buckets_of(cluster, lively)
    pod = cluster.workers(lively)[0]["metadata"]["name"]
    cluster.kubectl("-n", SYSTEM, "delete", "pod", pod, "--force", "--grace-period=0")
    cluster.until(
        "another worker",
        lambda: any(
            p["metadata"]["name"] == pod and p["status"].get("phase") == "Running"
            for p in cluster.workers(lively)
        ),
    )
    cluster.opened(lively)
    cluster.until("buckets go on", lambda: buckets_of(cluster, lively) > counted)


def operator_pods(cluster: WholeCluster) -> list[Body]:
    found = cluster.list("pods", labels="app.kubernetes.io/name=anomaly-operator")
    return [
        pod
        for pod in found
        if OURS not in pod["metadata"]["labels"] and "deletionTimestamp" not in pod["metadata"]
    ]


def test_operator_that_is_killed_changes_nothing(cluster: WholeCluster, lively: str):
    workers = {pod["metadata"]["uid"] for pod in cluster.workers(lively)}
    assert workers
    counted = buckets_of(cluster, lively)
    (pod,) = operator_pods(cluster)
    cluster.kubectl(
        "-n", SYSTEM, "delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0"
    )
    cluster.kubectl("-n", SYSTEM, "rollout", "status", "deployment/anomaly-operator")
    cluster.until("buckets go on", lambda: buckets_of(cluster, lively) > counted)
    assert {pod["metadata"]["uid"] for pod in cluster.workers(lively)} == workers


def test_deleted_detector_takes_its_children_along(cluster: WholeCluster, lively: str):
    assert tuple({kind for kind, _ in children(cluster, lively) if kind == "statefulsets"}) == (
        "statefulsets",
    )
    cluster.kubectl("-n", SYSTEM, "delete", "andet", lively, "--timeout=30s")
    cluster.until("children gone", lambda: not children(cluster, lively))


def test_detector_deleted_while_the_operator_is_away_is_swept(cluster: WholeCluster, lively: str):
    scale = ("-n", SYSTEM, "scale", "deployment/anomaly-operator")
    cluster.kubectl(*scale, "--replicas=0")
    try:
        cluster.until("operator away", lambda: not operator_pods(cluster))
        cluster.kubectl("-n", SYSTEM, "delete", "andet", lively, "--timeout=30s")
        assert children(cluster, lively), "nothing left to sweep: the test would say nothing"
    finally:
        cluster.kubectl(*scale, "--replicas=1")
    cluster.until("children gone", lambda: not children(cluster, lively))


def test_two_detectors_do_not_meet(cluster: WholeCluster, lively: str):
    other = "another-one"
    cluster.apply(detector(other, detectors=[{"metric": "network_in"}]))
    cluster.opened(other)
    mine = {pod["metadata"]["name"] for pod in cluster.workers(lively)}
    others = {pod["metadata"]["name"] for pod in cluster.workers(other)}
    assert mine
    assert others
    assert not mine & others
    cluster.kubectl("-n", SYSTEM, "delete", "andet", other)
    cluster.until("children gone", lambda: not children(cluster, other))
    assert {pod["metadata"]["name"] for pod in cluster.workers(lively)} == mine


def test_tenant_sees_only_its_own(cluster: WholeCluster):
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tenant"}})
    body = detector("nosy", target={"kind": "Pod", "namespaces": [SYSTEM]})
    body["metadata"]["namespace"] = "tenant"
    cluster.apply(body)

    def refused() -> Body | None:
        status = cluster.get("andet", "nosy", namespace="tenant").get("status") or {}
        stalled = [c for c in status.get("conditions") or () if c["type"] == "Stalled"]
        return stalled[0] if stalled and stalled[0]["status"] == "True" else None

    stalled = cluster.until("refused", refused)
    assert "spec.target.namespaces" in stalled["message"]
    assert SYSTEM in stalled["message"]
    cluster.kubectl("-n", "tenant", "delete", "andet", "nosy")


def test_status_is_written_sparingly(cluster: WholeCluster, lively: str):
    """At most one write a second here (60 s as shipped), however many buckets close."""
    versions = set()
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        versions.add(cluster.get("andet", lively)["metadata"]["resourceVersion"])
    assert len(versions) <= 16  # operator's and worker's writes, one second apart, and slack
