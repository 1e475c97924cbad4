"""What is done about a detector, told as sentences."""

from __future__ import annotations

import json

from anomaly_operator.api.job import WorkerJob, digest_of
from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.planning import plan
from tests.support.observing import (
    NOW_S,
    SYSTEM,
    UID,
    carried_out,
    child,
    condition,
    detector,
    edited,
    filter_of,
    job,
    observed,
    opened,
    ready_pod,
    source,
    verdict,
    written,
)

NAME = "andet-memory-"


def test_a_new_detector_gets_its_children_in_the_order_a_pod_needs_them():
    made = plan(observed())
    assert [body["kind"] for body in made.apply] == [
        "ConfigMap",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRoleBinding",
        "ClusterRoleBinding",
        "Service",
        "NetworkPolicy",
        "StatefulSet",
    ]
    assert {
        body["metadata"]["labels"]["anomaly-operator.dev/detector-uid"] for body in made.apply
    } == {UID}
    assert made.delete == ()


def test_a_new_detector_is_unknown_at_once_and_opening():
    made = plan(observed())
    assert verdict(made, "Ready") == ("Unknown", "Progressing")
    assert verdict(made, "Reconciling") == ("True", "Opening")
    assert condition(made, "Stalled") is None
    assert made.status["status"]["state"] == "opening"
    assert made.status["status"]["observedGeneration"] == 1
    assert made.events == ()


def test_a_tenants_children_stand_in_the_operators_namespace_but_for_its_rights():
    made = plan(observed(detector(namespace="shop")))
    places = {(body["kind"], body["metadata"].get("namespace")) for body in made.apply}
    assert ("StatefulSet", SYSTEM) in places
    assert ("ConfigMap", SYSTEM) in places
    assert ("Role", "shop") in places
    assert ("RoleBinding", "shop") in places
    assert not {kind for kind, place in places if place == "shop"} - {"Role", "RoleBinding"}


def test_a_tenants_worker_sees_its_namespace_and_reports_on_its_detector_only():
    made = plan(observed(detector(namespace="shop")))
    assert json.loads(child(made, "ConfigMap")["data"]["job.json"])["namespaces"] == ["shop"]
    roles = {
        body["roleRef"]["name"]
        for body in made.apply
        if body["kind"] in {"RoleBinding", "ClusterRoleBinding"}
    }
    assert "anomaly-worker-cluster" not in roles
    assert child(made, "Role")["rules"][0] == {
        "apiGroups": ["anomaly-operator.dev"],
        "resources": ["anomalydetectors/status"],
        "resourceNames": ["memory"],
        "verbs": ["get", "patch"],
    }


def test_only_a_kubelet_source_gives_the_right_to_read_kubelets():
    made = plan(observed(sources={"prometheus": source(kind="prometheus")}))
    bound = [body["roleRef"]["name"] for body in made.apply if body["kind"] == "ClusterRoleBinding"]
    assert bound == ["anomaly-worker-cluster"]


def test_the_memory_of_several_workers_is_shared_and_not_multiplied():
    """Each pod asks for the overhead and its part of the limit, with the allocator's margin."""
    limit = {"analysisLimits": {"modelMemoryLimit": "1024mb"}}
    asked = []
    for shards in (1, 4):
        made = plan(observed(detector(**limit), config=OperatorConfig(shards=shards)))
        (container,) = child(made, "StatefulSet")["spec"]["template"]["spec"]["containers"]
        asked.append(container["resources"]["requests"]["memory"])
    assert asked == ["1536Mi", "576Mi"]  # 256 + 1024 * 1.25, and 256 + 256 * 1.25


def test_when_everything_is_as_planned_nothing_is_done():
    steady = plan(opened())
    assert (steady.apply, steady.delete, steady.status, steady.events) == ((), (), None, ())


def test_a_worker_that_is_ready_and_follows_the_spec_opens_the_detector():
    before = observed()
    children = carried_out(before, plan(before))
    body = detector(status={"shards": [{"shard": 0, "appliedGeneration": 1}]})
    made = plan(observed(body, children=children, pods=(ready_pod(children),)))
    assert verdict(made, "Ready") == ("True", "Opened")
    assert condition(made, "Ready")["message"] == "1 worker follows generation 1"
    assert condition(made, "Reconciling") is None
    assert verdict(made, "UpdatePending") == ("False", "UpToDate")
    assert made.status["status"]["state"] == "opened"
    assert [(event.type, event.reason) for event in made.events] == [("Normal", "Opened")]


def test_a_live_field_changes_the_document_and_restarts_nothing():
    rules = [
        {
            "metric": "memory_usage",
            "customRules": [
                {"conditions": [{"appliesTo": "actual", "operator": "lt", "value": 5}]}
            ],
        }
    ]
    made = plan(edited(opened(), detectors=rules))
    assert [body["kind"] for body in made.apply] == ["ConfigMap"]
    assert verdict(made, "UpdatePending") == ("True", "WaitingForWorkers")
    assert condition(made, "UpdatePending")["message"] == (
        "detectors: generation 2 is not followed yet; workers follow 1"
    )
    assert verdict(made, "Ready")[0] == "True"
    assert verdict(made, "Reconciling") == ("True", "WaitingForWorkers")


def test_a_reopen_field_rolls_the_worker():
    fields = {
        "analysisLimits": {"modelMemoryLimit": "256mb"},
        "backgroundPersistInterval": "5h",
        "renormalizationWindowDays": 7,
        "modelPruneWindow": "20d",
    }
    for field, value in fields.items():
        made = plan(edited(opened(), **{field: value}))
        assert [body["kind"] for body in made.apply] == ["ConfigMap", "StatefulSet"], field
        assert verdict(made, "UpdatePending") == ("True", "Reopening"), field
        assert condition(made, "UpdatePending")["message"].startswith(f"{field}: "), field


def test_every_other_updatable_field_leaves_the_pod_template_alone():
    fields = {
        "description": "text",
        "groups": ["kubernetes"],
        "customSettings": {"createdBy": "me"},
        "modelSnapshotRetentionDays": 20,
        "dailyModelSnapshotRetentionAfterDays": 2,
        "resultsRetentionDays": 90,
        "modelPlotConfig": {"enabled": True},
        "maintenanceWindows": [{"name": "night", "schedule": "0 2 * * *", "duration": "2h"}],
        "allowLazyOpen": True,
    }
    for field, value in fields.items():
        made = plan(edited(opened(), **{field: value}))
        assert [body["kind"] for body in made.apply] == ["ConfigMap"], field


def test_the_fields_that_are_pending_stay_named_until_the_worker_follows():
    first = edited(opened(), description="text")
    waiting = written(first, plan(first))
    again = edited(waiting, generation=3, groups=["a"])
    assert condition(plan(again), "UpdatePending")["message"] == (
        "description, groups: generation 3 is not followed yet; workers follow 1"
    )


def test_the_workers_word_ends_a_pending_update():
    first = edited(opened(), description="text")
    waiting = written(first, plan(first))
    waiting.body["status"]["shards"] = [{"shard": 0, "appliedGeneration": 2}]
    made = plan(waiting)
    assert verdict(made, "UpdatePending") == ("False", "UpToDate")
    assert made.status["status"]["appliedGeneration"] == 2
    assert ("Normal", "UpToDate") in [(event.type, event.reason) for event in made.events]


def test_an_edited_filter_is_pending_until_the_worker_follows_the_new_document():
    """The generation stays, so the worker's word about its document decides."""
    rule = {"scope": {"pod": {"filterId": "batch"}}}
    body = detector(detectors=[{"metric": "memory_usage", "customRules": [rule]}])
    running = opened(body, filters={"batch": filter_of("batch-*")})
    old = digest_of(job(running.children).to_json())
    running.body["status"]["shards"] = [
        {"shard": 0, "appliedGeneration": 1, "appliedDocument": old}
    ]
    again = written(running, plan(running), filters={"batch": filter_of("batch-*", "job-*")})
    made = plan(again)
    assert [each["kind"] for each in made.apply] == ["ConfigMap"]
    assert condition(made, "UpdatePending")["message"] == (
        "AnomalyFilter batch: generation 1 with newer content is not followed yet by worker 0"
    )
    assert verdict(made, "Ready") == ("True", "Opened")
    waiting = written(again, made)
    assert plan(waiting).status is None, "nothing new until the worker speaks"
    new = digest_of(job(waiting.children).to_json())
    waiting.body["status"]["shards"] = [
        {"shard": 0, "appliedGeneration": 1, "appliedDocument": new}
    ]
    assert verdict(plan(waiting), "UpdatePending") == ("False", "UpToDate")


def test_a_worker_that_lags_has_its_pod_touched_once_so_that_the_kubelet_looks():
    running = opened()
    old = digest_of(job(running.children).to_json())
    shards = [{"shard": 0, "appliedGeneration": 1, "appliedDocument": old}]
    running.body["status"]["shards"] = shards
    assert plan(running).nudge == ()
    again = edited(running, description="text")
    made = plan(again)
    new = digest_of(job(carried_out(again, made)).to_json())
    (touched,) = made.nudge
    assert touched["kind"] == "Pod"
    assert touched["metadata"]["name"] == running.pods[0]["metadata"]["name"]
    assert touched["metadata"]["annotations"] == {"anomaly-operator.dev/job-digest": new}
    assert "spec" not in touched
    pod = {**running.pods[0]}
    pod["metadata"] = {
        **pod["metadata"],
        "annotations": {
            **pod["metadata"]["annotations"],
            **touched["metadata"]["annotations"],
        },
    }
    assert plan(written(again, made, pods=(pod,))).nudge == ()


def test_an_update_is_pending_while_the_worker_is_started_again_whatever_the_old_one_says():
    """The worker that is on its way out may have read the new document before it ends."""
    again = edited(opened(), modelPruneWindow="20d")
    waiting = written(again, plan(again))
    waiting.body["status"]["shards"] = [{"shard": 0, "appliedGeneration": 2}]
    made = plan(waiting)
    assert verdict(made, "UpdatePending") == ("True", "Reopening")
    assert condition(made, "UpdatePending")["message"] == (
        "modelPruneWindow: generation 2 is followed; the worker is still being started again"
    )


def test_suspend_scales_to_none_and_is_closing_until_the_pod_is_gone():
    suspended = edited(opened(), suspend=True)
    made = plan(suspended)
    assert child(made, "StatefulSet")["spec"]["replicas"] == 0
    assert made.status["status"]["state"] == "closing"
    assert verdict(made, "Reconciling") == ("True", "Closing")
    closed = plan(written(suspended, made, pods=()))
    assert closed.status["status"]["state"] == "closed"
    assert verdict(closed, "Ready") == ("True", "Closed")
    assert condition(closed, "Reconciling") is None
    assert [(event.type, event.reason) for event in closed.events] == [("Normal", "Closed")]


def test_resuming_opens_again():
    suspended = edited(opened(), suspend=True)
    closed = written(suspended, plan(suspended), pods=())
    made = plan(edited(written(closed, plan(closed)), generation=3, suspend=False))
    assert child(made, "StatefulSet")["spec"]["replicas"] == 1
    assert made.status["status"]["state"] == "opening"


def test_a_bad_edit_leaves_the_worker_as_it_was_and_names_every_problem():
    made = plan(edited(opened(), bucketSpan="soon", resultsRetentionDays=-1))
    assert made.apply == ()
    assert verdict(made, "Stalled") == ("True", "InvalidSpec")
    assert verdict(made, "Ready") == ("False", "InvalidSpec")
    assert condition(made, "Reconciling") is None
    message = condition(made, "Stalled")["message"]
    assert "spec.bucketSpan: 'soon' is not a duration" in message
    assert "spec.resultsRetentionDays: -1 is less than 0" in message
    assert condition(made, "Ready")["message"].endswith("(workers go on with generation 1)")
    assert made.status["status"]["state"] == "opened"
    assert verdict(made, "UpdatePending") == ("True", "InvalidSpec")
    assert ("Warning", "InvalidSpec") in [(event.type, event.reason) for event in made.events]


def test_a_detector_that_was_never_right_has_failed_and_has_no_children():
    made = plan(observed(detector(bucketSpan="soon")))
    assert made.apply == ()
    assert made.status["status"]["state"] == "failed"


def test_while_the_spec_is_wrong_what_runs_is_still_kept_from_drifting():
    wrong = edited(opened(), bucketSpan="soon")
    children = {key: body for key, body in wrong.children.items() if key.kind != "Service"}
    made = plan(
        written(wrong, plan(wrong)).__class__(
            body=wrong.body,
            spec=wrong.spec,
            config=wrong.config,
            now_s=NOW_S,
            sources=wrong.sources,
            children=children,
            pods=wrong.pods,
        )
    )
    assert [body["kind"] for body in made.apply] == ["Service"]


def test_drift_is_healed_and_what_others_added_stays():
    before = opened()
    key = next(key for key in before.children if key.kind == "StatefulSet")
    before.children[key]["metadata"]["labels"]["team"] = "a"
    assert plan(before).apply == ()
    before.children[key]["spec"]["template"]["spec"]["containers"][0]["image"] = "evil"
    assert [body["kind"] for body in plan(before).apply] == ["StatefulSet"]


def test_a_child_that_is_no_longer_wanted_goes():
    before = opened()
    without = written(before, plan(before), config=OperatorConfig(network_policies=False))
    assert [key.kind for key in plan(without).delete] == ["NetworkPolicy"]


def test_a_detector_that_is_being_deleted_loses_its_children():
    before = opened()
    before.body["metadata"]["deletionTimestamp"] = "2024-05-01T11:00:00Z"
    made = plan(before)
    assert set(made.delete) == set(before.children)
    assert (made.apply, made.status) == ((), None)


def test_the_claim_templates_are_those_the_stateful_set_was_created_with():
    before = opened()
    later = written(
        before, plan(before), config=OperatorConfig(volume_size="20Gi", worker_image="other")
    )
    made = plan(later)
    templates = child(made, "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert templates[0]["spec"]["resources"]["requests"]["storage"] == "10Gi"


def test_an_empty_dir_is_a_choice_of_the_operators_configuration():
    made = plan(observed(config=OperatorConfig(volume_mode="emptyDir", volume_size="1Gi")))
    body = child(made, "StatefulSet")["spec"]
    assert "volumeClaimTemplates" not in body
    data = [v for v in body["template"]["spec"]["volumes"] if v["name"] == "data"]
    assert data == [{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}]


def test_a_pod_monitor_is_made_where_the_kind_exists():
    labels = {"release": "kube-prometheus-stack"}
    config = OperatorConfig(pod_monitor_labels=labels)
    made = plan(observed(config=config, optional_kinds=frozenset({"PodMonitor"})))
    assert labels.items() <= child(made, "PodMonitor")["metadata"]["labels"].items()


def test_the_job_document_reads_back_and_holds_what_the_rules_scope_on():
    body = detector(
        detectors=[
            {"metric": "memory_usage", "customRules": [{"scope": {"pod": {"filterId": "batch"}}}]}
        ]
    )
    before = observed(body, filters={"batch": filter_of("batch-*"), "unused": filter_of("x")})
    found = job(carried_out(before, plan(before)))
    assert isinstance(found, WorkerJob)
    assert found.filters == {"batch": ("batch-*",)}
    assert found.source.name == "kubelet"
    assert found.namespaces is None


def test_an_edited_filter_reaches_the_document_and_restarts_nothing():
    body = detector(
        detectors=[
            {"metric": "memory_usage", "customRules": [{"scope": {"pod": {"filterId": "batch"}}}]}
        ]
    )
    before = opened(body, filters={"batch": filter_of("batch-*")})
    made = plan(written(before, plan(before), filters={"batch": filter_of("batch-*", "job-*")}))
    assert [item["kind"] for item in made.apply] == ["ConfigMap"]


def test_the_secrets_of_a_source_are_mounted():
    secure = source(kind="prometheus").model_copy(deep=True)
    spec = secure.document()
    spec["prometheus"]["auth"] = {"bearer": {"name": "token", "key": "value"}}
    before = observed(sources={"prometheus": type(secure).parse(spec)})
    made = plan(before)
    pod = child(made, "StatefulSet")["spec"]["template"]["spec"]
    assert {"name": "secret-0", "secret": {"secretName": "token"}} in pod["volumes"]
    assert job(carried_out(before, made)).source.credentials_path == "/etc/anomaly/secrets"


def test_the_memory_limit_decides_the_workers_memory():
    made = plan(observed(detector(analysisLimits={"modelMemoryLimit": "512mb"})))
    container = child(made, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"memory": "896Mi"}  # 256 + 512 * 1.25
