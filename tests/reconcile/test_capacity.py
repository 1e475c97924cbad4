"""No room for the worker: refused and nothing left pending, or patient; and tried again."""

from __future__ import annotations

from anomaly_operator.reconcile.children.stateful_set import REFUSED_AT
from anomaly_operator.reconcile.planning import plan
from anomaly_operator.reconcile.state import Observed, Plan
from tests.support.observing import (
    NOW_S,
    carried_out,
    child,
    condition,
    detector,
    edited,
    observed,
    verdict,
    written,
)

NO_ROOM = {
    "metadata": {"name": "andet-memory-0", "annotations": {}},
    "spec": {"containers": [{"image": "x"}]},
    "status": {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 Insufficient memory.",
            }
        ],
    },
}


def crowded(**changes: object) -> Observed:
    before = observed(detector(**changes))
    return written(before, plan(before), pods=(NO_ROOM,))


def after(before: Observed, made: Plan, *, seconds: float) -> Observed:
    return written(before, made, pods=(), now_s=NOW_S + seconds)


def test_without_lazy_open_the_detector_has_failed_and_nothing_is_left_pending():
    made = plan(crowded())
    assert child(made, "StatefulSet")["spec"]["replicas"] == 0
    assert made.status["status"]["state"] == "failed"
    assert verdict(made, "Stalled") == ("True", "InsufficientCapacity")
    assert verdict(made, "Ready") == ("False", "InsufficientCapacity")
    assert condition(made, "Reconciling") is None
    assert [(e.type, e.reason) for e in made.events] == [("Warning", "InsufficientCapacity")]


def test_it_stays_refused_without_a_pod_and_writes_nothing_more():
    before = crowded()
    refused = after(before, plan(before), seconds=5)
    again = plan(refused)
    assert [body["kind"] for body in again.apply] == []
    settled = written(refused, again)
    made = plan(settled)
    assert (made.apply, made.status, made.events) == ((), None, ())
    assert made.requeue_after_s is not None


def test_it_is_tried_again_after_a_while():
    before = crowded()
    refused = after(before, plan(before), seconds=601)
    made = plan(refused)
    body = child(made, "StatefulSet")
    assert body["spec"]["replicas"] == 1
    assert REFUSED_AT not in body["metadata"]["annotations"]


def test_an_edit_tries_again_at_once():
    before = crowded()
    refused = after(before, plan(before), seconds=5)
    made = plan(edited(refused, analysisLimits={"modelMemoryLimit": "16mb"}))
    assert child(made, "StatefulSet")["spec"]["replicas"] == 1


def test_with_lazy_open_it_stays_opening_until_there_is_room():
    made = plan(crowded(allowLazyOpen=True))
    assert made.apply == ()
    assert made.status["status"]["state"] == "opening"
    assert verdict(made, "Reconciling") == ("True", "WaitingForCapacity")
    assert condition(made, "Stalled") is None


def test_turning_lazy_open_on_opens_a_refused_detector():
    before = crowded()
    refused = after(before, plan(before), seconds=5)
    made = plan(edited(refused, allowLazyOpen=True))
    assert child(made, "StatefulSet")["spec"]["replicas"] == 1
    assert made.status["status"]["state"] == "opening"


def test_the_children_of_a_refused_detector_are_complete():
    before = observed()
    assert {key.kind for key in carried_out(before, plan(before))} >= {"StatefulSet", "ConfigMap"}
