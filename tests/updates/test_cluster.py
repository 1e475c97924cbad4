"""Updates as their user meets them: kubectl, the operator and a worker, each a process of its own.

One detector over a table that reaches into the future, in buckets of a second. Its past is quiet;
from now on some pod or other of ``web`` and ``db`` misbehaves every few seconds.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from tests.support.whole_cluster import SYSTEM, Body, WholeCluster, whole_cluster
from tests.updates.ahead import begin, times_around, write_table
from tests.updates.fields import DETECTOR, FIELDS, Field

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("updates"), pytest.mark.timeout(300)]

NAME = "walked"
PAST_S = 400
PODS = tuple(f"{workload}-{number}" for workload in ("web", "db") for number in range(20))
EVERY_S = 100  # each pod misbehaves so often, for two seconds; together, one every five seconds
MIB = 2**20

LIVE = {field.name: field for field in FIELDS if not field.reopens}
REOPENING = {field.name: field for field in FIELDS if field.reopens}


def memory(now_s: int, times: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Quiet until now, and from then on each pod misbehaves in its turn."""
    found = {}
    for number, pod in enumerate(PODS):
        values = 1e8 * (1 + np.random.default_rng(number).uniform(-0.02, 0.02, len(times)))
        since = times - now_s - 5 * (number % 20)
        found[pod] = np.where((times >= now_s) & (since % EVERY_S < 2), 4e8, values)
    return found


@dataclass(frozen=True, slots=True)
class Walk:
    """The detector, and ways to look at it."""

    cluster: WholeCluster

    def patch(self, **spec: Any) -> int:
        """Edit the spec; returns its new generation."""
        self.cluster.patch("andet", NAME, spec)
        return int(self.cluster.get("andet", NAME)["metadata"]["generation"])

    def settled(self, *, within_s: float = 90.0) -> None:
        """Wait until the status says that everything is followed."""

        def look() -> bool:
            found = self.cluster.get("andet", NAME)
            status, generation = found.get("status") or {}, found["metadata"]["generation"]
            conditions = {c["type"]: c for c in status.get("conditions") or ()}
            return (
                status.get("state") == "opened"
                and status.get("appliedGeneration") == generation
                and conditions["UpdatePending"]["status"] == "False"
                and conditions["UpdatePending"]["observedGeneration"] == generation
            )

        self.cluster.until("settled", look, within_s=within_s)

    def pending(self) -> Body:
        return self.cluster.condition(NAME, "UpdatePending")

    def pod(self) -> tuple[str, int]:
        """UID of the worker's pod, and how often its process was started again."""
        (pod,) = self.cluster.workers(NAME)
        counts = [each["restartCount"] for each in pod["status"].get("containerStatuses") or ()]
        return pod["metadata"]["uid"], sum(counts)

    def url(self) -> str:
        (pod,) = self.cluster.workers(NAME)
        port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
        return f"http://{pod['status']['podIP']}:{port}"

    def asked(self, path: str, **query: object) -> Any:
        """Ask the worker's read API."""
        answer = httpx.get(f"{self.url()}/api/v1/{path}", params=query)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return answer.json()

    def muted_since(self, time_s: float) -> set[str]:
        """Workloads of which something was withheld since a time."""
        found = self.asked("muted", start=time_s, limit=10_000)["muted"]
        return {each["series"].split("|")[2].partition("-")[0] for each in found}

    def judged(self) -> float:
        """Buckets that the worker says it has judged since the detector began."""
        text = httpx.get(f"{self.url()}/metrics").text
        return next(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "anomaly_detector_buckets_processed_total"
        )

    def buckets(self) -> list[float]:
        """Starts of the buckets in the results store, in order."""
        query = {"partition_field_value": "", "order": "asc", "limit": 10_000}
        return [each["timestamp"] / 1000 for each in self.asked("buckets", **query)["buckets"]]

    def process(self) -> int:
        """Process id of the worker."""
        (pod,) = self.cluster.workers(NAME)
        mark = f"POD_NAME={pod['metadata']['name']}\0".encode()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    if mark in (folder / "environ").read_bytes():
                        return int(folder.name)
        raise AssertionError(f"no process of {pod['metadata']['name']}")


def assert_each_bucket_once(walk: Walk) -> None:
    """No bucket is missing, and none was judged twice."""
    before = walk.judged()
    found = walk.buckets()
    assert np.all(np.diff(found) == 1.0), "no gap"
    assert before <= len(found) <= walk.judged(), "as many as were judged"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeCluster]:
    """A cluster with the operator in it."""
    with whole_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def opened(cluster: WholeCluster, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """The detector, opened and past its history."""
    now_s = int(time.time())
    table = tmp_path_factory.mktemp("table") / "table.csv"
    times = times_around(now_s, past_s=PAST_S)
    write_table(table, times, memory(now_s, times))
    begin(
        cluster,
        NAME,
        table=table,
        start_s=now_s - PAST_S,
        partitionField="namespace",
        detectors=[DETECTOR],
    )
    walk = Walk(cluster)
    walk.settled()
    return walk


@pytest.fixture
def walk(opened: Walk) -> Walk:
    """The detector, with everything followed that was edited before."""
    opened.settled()
    return opened


@pytest.mark.parametrize("field", LIVE.values(), ids=LIVE)
def test_a_live_edit_is_followed_without_a_restart(walk: Walk, field: Field):
    before = walk.pod()
    generation = walk.patch(**field.spec)
    walk.settled()
    assert walk.pod() == before
    assert walk.asked("job")["generation"] == generation


def test_a_filter_edited_live_withholds_from_then_on_and_deleted_goes_on(walk: Walk):
    kind = {"apiVersion": "anomaly-operator.dev/v1alpha1", "kind": "AnomalyFilter"}
    metadata = {"name": "quiet", "namespace": SYSTEM}
    walk.cluster.apply({**kind, "metadata": metadata, "spec": {"items": ["db-*"]}})
    rule = {"scope": {"pod": {"filterId": "quiet"}}}
    walk.patch(detectors=[{**DETECTOR, "customRules": [rule]}], maintenanceWindows=[], groups=["a"])
    walk.settled()
    before, since = walk.pod(), time.time()
    walk.cluster.until("db withheld", lambda: walk.muted_since(since) == {"db"})

    edited = time.time()
    walk.cluster.apply({**kind, "metadata": metadata, "spec": {"items": ["web-*"]}})
    walk.cluster.until("web withheld", lambda: "web" in walk.muted_since(edited), within_s=90)
    walk.settled()
    assert walk.pod() == before

    walk.cluster.kubectl("-n", SYSTEM, "delete", "anfilter", "quiet")
    stalled = walk.cluster.until("stalled", lambda: walk.cluster.condition(NAME, "Stalled"))
    assert stalled["reason"] == "FilterNotFound"
    assert stalled["message"] == (
        f"AnomalyFilter quiet was deleted but is used by AnomalyDetector {NAME}; its rules go on "
        "with the last content; create it again, or edit the rules"
    )
    deleted = time.time()
    walk.cluster.until("still withheld", lambda: "web" in walk.muted_since(deleted + 1))
    assert walk.pod() == before
    walk.patch(detectors=[DETECTOR])
    walk.cluster.until("well again", lambda: not walk.cluster.condition(NAME, "Stalled"))


def test_a_frozen_worker_follows_nothing_and_the_status_says_so(walk: Walk):
    followed = walk.cluster.status(NAME)["appliedGeneration"]
    process = walk.process()
    os.kill(process, signal.SIGSTOP)
    try:
        generation = walk.patch(description="while it is frozen")
        pending = walk.cluster.until(
            "pending", lambda: c if (c := walk.pending())["status"] == "True" else None
        )
        assert pending["message"] == (
            f"description: generation {generation} is not followed yet; workers follow {followed}"
        )
        generation = walk.patch(groups=["frozen"])
        said = (
            f"description, groups: generation {generation} is not followed yet; "
            f"workers follow {followed}"
        )
        walk.cluster.until("both pending", lambda: walk.pending()["message"] == said)
        assert walk.cluster.status(NAME)["appliedGeneration"] == followed
        assert walk.cluster.status(NAME)["observedGeneration"] == generation
    finally:
        os.kill(process, signal.SIGCONT)
    walk.settled()
    assert walk.asked("job")["description"] == "while it is frozen"
    assert walk.asked("job")["groups"] == ["frozen"]


def test_a_new_memory_limit_reopens_and_loses_nothing(walk: Walk):
    before, known = walk.pod(), walk.buckets()
    walk.patch(analysisLimits={"modelMemoryLimit": "48mb"})
    pending = walk.cluster.until(
        "reopening", lambda: c if (c := walk.pending())["reason"] == "Reopening" else None
    )
    assert pending["message"].startswith("analysisLimits: generation ")
    walk.settled()
    assert walk.pod()[0] != before[0]
    shard = walk.cluster.status(NAME)["shards"][0]
    assert shard["modelSizeStats"]["modelBytesMemoryLimit"] == 48 * MIB
    walk.cluster.until("buckets go on", lambda: walk.buckets()[-1] > known[-1] + 5)
    assert walk.buckets()[: len(known)] == known
    assert_each_bucket_once(walk)


def test_a_closed_detector_takes_every_edit(walk: Walk):
    """Everything is edited while no worker runs, and followed from the next open on."""
    known = walk.buckets()
    walk.patch(suspend=True)
    walk.cluster.until("closed", lambda: walk.cluster.status(NAME).get("state") == "closed")
    walk.cluster.until("no worker", lambda: not walk.cluster.workers(NAME))
    edits: dict[str, Any] = {}
    for field in (*LIVE.values(), *REOPENING.values()):
        edits |= field.spec
    generation = walk.patch(**edits)
    walk.cluster.until(
        "seen", lambda: walk.cluster.status(NAME).get("observedGeneration") == generation
    )
    assert walk.pending()["status"] == "False"
    assert walk.pending()["message"] == "no worker runs; the spec is read when it opens"
    assert walk.cluster.condition(NAME, "Ready")["reason"] == "Closed"
    generation = walk.patch(suspend=False)
    walk.settled()
    assert walk.asked("job")["generation"] == generation
    assert walk.asked("job")["description"] == "Memory of the shop"
    assert walk.cluster.status(NAME)["shards"][0]["modelSizeStats"]["modelBytesMemoryLimit"] == MIB
    walk.cluster.until("what was missed is there", lambda: walk.buckets()[-1] > time.time() - 10)
    assert walk.buckets()[: len(known)] == known
    assert_each_bucket_once(walk)
