"""An API server that is slow, absent, forgetful or strict; nothing is lost and nothing storms."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomaly_operator.adapters import kube
from tests.support.operating import SYSTEM, Cluster, Operator, detector, start_operator
from tests.support.processes import eventually

pytestmark = pytest.mark.e2e  # a process of its own each, a few seconds


def test_watches_that_have_expired_are_begun_again(cluster: Cluster, operator: Operator):
    """After a compaction old versions cannot be watched from; changes are still seen."""
    if cluster.api is None:
        pytest.skip("a real API server compacts when it likes")
    cluster.apply(detector())
    made = eventually(cluster.stateful_set, what="a worker")
    cluster.api.compact()
    cluster.apply(detector("second"))
    eventually(lambda: cluster.stateful_set("second"), what="the second one's worker")
    name = made["metadata"]["name"]
    cluster.admin.delete(kube.SERVICES, name, namespace=SYSTEM)
    eventually(
        lambda: cluster.admin.get(kube.SERVICES, name, namespace=SYSTEM), what="the service again"
    )


def test_a_refused_child_is_told_in_the_status_until_it_is_accepted(
    cluster: Cluster, operator: Operator
):
    """A right that is missing stands for whatever refuses a part: admission, quota, RBAC."""
    role = cluster.admin.get(kube.ROLES, "anomaly-operator", namespace=SYSTEM)
    assert role is not None
    body = {
        "apiVersion": role["apiVersion"],
        "kind": "Role",
        "metadata": {"name": "anomaly-operator", "namespace": SYSTEM},
    }
    without = [rule for rule in role["rules"] if rule["apiGroups"] != ["apps"]]
    without.append({"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["list"]})
    cluster.admin.apply({**body, "rules": without}, field_manager="a-user")
    cluster.apply(detector())
    ready = eventually(
        lambda: (c := cluster.condition("Ready")).get("reason") == "ChildrenRefused" and c,
        what=f"refused: {cluster.status()}",
    )
    assert "statefulsets" in ready["message"]
    assert cluster.status()["state"] == "failed"
    cluster.admin.apply({**body, "rules": role["rules"]}, field_manager="a-user")
    eventually(cluster.stateful_set, what="the worker, once it may")
    eventually(lambda: cluster.status()["state"] == "opening", what="opening")


def test_a_claim_that_nobody_binds_is_told_in_the_status(cluster: Cluster):
    """A cluster without a provisioner: what is missing is named, and what to do instead."""
    start_operator(cluster, "--claim-patience-s=1")
    cluster.apply(detector())
    made = eventually(cluster.stateful_set, what="a worker")
    claim = f"data-{made['metadata']['name']}-0"
    cluster.make_claim(made["spec"]["volumeClaimTemplates"][0], claim)
    ready = eventually(
        lambda: (c := cluster.condition("Ready")).get("reason") == "VolumeUnbound" and c,
        what=f"unbound: {cluster.status()}",
    )
    assert ready["status"] == "False"
    assert ready["message"].startswith(f"PersistentVolumeClaim {SYSTEM}/{claim} is not bound")
    assert "volume mode emptyDir" in ready["message"]


def test_with_empty_dir_a_worker_has_a_bounded_volume_and_no_claim(cluster: Cluster):
    start_operator(cluster, "--volume-mode=emptyDir", "--volume-size=2Gi")
    cluster.apply(detector())
    spec = eventually(cluster.stateful_set, what="a worker")["spec"]
    assert not spec.get("volumeClaimTemplates")
    assert {"name": "data", "emptyDir": {"sizeLimit": "2Gi"}} in spec["template"]["spec"]["volumes"]


def test_a_stalled_detector_is_counted_and_others_go_on(cluster: Cluster, operator: Operator):
    cluster.apply(detector("stuck", sourceRef={"name": "nowhere"}))
    cluster.apply(detector("fine"))
    eventually(lambda: cluster.stateful_set("fine"), what="the other one's worker")
    eventually(
        lambda: cluster.condition("Stalled", "stuck").get("reason") == "SourceNotFound",
        what="the first one stalled",
    )
    assert operator.metric("anomaly_operator_detectors_stalled") == 1.0


def test_an_operator_that_was_stopped_for_a_while_catches_up(cluster: Cluster, operator: Operator):
    """SIGSTOP stands for a node that freezes; what happened meanwhile is seen after."""
    cluster.apply(detector("before"))
    before = eventually(lambda: cluster.stateful_set("before"), what="a worker")
    operator.process.send_signal(signal.SIGSTOP)
    uid = before["metadata"]["labels"]["anomaly-operator.dev/detector-uid"]
    cluster.admin.delete(kube.ANOMALY_DETECTORS, "before", namespace=SYSTEM)
    cluster.apply(detector("after"))
    operator.process.send_signal(signal.SIGCONT)
    eventually(lambda: cluster.stateful_set("after"), what="the new one's worker")
    eventually(lambda: not cluster.children(uid), what="the old one's children gone")


@pytest.fixture
def reads_deep() -> Iterator[None]:
    """Let the test's own process read what it has written."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("reads_deep")
def test_a_tenants_endless_object_stalls_and_stops_nobody_else(
    cluster: Cluster, operator: Operator, tmp_path: Path
):
    """An API server takes 10,000 levels; a reader that stops at a thousand would list nothing."""
    if cluster.api is not None:
        pytest.skip("the stand-in takes 254 levels; tests/worker/test_commands.py has our reader")
    levels = 9_900
    body = json.dumps(detector("endless", customSettings={"a": "LEVELS"}))
    file = tmp_path / "endless.json"
    file.write_text(body.replace('"LEVELS"', "[" * levels + "]" * levels))
    cluster.kubectl("create", "-f", str(file))
    stalled = eventually(lambda: cluster.condition("Stalled", "endless"), what="stalled")
    assert stalled["message"] == "spec.customSettings: is nested deeper than 32 levels"
    cluster.apply(detector("others"))
    eventually(lambda: cluster.stateful_set("others"), what="a worker for who comes later")
    cluster.kubectl("-n", SYSTEM, "delete", "andet", "endless")
    eventually(lambda: cluster.detector("endless") is None, what="gone")
