"""Where a pod fits, and why not elsewhere, in the scheduler's words."""

from __future__ import annotations

from typing import Any

import pytest

from anomaly_operator.devcluster.controllers.fitting import explain, obstacle, pinned_to
from anomaly_operator.reconcile.quantities import parse_quantity


def node(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "node-1", "labels": {"zone": "a"}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "2", "memory": "1Gi", "pods": "3"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pod(memory: str = "0", **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {"memory": memory}}}
    return {"spec": {"containers": [container], **spec}}


OBSTACLES = {
    "an empty node": (pod("1Gi"), node(), [], ""),
    "no memory left": (pod("600Mi"), node(), [pod("600Mi")], "Insufficient memory"),
    "too many pods": (pod(), node(), [pod(), pod(), pod()], "Too many pods"),
    "another zone": (
        pod(nodeSelector={"zone": "b"}),
        node(),
        [],
        "node(s) didn't match Pod's node affinity/selector",
    ),
    "pinned to another node": (
        pod(affinity=pinned_to("node-2")),
        node(),
        [],
        "node(s) didn't match Pod's node affinity/selector",
    ),
    "pinned to this node": (pod(affinity=pinned_to("node-1")), node(), [], ""),
    "cordoned": (pod(), node(unschedulable=True), [], "node(s) were unschedulable"),
    "tainted": (
        pod(),
        node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
        [],
        "node(s) had untolerated taint(s) {gpu: yes}",
    ),
    "tainted and tolerated": (
        pod(tolerations=[{"key": "gpu", "operator": "Exists"}]),
        node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
        [],
        "",
    ),
}


@pytest.mark.parametrize(
    ("waiting", "where", "placed", "words"), OBSTACLES.values(), ids=OBSTACLES.keys()
)
def test_obstacle(
    waiting: dict[str, Any], where: dict[str, Any], placed: list[dict[str, Any]], words: str
) -> None:
    assert obstacle(waiting, where, placed=placed) == words


def test_the_message_counts_nodes_by_reason() -> None:
    reasons = ["Insufficient memory", "node(s) were unschedulable", "Insufficient memory"]
    assert explain(reasons).startswith(
        "0/3 nodes are available: 2 Insufficient memory, 1 node(s) were unschedulable. "
    )
    assert explain([]) == "no nodes available to schedule pods"


@pytest.mark.parametrize(
    ("text", "value"),
    [("250m", 0.25), ("64Mi", 64 * 2**20), ("1.5", 1.5), ("2k", 2000), ("1e3", 1000), (7, 7)],
)
def test_quantities(text: str | int, value: float) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "64 megabytes", "Mi", "1Zi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)
