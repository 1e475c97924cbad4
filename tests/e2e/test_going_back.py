"""Snapshots and clones as their user has them: listed, gone back to, and history run again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.e2e.conftest import detector
from tests.e2e.test_lifecycle import buckets_of
from tests.support.whole_cluster import SYSTEM, Body, WholeCluster

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e"),
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("watched_events"),  # its quiet time passes while these run
]

SPAN_S = 900
DAYS = 6


def anomaly(cluster: WholeCluster, *arguments: str, fails: bool = False) -> str:
    """Run the command as a person would; returns what it printed, of an error if it must fail."""
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "anomaly"),
            *arguments,
            "-n",
            SYSTEM,
            f"--kubeconfig={cluster.kubeconfig}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def results(cluster: WholeCluster, name: str, kind: str, **parameters: object) -> list[Body]:
    """Ask the worker's read API; its pod is a process of this machine."""
    address = cluster.workers(name)[0]["status"]["podIP"]
    try:
        answer = httpx.get(
            f"http://{address}:8080/api/v1/{kind}",
            params={"limit": 10_000, **parameters},
            timeout=10,
        )
    except httpx.TransportError:  # a worker that starts anew serves nothing for a moment
        return []
    found: list[Body] = answer.json()[kind]
    return found


def counted(cluster: WholeCluster, name: str) -> set[int]:
    """Times of the buckets that had samples."""
    found = results(cluster, name, "buckets")
    return {each["timestamp"] for each in found if each["event_count"]}


@pytest.fixture
def live(cluster: WholeCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A detector over the nodes' kubelets that has closed some buckets after its first snapshot."""
    if not cluster.local:
        pytest.skip("workers' addresses are not reachable from here")
    case = getattr(request.node, "callspec", None)
    name = f"back-{case.id if case else 'nowhere'}"
    cluster.apply(detector(name))
    cluster.opened(name)
    cluster.until("buckets", lambda: buckets_of(cluster, name) >= 5, within_s=120)
    yield name
    cluster.kubectl("-n", SYSTEM, "delete", "andet", name, "--wait=false")


@pytest.mark.parametrize("delete", [True, False], ids=["delete", "keep"])
def test_reverting_goes_on_from_the_snapshot(cluster: WholeCluster, live: str, *, delete: bool):
    snapshot = cluster.status(live)["shards"][0]["modelSnapshot"]["id"]
    assert snapshot in anomaly(cluster, "snapshots", live)
    asked_ms = time.time() * 1000
    before = counted(cluster, live)
    told = anomaly(
        cluster, "snapshots", live, "revert", snapshot, *(["--delete-results"] if delete else [])
    )
    assert f"will go back to snapshot {snapshot}" in told
    assert f"worker 0: done: went back to snapshot {snapshot}, learnt until" in told
    cluster.until(
        "reverted",
        lambda: any(
            each["description"] == "reverted to" for each in results(cluster, live, "snapshots")
        ),
    )
    cluster.until(
        "buckets go on",
        lambda: any(each["timestamp"] > asked_ms for each in results(cluster, live, "buckets")),
    )
    after = counted(cluster, live)
    later = {each for each in before if each >= float(snapshot) * 1000}
    assert later, "nothing after the snapshot: the test would say nothing"
    # Kubelets have no past to analyse again, so what was deleted stays empty.
    assert not (later & after) if delete else later <= after
    cluster.opened(live)


def test_a_wish_that_cannot_be_carried_out_is_seen_and_changes_nothing(
    cluster: WholeCluster, live: str
):
    """By hand in the status and as an Event; the command knows before it asks."""
    said = anomaly(cluster, "snapshots", live, "revert", "77", fails=True)
    assert f"{SYSTEM}/{live} has no snapshot 77; there are: " in said
    mark = "anomaly-operator.dev/revert"
    assert mark not in cluster.get("andet", live)["metadata"]["annotations"]
    kept = [each["id"] for each in cluster.status(live)["shards"][0]["modelSnapshots"]]

    wish = '{"requestId": "by-hand", "snapshotId": "77"}'
    cluster.kubectl("-n", SYSTEM, "annotate", "andet", live, f"{mark}={wish}")
    stalled = cluster.until("stalled", lambda: cluster.condition(live, "Stalled"))
    assert stalled["reason"] == "RevertRefused"
    assert stalled["message"].startswith(
        "did not go back to snapshot 77: worker 0: snapshot 77: there is none of that name"
    )
    (entry,) = cluster.status(live)["shards"]
    told = entry["revert"]
    assert (told["requestId"], told["outcome"]) == ("by-hand", "refused")
    cluster.until(
        "an Event",
        lambda: [
            each
            for each in cluster.list("events")
            if each["reason"] == "RevertRefused" and each["involvedObject"]["name"] == live
        ],
    )
    listed = anomaly(cluster, "snapshots", live)
    assert [each for each in kept if each not in listed] == []
    cluster.kubectl("-n", SYSTEM, "annotate", "andet", live, f"{mark}-")
    cluster.until("well again", lambda: not cluster.condition(live, "Stalled"))
    cluster.opened(live)


def write_history(path: Path) -> float:
    """Six days of two pods, and an hour in which one of them doubled; gives the hour's start."""
    end_s = time.time() // SPAN_S * SPAN_S
    times = np.arange(end_s - DAYS * 86400, end_s, 300.0)
    peak_s = end_s - 86400
    chance = np.random.default_rng(4)
    lines = ["timestamp,metric,namespace,pod,value"]
    for pod in ("cart-0", "pay-0"):
        values = 1e8 * (1 + 0.1 * np.sin(2 * np.pi * times / 86400)) + chance.normal(
            0, 1e6, len(times)
        )
        if pod == "pay-0":
            values[(times >= peak_s) & (times < peak_s + 3600)] *= 2
        lines += [
            f"{time_s:.0f},memory_usage,shop,{pod},{value:.0f}"
            for time_s, value in zip(times, values, strict=True)
        ]
    path.write_text("\n".join(lines))
    return float(peak_s)


def test_a_clone_applies_the_rules_to_history(cluster: WholeCluster, tmp_path: Path):
    """A rule added later holds for new results; the clone has it from the start."""
    if not cluster.local:
        pytest.skip("a cluster elsewhere does not see this machine's files")
    table = tmp_path / "history.csv"
    peak_s = write_history(table)
    tmp_path.chmod(0o755)
    name, new = "with-history", "with-history-again"
    source = {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "MetricSource",
        "metadata": {"name": "history"},
        "spec": {"type": "table", "table": {"path": str(table)}},
    }
    began = datetime.fromtimestamp(peak_s - (DAYS - 1) * 86400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    whole = {
        "sourceRef": {"name": "history"},
        "bucketSpan": "15m",
        "frequency": "5m",
        "start": began,
        "groups": ["shop"],
    }
    cluster.apply(source, detector(name, **whole))
    rule = {"conditions": [{"appliesTo": "actual", "operator": "gt", "value": 150000000}]}

    def peaks(of: str) -> list[Body]:
        found = results(cluster, of, "records", min_score=25)  # a first weekend scores 47
        return [each for each in found if peak_s <= each["timestamp"] / 1000 < peak_s + 3600]

    def backfilled(of: str) -> bool:
        return (cluster.status(of).get("backfill") or {}).get("percent") == 100

    cluster.opened(name)
    cluster.until("history analysed", lambda: backfilled(name))
    before = peaks(name)
    assert {each["by_field_value"] for each in before} == {"pay-0"}
    cluster.patch("andet", name, {"detectors": [{"metric": "memory_usage", "customRules": [rule]}]})
    cluster.opened(name)
    assert peaks(name) == before

    told = anomaly(cluster, "clone", name, new)
    assert began in told
    cluster.opened(new)
    cluster.until("history analysed again", lambda: backfilled(new))
    assert peaks(new) == []
    muted = results(cluster, new, "muted")
    assert [each for each in muted if peak_s <= each["timestamp"] / 1000 < peak_s + 3600]
    assert peaks(name) == before
    body = cluster.get("andet", new)
    assert body["spec"]["groups"] == ["shop"]
    assert body["metadata"]["uid"] != cluster.get("andet", name)["metadata"]["uid"]
    cluster.kubectl("-n", SYSTEM, "delete", "andet", name, new)
    cluster.kubectl("delete", "msrc", "history")
