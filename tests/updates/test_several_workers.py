"""A detector with two workers: each has its part, and an update is followed when both follow it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.test_going_back import anomaly
from tests.support.whole_cluster import SYSTEM, WholeCluster, whole_cluster
from tests.updates.ahead import begin, times_around, write_table

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("updates"), pytest.mark.timeout(300)]

NAME = "shared"
PODS = tuple(f"app{number}-0" for number in range(12))
PAST_S = 120
MIB = 2**20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeCluster]:
    """A cluster whose operator gives every detector two workers, and one detector."""
    with whole_cluster(tmp_path_factory.mktemp("cluster")) as running:
        running.kubectl("-n", SYSTEM, "set", "env", "deploy/anomaly-operator", "ANOMALY_SHARDS=2")
        running.kubectl("-n", SYSTEM, "rollout", "status", "deploy/anomaly-operator")
        now_s = int(time.time())
        table = tmp_path_factory.mktemp("table") / "table.csv"
        times = times_around(now_s, past_s=PAST_S)
        write_table(table, times, dict.fromkeys(PODS, 1e8 + times % 7))
        begin(
            running,
            NAME,
            table=table,
            start_s=now_s - PAST_S,
            detectors=[{"metric": "memory_usage"}],
        )
        yield running


def sizes(cluster: WholeCluster) -> list[dict[str, Any]]:
    """What each worker says of its models; empty until both have."""
    shards = cluster.status(NAME).get("shards") or []
    found = [each["modelSizeStats"] for each in shards if each.get("modelSizeStats")]
    return found if len(found) == 2 else []


def test_each_worker_has_its_part_of_the_series_and_of_the_memory(cluster: WholeCluster):
    cluster.opened(NAME)

    def shared() -> list[dict[str, Any]] | None:
        found = sizes(cluster)
        counts = [each["seriesCount"] for each in found]
        return found if sum(counts) == len(PODS) and min(counts) > 0 else None

    limit = cluster.get("andet", NAME)["spec"]["analysisLimits"]["modelMemoryLimit"]
    half = int(limit.removesuffix("mb")) // 2  # another test may have raised it
    found = cluster.until("every series has one worker", shared)
    assert [each["modelBytesMemoryLimit"] for each in found] == [half * MIB] * 2

    def summed() -> bool:
        status = cluster.status(NAME)
        memory = (status.get("modelSizeStats") or {}).get("modelBytesMemoryLimit")
        return memory == 2 * half * MIB and status.get("seriesCount") == len(PODS)

    cluster.until("the sums", summed)
    assert cluster.status(NAME)["shardCount"] == 2
    asked = [
        pod["spec"]["containers"][0]["resources"]["requests"]["memory"]
        for pod in cluster.workers(NAME)
    ]
    margin = half * 5 // 4
    assert asked == [f"{384 + margin}Mi"] * 2, "384 beside the models, and the allocator's margin"


def test_a_live_edit_is_followed_when_both_follow_it(cluster: WholeCluster):
    cluster.opened(NAME)
    before = {pod["metadata"]["uid"] for pod in cluster.workers(NAME)}
    cluster.patch("andet", NAME, {"modelPlotConfig": {"enabled": True}})
    status = cluster.opened(NAME)
    assert {each["appliedGeneration"] for each in status["shards"]} == {status["appliedGeneration"]}
    assert {pod["metadata"]["uid"] for pod in cluster.workers(NAME)} == before


def test_a_new_limit_reopens_both_with_their_parts(cluster: WholeCluster):
    cluster.opened(NAME)
    cluster.patch("andet", NAME, {"analysisLimits": {"modelMemoryLimit": "48mb"}})
    cluster.until(
        "both reopened",
        lambda: [each["modelBytesMemoryLimit"] for each in sizes(cluster)] == [24 * MIB] * 2,
    )
    cluster.opened(NAME)


def test_both_go_back_and_each_says_so(cluster: WholeCluster):
    """A worker without a snapshot of that id takes its newest one before it."""
    cluster.opened(NAME)

    def stored() -> list[str] | None:
        shards = cluster.status(NAME).get("shards") or []
        found = [each["modelSnapshot"]["id"] for each in shards if each.get("modelSnapshot")]
        return found if len(found) == 2 else None

    newest = max(cluster.until("both have a snapshot", stored))
    told = anomaly(cluster, "snapshots", NAME, "revert", newest, "--delete-results")
    assert "worker 0: done: went back to snapshot " in told
    assert "worker 1: done: went back to snapshot " in told
    cluster.opened(NAME)
