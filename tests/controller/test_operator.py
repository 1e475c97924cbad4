"""A detector's life under the real operator, from apply to gone."""

from __future__ import annotations

import json

import pytest

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Body
from tests.support.operating import SYSTEM, Cluster, Operator, detector, start_operator
from tests.support.processes import eventually

pytestmark = pytest.mark.e2e  # a process of its own each, a few seconds


def opened(cluster: Cluster, name: str = "memory", *, namespace: str = SYSTEM) -> Body:
    """Create a detector and play its worker: a ready pod, a claim, a report."""
    body = cluster.apply(detector(name, namespace=namespace))
    play_worker(cluster, name, namespace=namespace)
    eventually(
        lambda: cluster.status(name, namespace=namespace).get("state") == "opened",
        what=f"opened: {cluster.status(name, namespace=namespace)}",
    )
    return body


def play_worker(cluster: Cluster, name: str = "memory", *, namespace: str = SYSTEM) -> None:
    """Do what the StatefulSet's controller, a node and a worker do."""
    made = eventually(lambda: cluster.stateful_set(name, namespace=namespace), what="StatefulSet")
    template = made["spec"]["template"]
    pod_name = f"{made['metadata']['name']}-0"
    owner = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": made["metadata"]["name"],
        "uid": made["metadata"]["uid"],
    }
    cluster.admin.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **template["metadata"],
                "name": pod_name,
                "namespace": SYSTEM,
                "ownerReferences": [owner],
            },
            "spec": {
                **template["spec"],
                "volumes": [*template["spec"]["volumes"], {"name": "data", "emptyDir": {}}],
            },
        }
    )
    cluster.make_claim(made["spec"]["volumeClaimTemplates"][0], f"data-{pod_name}")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod_name, "namespace": SYSTEM}}
    ready = {"type": "Ready", "status": "True"}
    cluster.admin.apply(
        {**pod, "status": {"phase": "Running", "conditions": [ready]}},
        field_manager="a-node",
        subresource="status",
    )
    report(cluster, name, namespace=namespace)


def report(
    cluster: Cluster, name: str = "memory", *, namespace: str = SYSTEM, **fields: object
) -> None:
    """Write the worker's part of the status, as the worker does."""
    found = cluster.detector(name, namespace=namespace)
    assert found is not None
    generation = found["metadata"]["generation"]
    cluster.admin.apply(
        {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "metadata": {"name": name, "namespace": namespace},
            "status": {"shards": [{"shard": 0, "appliedGeneration": generation, **fields}]},
        },
        field_manager="anomaly-worker-0",
        subresource="status",
    )


def patch(cluster: Cluster, name: str = "memory", **spec: object) -> None:
    """Edit a detector as a user does."""
    cluster.kubectl(
        "-n", SYSTEM, "patch", "andet", name, "--type=merge", "-p", json.dumps({"spec": spec})
    )


def remove_pod(cluster: Cluster, name: str) -> None:
    cluster.admin.delete(kube.PODS, name, namespace=SYSTEM)


def pods(cluster: Cluster) -> list[str]:
    return [
        pod["metadata"]["name"] for pod in cluster.admin.list(kube.PODS, namespace=SYSTEM).items
    ]


def test_a_detector_opens_with_children_conditions_and_one_event_a_state(
    cluster: Cluster, operator: Operator
):
    body = opened(cluster)
    kinds = sorted(kind for kind, _, _ in cluster.children(body["metadata"]["uid"]))
    assert kinds == [
        "ClusterRoleBinding",
        "ClusterRoleBinding",
        "ConfigMap",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "StatefulSet",
    ]
    assert cluster.condition("Ready")["status"] == "True"
    assert cluster.condition("Ready")["observedGeneration"] == 1
    assert cluster.condition("Reconciling") == {}
    events = cluster.admin.list(kube.EVENTS, namespace=SYSTEM).items
    assert sorted((e["type"], e["reason"]) for e in events) == [
        ("Normal", "Opened"),
        ("Normal", "Opening"),
    ]
    assert {e["reportingComponent"] for e in events} == {"anomaly-operator"}
    assert operator.metric("anomaly_operator_detectors") == 1.0


def test_nothing_of_kopf_is_ever_on_a_detector(cluster: Cluster, operator: Operator):
    opened(cluster)
    found = cluster.detector()
    assert found is not None
    assert "finalizers" not in found["metadata"]
    assert "annotations" not in found["metadata"]
    managers = {entry["manager"] for entry in found["metadata"]["managedFields"]}
    assert managers == {"a-user", "anomaly-operator", "anomaly-worker-0"}


def test_a_steady_state_writes_nothing(cluster: Cluster):
    """Every detector is looked at several times, and the API server sees no write."""
    operator = start_operator(cluster, "--resync-interval-s=0.3")
    opened(cluster)
    eventually(lambda: cluster.condition("UpdatePending").get("status") == "False", what="settled")

    def written_during_looks() -> tuple[float, bool]:
        """Writes while it was looked at some times more, and whether the detector changed."""
        looks = operator.metric("anomaly_operator_reconciles_total")
        writes = operator.metric("anomaly_operator_writes_total")
        version = cluster.detector()["metadata"]["resourceVersion"]  # type: ignore[index]
        eventually(
            lambda: operator.metric("anomaly_operator_reconciles_total") > looks + 4,
            what="looked at again and again",
        )
        changed = cluster.detector()["metadata"]["resourceVersion"] != version  # type: ignore[index]
        return operator.metric("anomaly_operator_writes_total") - writes, changed

    # The first source's own status may still be on its way; after that, nothing.
    eventually(lambda: written_during_looks() == (0.0, False), what="a look without a write")
    assert written_during_looks() == (0.0, False)


def test_a_live_edit_reaches_the_document_and_pends_until_the_worker_follows(
    cluster: Cluster, operator: Operator
):
    opened(cluster)
    template = cluster.stateful_set()["spec"]["template"]  # type: ignore[index]
    patch(cluster, description="what it is for", resultsRetentionDays=30)
    pending = eventually(
        lambda: (c := cluster.condition("UpdatePending"))["status"] == "True" and c, what="pending"
    )
    assert pending["message"].startswith("description, resultsRetentionDays: generation 2 ")
    made = cluster.stateful_set()
    assert made is not None
    assert made["spec"]["template"] == template
    config_map = cluster.admin.get(kube.CONFIG_MAPS, made["metadata"]["name"], namespace=SYSTEM)
    assert config_map is not None
    assert json.loads(config_map["data"]["job.json"])["spec"]["resultsRetentionDays"] == 30
    report(cluster)
    eventually(lambda: cluster.condition("UpdatePending")["status"] == "False", what="followed")
    assert cluster.status()["appliedGeneration"] == 2


def test_a_reopen_edit_rolls_the_pod(cluster: Cluster, operator: Operator):
    opened(cluster)
    before = cluster.stateful_set()["spec"]["template"]["metadata"]  # type: ignore[index]
    patch(cluster, analysisLimits={"modelMemoryLimit": "128mb"})
    eventually(
        lambda: cluster.stateful_set()["spec"]["template"]["metadata"] != before,  # type: ignore[index]
        what="another template",
    )
    eventually(
        lambda: cluster.condition("UpdatePending").get("reason") == "Reopening", what="reopening"
    )


def test_a_bad_edit_stalls_with_every_problem_and_leaves_the_worker_alone(
    cluster: Cluster, operator: Operator
):
    """The CRD refuses what it can; what only the operator knows stalls."""
    opened(cluster)
    before = cluster.stateful_set()["metadata"]["resourceVersion"]  # type: ignore[index]
    patch(cluster, analysisLimits={"modelMemoryLimit": "900gb"})
    stalled = eventually(lambda: cluster.condition("Stalled"), what="stalled")
    assert stalled["reason"] == "LimitExceeded"
    assert "921600mb is above this operator's maximum of 65536mb" in stalled["message"]
    assert cluster.condition("Ready")["status"] == "False"
    assert cluster.stateful_set()["metadata"]["resourceVersion"] == before  # type: ignore[index]
    patch(cluster, analysisLimits={"modelMemoryLimit": "64mb"})
    eventually(lambda: cluster.condition("Stalled") == {}, what="no longer stalled")


def test_suspend_closes_and_resume_opens(cluster: Cluster, operator: Operator):
    opened(cluster)
    patch(cluster, suspend=True)
    eventually(lambda: cluster.status()["state"] == "closing", what="closing")
    assert cluster.stateful_set()["spec"]["replicas"] == 0  # type: ignore[index]
    for name in pods(cluster):
        remove_pod(cluster, name)
    eventually(lambda: cluster.status()["state"] == "closed", what="closed")
    assert cluster.condition("Ready")["reason"] == "Closed"
    patch(cluster, suspend=False)
    eventually(lambda: cluster.status()["state"] == "opening", what="opening")
    assert cluster.stateful_set()["spec"]["replicas"] == 1  # type: ignore[index]


def test_a_deleted_detector_leaves_nothing_behind(cluster: Cluster, operator: Operator):
    body = opened(cluster)
    cluster.kubectl("-n", SYSTEM, "delete", "andet", "memory", "--timeout=5s")
    for name in pods(cluster):
        remove_pod(cluster, name)
    eventually(lambda: not cluster.children(body["metadata"]["uid"]), what="all gone")
    eventually(lambda: operator.metric("anomaly_operator_detectors") == 0.0, what="forgotten")


def test_a_detector_deleted_while_the_operator_is_down_is_swept_at_its_return(
    cluster: Cluster, operator: Operator
):
    body = opened(cluster, "tenant", namespace="shop")
    operator.kill()
    cluster.kubectl("-n", "shop", "delete", "andet", "tenant", "--timeout=5s")
    assert cluster.detector("tenant", namespace="shop") is None
    assert cluster.children(body["metadata"]["uid"])
    start_operator(cluster)
    eventually(lambda: not cluster.children(body["metadata"]["uid"]), what="swept")


def test_a_detector_created_again_at_once_gets_children_of_its_own(
    cluster: Cluster, operator: Operator
):
    old = opened(cluster)["metadata"]["uid"]
    cluster.kubectl("-n", SYSTEM, "delete", "andet", "memory", "--timeout=5s")
    new = cluster.apply(detector())["metadata"]["uid"]
    eventually(lambda: not cluster.children(old), what="the old ones gone")
    eventually(lambda: len(cluster.children(new)) == 9, what="the new ones there")
    assert cluster.stateful_set()["metadata"]["labels"]["anomaly-operator.dev/detector-uid"] == new  # type: ignore[index]


def test_an_operator_killed_in_the_middle_is_taken_up_where_it_was(cluster: Cluster):
    """Killed as soon as the first child stands; the next one ends in the planned state."""
    first = start_operator(cluster)
    body = cluster.apply(detector())
    uid = body["metadata"]["uid"]
    eventually(lambda: cluster.children(uid), what="a first child")
    first.kill()
    start_operator(cluster)
    eventually(lambda: len(cluster.children(uid)) == 9, what="all children")
    eventually(lambda: cluster.status().get("state") == "opening", what="a status")


def test_two_detectors_do_not_meet(cluster: Cluster, operator: Operator):
    opened(cluster)
    opened(cluster, "tenant", namespace="shop")
    patch(cluster, suspend=True)
    eventually(lambda: cluster.status()["state"] == "closing", what="one closes")
    assert cluster.status("tenant", namespace="shop")["state"] == "opened"
    assert cluster.stateful_set("tenant", namespace="shop")["spec"]["replicas"] == 1  # type: ignore[index]


def test_two_operators_at_once_agree(cluster: Cluster, operator: Operator):
    """Both apply the same plan under the same name, so one write more or less changes nothing."""
    second = start_operator(cluster)
    body = opened(cluster)
    patch(cluster, description="both see this")
    report(cluster)
    eventually(lambda: cluster.status().get("appliedGeneration") == 2, what="followed")
    eventually(lambda: cluster.condition("UpdatePending")["status"] == "False", what="settled")
    assert len(cluster.children(body["metadata"]["uid"])) == 10
    assert operator.process.poll() is None
    assert second.process.poll() is None


def test_what_somebody_deletes_or_changes_is_healed(cluster: Cluster, operator: Operator):
    opened(cluster)
    name = cluster.stateful_set()["metadata"]["name"]  # type: ignore[index]
    cluster.admin.delete(kube.CONFIG_MAPS, name, namespace=SYSTEM)
    eventually(
        lambda: cluster.admin.get(kube.CONFIG_MAPS, name, namespace=SYSTEM), what="made again"
    )
    cluster.kubectl("-n", SYSTEM, "scale", f"statefulset/{name}", "--replicas=5")
    eventually(lambda: cluster.stateful_set()["spec"]["replicas"] == 1, what="scaled back")  # type: ignore[index]


def test_a_missing_optional_right_costs_one_feature(cluster: Cluster):
    role = cluster.admin.get(kube.ROLES, "anomaly-operator", namespace=SYSTEM)
    assert role is not None
    rules = [rule for rule in role["rules"] if "networkpolicies" not in rule["resources"]]
    cluster.admin.apply(
        {
            "apiVersion": role["apiVersion"],
            "kind": "Role",
            "metadata": {"name": "anomaly-operator", "namespace": SYSTEM},
            "rules": rules,
        },
        field_manager="a-user",
    )
    operator = start_operator(cluster)
    body = opened(cluster)
    kinds = {kind for kind, _, _ in cluster.children(body["metadata"]["uid"])}
    assert "NetworkPolicy" not in kinds
    assert "StatefulSet" in kinds
    assert operator.metric("anomaly_operator_optional_writes_refused_total") >= 1


def test_an_edited_filter_reaches_the_document_and_a_deleted_one_stalls_by_name(
    cluster: Cluster, operator: Operator
):
    kind = {"apiVersion": "anomaly-operator.dev/v1alpha1", "kind": "AnomalyFilter"}
    metadata = {"name": "batch", "namespace": SYSTEM}
    cluster.apply({**kind, "metadata": metadata, "spec": {"items": ["batch-*"]}})
    rule = {"scope": {"pod": {"filterId": "batch"}}}
    cluster.apply(detector(detectors=[{"metric": "memory_usage", "customRules": [rule]}]))
    play_worker(cluster)

    def items() -> list[str]:
        name = cluster.stateful_set()["metadata"]["name"]  # type: ignore[index]
        found = cluster.admin.get(kube.CONFIG_MAPS, name, namespace=SYSTEM)
        return json.loads(found["data"]["job.json"])["filters"]["batch"]  # type: ignore[index,no-any-return]

    eventually(lambda: items() == ["batch-*"], what="the filter's items")
    cluster.apply({**kind, "metadata": metadata, "spec": {"items": ["batch-*", "job-*"]}})
    eventually(lambda: items() == ["batch-*", "job-*"], what="the edited items")
    cluster.kubectl("-n", SYSTEM, "delete", "anfilter", "batch")
    stalled = eventually(lambda: cluster.condition("Stalled"), what="stalled")
    assert stalled["reason"] == "FilterNotFound"
    assert "batch was deleted but is used by AnomalyDetector memory" in stalled["message"]
    assert items() == ["batch-*", "job-*"]


def test_a_cluster_without_a_source_gets_one_and_a_detector_without_one_says_so(
    cluster: Cluster, operator: Operator
):
    assert "kubelet" in cluster.kubectl("get", "msrc", "-o", "name")
    cluster.apply(detector(sourceRef={"name": "thanos"}))
    stalled = eventually(lambda: cluster.condition("Stalled"), what="stalled")
    assert stalled["reason"] == "SourceNotFound"
    cluster.apply(
        {
            "apiVersion": "anomaly-operator.dev/v1alpha1",
            "kind": "MetricSource",
            "metadata": {"name": "thanos"},
            "spec": {"type": "prometheus", "prometheus": {"url": "http://thanos:9090"}},
        }
    )
    eventually(lambda: cluster.condition("Stalled") == {}, what="found")
    eventually(cluster.stateful_set, what="its worker")


def test_filters_and_sources_say_who_uses_them(cluster: Cluster, operator: Operator):
    cluster.apply(
        {
            "apiVersion": "anomaly-operator.dev/v1alpha1",
            "kind": "AnomalyFilter",
            "metadata": {"name": "batch", "namespace": SYSTEM},
            "spec": {"items": ["batch-*"]},
        }
    )
    rule = {"scope": {"pod": {"filterId": "batch"}}}
    cluster.apply(detector(detectors=[{"metric": "memory_usage", "customRules": [rule]}]))

    def used(resource: kube.Resource, name: str, *, namespace: str = "") -> Body:
        found = cluster.admin.get(resource, name, namespace=namespace) or {}
        status: Body = found.get("status") or {}
        return status if status.get("usedByCount") else {}

    status = eventually(
        lambda: used(kube.ANOMALY_FILTERS, "batch", namespace=SYSTEM), what="the filter is used"
    )
    assert status["usedBy"] == ["memory"]
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [("Ready", "True")]
    eventually(lambda: used(kube.METRIC_SOURCES, "kubelet"), what="the source is used")
    # An edit of who uses it shows long before the resync, which comes every five minutes.
    patch(cluster, detectors=[{"metric": "memory_usage"}])
    eventually(
        lambda: not used(kube.ANOMALY_FILTERS, "batch", namespace=SYSTEM), what="no longer used"
    )
    patch(cluster, detectors=[{"metric": "memory_usage", "customRules": [rule]}])
    eventually(
        lambda: used(kube.ANOMALY_FILTERS, "batch", namespace=SYSTEM).get("usedBy") == ["memory"],
        what="used again",
    )


def test_a_deleted_filter_stalls_at_once_whoever_uses_it(cluster: Cluster, operator: Operator):
    """Each detector says that it is it that uses the filter; the worker's document stays."""
    name = {"name": "batch", "namespace": SYSTEM}
    kind = {"apiVersion": "anomaly-operator.dev/v1alpha1", "kind": "AnomalyFilter"}
    cluster.apply({**kind, "metadata": name, "spec": {"items": ["batch-*"]}})
    rule = {"scope": {"pod": {"filterId": "batch"}}}
    using = [{"metric": "memory_usage", "customRules": [rule]}]
    users = ("memory", "others")
    for user in users:
        cluster.apply(detector(user, detectors=using))
        eventually(lambda user=user: cluster.stateful_set(user), what=f"worker of {user}")
    cluster.kubectl("-n", SYSTEM, "delete", "anfilter", "batch")
    for user in users:
        stalled = eventually(
            lambda user=user: cluster.condition("Stalled", user), what=f"{user} is stalled"
        )
        assert stalled["reason"] == "FilterNotFound"
        assert f"batch was deleted but is used by AnomalyDetector {user}" in stalled["message"]
        made = cluster.stateful_set(user)
        assert made is not None
        text = cluster.admin.get(kube.CONFIG_MAPS, made["metadata"]["name"], namespace=SYSTEM)
        assert text is not None
        assert json.loads(text["data"]["job.json"])["filters"] == {"batch": ["batch-*"]}


def test_sigterm_ends_it_cleanly(cluster: Cluster, operator: Operator):
    opened(cluster)
    assert operator.get("/healthz") == (200, "ok\n")
    assert operator.stop() == 0
    assert "Traceback" not in operator.log.read_text(encoding="utf-8")


def test_an_operator_before_the_crds_waits_for_them(cluster: Cluster):
    cluster.kubectl("delete", "-k", "crds")
    operator = start_operator(cluster, ready=False)
    eventually(
        lambda: "the list of detectors" in operator.get("/readyz")[1],
        what="not ready, and it says why",
    )
    cluster.kubectl("apply", "-k", "crds")
    eventually(lambda: operator.get("/readyz")[0] == 200, what="ready")
    cluster.apply(detector())
    eventually(cluster.stateful_set, what="a worker")
