"""Pods that start to crash-loop are a category nobody has seen, and an anomaly."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.e2e.test_capacity import IMAGE
from tests.e2e.test_going_back import results
from tests.e2e.test_lifecycle import buckets_of
from tests.support.whole_cluster import Body, WholeCluster

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]

QUIET_BUCKETS = 110  # one second each: before, not even a burst of something new may be severe
PODS = 8


def crashing(number: int, namespace: str) -> Body:
    """A pod that ends as soon as it begins."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"crashing-{number}", "namespace": namespace},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": IMAGE, "command": ["sh", "-c", "exit 3"]}],
        },
    }


def repeated(namespace: str, *, times: int) -> Body:
    """An Event as a kubelet tells one that has happened many times at once."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"kind": "Pod", "namespace": namespace, "name": "crashing-0"}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "crashing-0.fire", "namespace": namespace},
        "involvedObject": about,
        "reason": "FailedMount",
        "message": "Volume is on fire",
        "type": "Warning",
        "source": {"component": "kubelet"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": times,
    }


def test_a_crash_loop_is_a_new_category_and_an_anomaly(
    cluster: WholeCluster, watched_events: tuple[str, str]
):
    if not cluster.local:
        pytest.skip("workers' addresses are not reachable from here")
    name, namespace = watched_events
    cluster.opened(name)
    cluster.until("quiet", lambda: buckets_of(cluster, name) >= QUIET_BUCKETS, within_s=150)
    assert results(cluster, name, "categories") == []
    assert results(cluster, name, "records") == []
    cluster.apply(*(crashing(number, namespace) for number in range(PODS)))
    try:
        anomaly = cluster.until(
            "an anomaly of the crash loop",
            lambda: next(
                (
                    each
                    for each in results(cluster, name, "records", min_score=3)
                    if each["summary"] == "New category"
                ),
                None,
            ),
        )
        category = cluster.until(
            "the category of the back-off",
            lambda: next(
                (
                    each
                    for each in results(cluster, name, "categories")
                    if each["definition"].startswith("BackOff:")
                ),
                None,
            ),
            within_s=90,
        )
        cluster.apply(repeated(namespace, times=40))
        severe = cluster.until(
            "an anomaly of what is told forty times at once",
            lambda: next(
                (
                    each
                    for each in results(cluster, name, "records", min_score=75)
                    if "Volume is on fire" in each["category_definition"]
                ),
                None,
            ),
        )
    finally:
        cluster.kubectl("-n", namespace, "delete", "pod", "--all", "--wait=false")
    assert anomaly["by_field_name"] == "category"
    assert anomaly["partition_field_value"] == namespace
    assert anomaly["actual"][0] > 1
    assert severe["actual"] == [40.0]
    assert "never seen before" in anomaly["anomaly_score_explanation"]["sentence"]
    assert any(
        value.startswith("crashing")
        for each in anomaly["influencers"]
        for value in each["influencer_field_values"]
    )
    assert category["partition_field_value"] == namespace
    assert category["examples"]
    assert category["num_matches"] >= PODS
    stats = cluster.until(
        "categories in the status",
        lambda: (
            s if (s := cluster.status(name)["modelSizeStats"]).get("totalCategoryCount") else None
        ),
    )
    assert stats["categorizationStatus"] == "ok"
    assert stats["totalCategoryCount"] >= 2  # scheduled, started, backed off, ...
    (told,) = [
        each
        for each in results(cluster, name, "statistics")
        if each["result_type"] == "categorizer_stats"
    ]
    assert told["partitions"][0]["partition_field_value"] == namespace
