"""No room for a worker: refused and said, or waited for, and opened when there is room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import detector
from tests.support.whole_cluster import SYSTEM, Body, WholeCluster

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e"),
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("watched_events"),  # its quiet time passes while these run
]

LARGE = {"analysisLimits": {"modelMemoryLimit": "1500mb"}}  # 2.3 GiB of a 4 GiB node
IMAGE = "anomaly-operator:0.1.0"


def filler(number: int) -> Body:
    """A pod that asks for most of a node and needs nothing of it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"filler-{number}", "namespace": "default"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "sleep",
                    "image": IMAGE,
                    "command": ["sleep", "600"],
                    "resources": {"requests": {"memory": "2500Mi"}},
                }
            ],
        },
    }


@pytest.fixture
def full(cluster: WholeCluster) -> Iterator[WholeCluster]:
    """A cluster whose two nodes have no room for a large worker."""
    if not cluster.local:
        pytest.skip("the size of this cluster's nodes is not ours to know")
    cluster.apply(filler(1), filler(2))
    for number in (1, 2):
        cluster.until(
            "fillers run",
            lambda name=f"filler-{number}": (
                cluster.get("pod", name, namespace="default")["status"]["phase"] == "Running"
            ),
        )
    yield cluster
    make_room(cluster)
    names = ("lazy", "strict", "edited")
    cluster.kubectl("-n", SYSTEM, "delete", "andet", *names, "--ignore-not-found")


def make_room(cluster: WholeCluster) -> None:
    cluster.kubectl("-n", "default", "delete", "pod", "filler-1", "filler-2", "--ignore-not-found")


def test_lazy_waits_for_room_and_opens_when_there_is(full: WholeCluster):
    full.apply(detector("lazy", allowLazyOpen=True, **LARGE))
    ready = full.until(
        "waiting for capacity",
        lambda: (
            c
            if (c := full.condition("lazy", "Ready")).get("reason") == "WaitingForCapacity"
            else None
        ),
    )
    assert "no node has room for the worker" in ready["message"]
    assert "Insufficient memory" in ready["message"]
    assert full.status("lazy")["state"] == "opening"
    assert [pod["status"]["phase"] for pod in full.workers("lazy")] == ["Pending"]
    make_room(full)
    full.opened("lazy")


def test_not_lazy_fails_with_nothing_left_pending_and_opens_at_the_next_edit(full: WholeCluster):
    full.apply(detector("strict", allowLazyOpen=False, **LARGE))
    full.until("failed", lambda: full.status("strict").get("state") == "failed")
    ready = full.condition("strict", "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InsufficientCapacity")
    full.until("nothing pending", lambda: not full.workers("strict"))
    assert full.status("strict")["state"] == "failed"
    full.until(
        "the way out is told",
        lambda: "allowLazyOpen" in full.condition("strict", "Ready")["message"],
    )
    make_room(full)
    full.patch("andet", "strict", {"description": "try again"})
    full.opened("strict")


def test_an_edit_of_allow_lazy_open_holds_for_what_is_not_open_and_restarts_nothing(
    full: WholeCluster,
):
    """From failed to waiting, to failed, to waiting, to opened; and then it changes nothing."""
    name = "edited"

    def reason() -> str | None:
        return str(full.condition(name, "Ready").get("reason"))

    full.apply(detector(name, allowLazyOpen=False, **LARGE))
    full.until("refused", lambda: reason() == "InsufficientCapacity" and not full.workers(name))
    full.patch("andet", name, {"allowLazyOpen": True})
    full.until("waiting", lambda: reason() == "WaitingForCapacity" and full.workers(name))
    full.patch("andet", name, {"allowLazyOpen": False})
    full.until("refused", lambda: reason() == "InsufficientCapacity" and not full.workers(name))
    full.patch("andet", name, {"allowLazyOpen": True})
    full.until("waiting", lambda: reason() == "WaitingForCapacity" and full.workers(name))
    make_room(full)
    full.opened(name)
    (before,) = full.workers(name)
    full.patch("andet", name, {"allowLazyOpen": False})
    full.opened(name)
    (after,) = full.workers(name)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
