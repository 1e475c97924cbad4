"""Every check: what it finds, word for word, and that the right detector passes all of them."""

from __future__ import annotations

import pytest

from anomaly_operator.api.job import digest_of
from anomaly_operator.api.v1alpha1.anomalyfilter import AnomalyFilterSpec
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.errors import Problem, SpecError
from anomaly_operator.reconcile import chains
from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.planning import plan
from anomaly_operator.reconcile.resolving import REVERT
from anomaly_operator.reconcile.state import Finding, Observed, Refusal
from tests.support.observing import (
    NOW_S,
    condition,
    detector,
    edited,
    filter_of,
    job,
    observed,
    opened,
    source,
    verdict,
    written,
)

RULE_ON_BATCH = [
    {"metric": "memory_usage", "customRules": [{"scope": {"pod": {"filterId": "batch"}}}]}
]
BROKEN = SpecError([Problem("spec.type", "'ganglia' is not one of prometheus, kubelet, table")])


def using_filter(**filters: AnomalyFilterSpec | SpecError) -> Observed:
    return observed(detector(detectors=RULE_ON_BATCH), filters=filters)


def grown_to(*sizes_bytes: int) -> Observed:
    shards = [
        {"shard": number, "appliedGeneration": 1, "modelSizeStats": {"modelBytes": size_bytes}}
        for number, size_bytes in enumerate(sizes_bytes)
    ]
    return opened(detector(), shards=shards, config=OperatorConfig(shards=len(shards)))


def without_filter() -> Observed:
    before = opened(detector(detectors=RULE_ON_BATCH), filters={"batch": filter_of("batch-*")})
    return written(before, plan(before), filters={})


BLOCKING = {
    "a sound detector passes": (observed(), None),
    "a spec with two problems is told both": (
        observed(detector(modelSnapshotRetentionDays=-1, resultsRetentionDays=-2)),
        Finding(
            "InvalidSpec",
            "spec.modelSnapshotRetentionDays: -1 is less than 0; spec.resultsRetentionDays: -2 is "
            "less than 0",
        ),
    ),
    "a tenant that names its own namespace passes": (
        observed(detector(namespace="shop", target={"kind": "Pod", "namespaces": ["shop"]})),
        None,
    ),
    "a tenant that names another namespace is refused": (
        observed(
            detector(namespace="shop", target={"kind": "Pod", "namespaces": ["shop", "bank"]})
        ),
        Finding(
            "NamespaceNotAllowed",
            "spec.target.namespaces: bank may only be watched from namespace anomaly-system; a "
            "detector in shop sees shop and nothing else",
        ),
    ),
    "a tenant that names nodes is refused": (
        observed(detector(namespace="shop", target={"kind": "Node"})),
        Finding(
            "NamespaceNotAllowed",
            "spec.target.kind: Node is only allowed in namespace anomaly-system; a detector in "
            "shop may watch Pod",
        ),
    ),
    "a tenant that selects namespaces is refused": (
        observed(
            detector(
                namespace="shop",
                target={"kind": "Pod", "namespaceSelector": {"matchLabels": {"team": "a"}}},
            )
        ),
        Finding(
            "NamespaceNotAllowed",
            "spec.target.namespaceSelector: is only allowed in namespace anomaly-system; a "
            "detector in shop sees shop",
        ),
    ),
    "the operator's namespace may watch any": (
        observed(detector(target={"kind": "Pod", "namespaces": ["bank"]})),
        None,
    ),
    "a limit above the maximum is refused with both figures": (
        observed(
            detector(analysisLimits={"modelMemoryLimit": "3gb"}),
            config=OperatorConfig(maximum_model_memory_limit="2Gi"),
        ),
        Finding(
            "LimitExceeded",
            "spec.analysisLimits.modelMemoryLimit: 3072mb is above this operator's maximum of "
            "2048mb; use at most that",
        ),
    ),
    "a limit lowered below use is refused with both figures": (
        edited(grown_to(100 * 2**20), analysisLimits={"modelMemoryLimit": "64mb"}),
        Finding(
            "LimitBelowUse",
            "spec.analysisLimits.modelMemoryLimit: cannot be decreased below current usage; "
            "current usage 100mb, update had 64mb",
        ),
    ),
    "a limit lowered to above use passes": (
        edited(grown_to(60 * 2**20), analysisLimits={"modelMemoryLimit": "64mb"}),
        None,
    ),
    "a limit whose equal parts are below what one worker uses is refused": (
        edited(grown_to(10 * 2**20, 30 * 2**20), analysisLimits={"modelMemoryLimit": "50mb"}),
        Finding(
            "LimitBelowUse",
            "spec.analysisLimits.modelMemoryLimit: cannot be decreased below current usage; "
            "current usage 40mb, update had 50mb; each of 2 workers gets an equal part, and one "
            "uses 30mb; use 60mb or more",
        ),
    ),
    "models that outgrew a limit that stays are not the user's fault": (
        edited(grown_to(200 * 2**20), description="text"),
        None,
    ),
    "no source at all": (
        observed(sources={}),
        Finding(
            "SourceNotFound",
            "spec.sourceRef: is unset, and no MetricSource is marked default; name one, or mark "
            "one (there are: there is none at all)",
        ),
    ),
    "no default source": (
        observed(sources={"prom": source(default=False)}),
        Finding(
            "SourceNotFound",
            "spec.sourceRef: is unset, and no MetricSource is marked default; name one, or mark "
            "one (there are: prom)",
        ),
    ),
    "two default sources": (
        observed(sources={"b": source(), "a": source()}),
        Finding(
            "DefaultSourceAmbiguous",
            "spec.sourceRef: is unset, and 2 MetricSources are marked default: a, b; name one, or "
            "leave one marked",
        ),
    ),
    "a second default later moves nobody": (
        written(opened(), plan(opened()), sources={"kubelet": source(), "other": source()}),
        None,
    ),
    "a named source that is not there": (
        observed(detector(sourceRef={"name": "thanos"})),
        Finding(
            "SourceNotFound", "spec.sourceRef.name: no MetricSource 'thanos'; there are: kubelet"
        ),
    ),
    "a named source that is wrong itself": (
        observed(detector(sourceRef={"name": "g"}), sources={"g": BROKEN}),
        Finding(
            "SourceInvalid",
            "MetricSource g: spec.type: 'ganglia' is not one of prometheus, kubelet, table",
        ),
    ),
    "a filter that never was": (
        using_filter(),
        Finding("FilterNotFound", "no AnomalyFilter 'batch' in anomaly-system"),
    ),
    "a filter that was deleted blocks nothing": (without_filter(), None),
}


@pytest.mark.parametrize("sentence", BLOCKING)
def test_blocking(sentence: str):
    given, finding = BLOCKING[sentence]
    assert chains.together(chains.BLOCKING, given) == finding


def test_problems_of_several_checks_are_told_together():
    """A person repairs everything at once; the first check gives the reason."""
    given = observed(
        detector(namespace="shop", target={"kind": "Node"}, sourceRef={"name": "thanos"})
    )
    found = chains.together(chains.BLOCKING, given)
    assert found is not None
    assert found.reason == "NamespaceNotAllowed"
    assert "spec.target.kind" in found.message
    assert "spec.sourceRef.name" in found.message


def test_a_deleted_filter_stays_with_its_last_content_and_stalls_by_name():
    given = without_filter()
    made = plan(given)
    assert made.apply == ()
    assert job(given.children).filters == {"batch": ("batch-*",)}
    assert verdict(made, "Stalled") == ("True", "FilterNotFound")
    assert condition(made, "Stalled")["message"] == (
        "AnomalyFilter batch was deleted but is used by AnomalyDetector memory; its rules go on "
        "with the last content; create it again, or edit the rules"
    )
    assert made.status["status"]["state"] == "opened"


def test_other_edits_are_still_followed_while_a_filter_is_gone():
    made = plan(edited(without_filter(), description="text"))
    assert [body["kind"] for body in made.apply] == ["ConfigMap"]


def test_a_wish_to_revert_reaches_the_document():
    wish = '{"requestId": "r1", "snapshotId": "000184"}'
    made = plan(observed(detector(annotations={REVERT: wish})))
    assert '"snapshotId": "000184"' in made.apply[0]["data"]["job.json"]


UNREADABLE = {
    "an id alone": "000184",
    "a list": "[]",
    "no id of the wish": '{"snapshotId": "000184"}',
    "an id that no status can hold": f'{{"requestId": "{"r" * 254}", "snapshotId": "000184"}}',
    "deeper than a reader can go": "[" * 100_000,
}


@pytest.mark.parametrize("wish", UNREADABLE.values(), ids=UNREADABLE)
def test_a_wish_to_revert_that_cannot_be_read_changes_nothing_and_is_told(wish: str):
    given = observed(detector(annotations={REVERT: wish}))
    found = chains.together(chains.LASTING, given)
    assert found is not None
    assert found.reason == "RevertInvalid"


WISH = '{"requestId": "r1", "snapshotId": "000184"}'


def told_of_wish(outcome: str, request_id: str = "r1") -> Observed:
    told = {"requestId": request_id, "snapshotId": "000184", "outcome": outcome, "message": "words"}
    shards = [{"shard": 0, "appliedGeneration": 1, "revert": told}]
    return opened(detector(annotations={REVERT: WISH}), shards=shards)


def test_a_wish_that_was_refused_stalls_with_the_workers_words():
    found = chains.together(chains.LASTING, told_of_wish("refused"))
    assert found == Finding(
        "RevertRefused",
        "did not go back to snapshot 000184: worker 0: words; remove "
        'metadata.annotations["anomaly-operator.dev/revert"], or ask for another',
    )


@pytest.mark.parametrize(("outcome", "request_id"), [("done", "r1"), ("refused", "an older one")])
def test_a_wish_that_was_done_or_that_is_newer_than_the_refusal_stalls_nothing(
    outcome: str, request_id: str
):
    assert chains.together(chains.LASTING, told_of_wish(outcome, request_id)) is None


def test_a_refused_wish_is_a_warning_and_the_worker_goes_on():
    before = opened(detector(annotations={REVERT: WISH}))
    shards = told_of_wish("refused").body["status"]["shards"]
    body = {**before.body, "status": {**before.body["status"], "shards": shards}}
    made = plan(observed(body, children=before.children, pods=before.pods))
    assert verdict(made, "Ready") == ("False", "RevertRefused")
    assert verdict(made, "Stalled") == ("True", "RevertRefused")
    assert made.status is not None
    assert made.status["status"]["state"] == "opened"
    assert [(event.type, event.reason) for event in made.events] == [("Warning", "RevertRefused")]


def refusing(document: str | None, *, reason: str = "JobRefused") -> Observed:
    """A worker that took generation 1, and refuses a document since."""
    condition = {
        "type": "JobFollowed",
        "status": "False",
        "reason": reason,
        "message": "spec.x: is odd",
        "lastTransitionTime": "2024-05-01T10:00:00Z",
    }
    before = opened()
    entry = {"shard": 0, "appliedGeneration": 1, "conditions": [condition]}
    if document is not None:
        wanted = job(before.children).to_json()
        entry["refusedDocument"] = digest_of(wanted if document == "this" else document)
    body = {**before.body, "status": {**before.body["status"], "shards": [entry]}}
    return observed(body, children=before.children, pods=before.pods)


@pytest.mark.parametrize("document", ["this", None], ids=["this one", "one it cannot read"])
def test_a_job_that_a_worker_refuses_stalls_with_its_words(document: str | None):
    assert chains.together(chains.LASTING, refusing(document)) == Finding(
        "JobRefused",
        "worker 0 refuses the job: spec.x: is odd; it goes on with generation 1",
    )


def test_an_older_job_that_a_worker_refused_stalls_nothing():
    assert chains.together(chains.LASTING, refusing("another")) is None


def test_an_update_that_the_worker_cannot_take_over_yet_is_pending_with_its_words():
    before = refusing(None, reason="SourceUnavailable")
    made = plan(
        observed(
            {**before.body, "metadata": {**before.body["metadata"], "generation": 2}},
            children=before.children,
            pods=before.pods,
        )
    )
    pending = condition(made, "UpdatePending")
    assert pending is not None
    assert pending["status"] == "True"
    assert pending["message"] == (
        "generation 2 is not followed yet; workers follow 1; worker 0: spec.x: is odd"
    )


def test_a_worker_that_cannot_start_is_opening_with_its_words():
    before = opened()
    trouble = {
        "type": "ResultsStored",
        "status": "False",
        "reason": "StoreUnavailable",
        "message": "database db: connection refused",
        "lastTransitionTime": "2024-05-01T10:00:00Z",
    }
    body = {**before.body, "status": {"shards": [{"shard": 0, "conditions": [trouble]}]}}
    body["status"]["conditions"] = before.body["status"]["conditions"]
    starting = {**before.pods[0], "status": {"phase": "Running"}}
    made = plan(observed(body, children=before.children, pods=(starting,)))
    ready = condition(made, "Ready")
    assert ready is not None
    assert ready["message"] == (
        "0 of 1 workers are ready; worker 0: database db: connection refused"
    )


def pod(**status: object) -> dict[str, object]:
    return {
        "kind": "Pod",
        "metadata": {"name": "andet-memory-0", "annotations": {}},
        "spec": {"containers": [{"image": "anomaly-operator:1"}]},
        "status": status,
    }


def waiting(reason: str, message: str = "", **more: object) -> dict[str, object]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(phase="Pending", containerStatuses=[{"state": state, **more}])


def unscheduled(message: str) -> dict[str, object]:
    reason = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return pod(phase="Pending", conditions=[{**reason, "message": message}])


CLAIM = {
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data-andet-memory-0", "creationTimestamp": "2024-05-01T10:00:00Z"},
    "spec": {"storageClassName": "fast"},
    "status": {"phase": "Pending"},
}
NO_ROOM = "0/3 nodes are available: 3 Insufficient memory."
ENDED = {"terminated": {"reason": "Error", "exitCode": 2, "message": "disk is full\n"}}

OPENING = {
    "a pod that starts is nobody's trouble": (
        observed(pods=(waiting("ContainerCreating"),)),
        None,
    ),
    "the API server refuses a child": (
        observed(apply_error="PATCH /apis/apps/v1/...: 403 exceeded quota"),
        Finding("ChildrenRefused", "PATCH /apis/apps/v1/...: 403 exceeded quota"),
    ),
    "quota keeps pods from being made": (
        observed(refusals=(Refusal("FailedCreate", 'pods "x" is forbidden: exceeded quota'),)),
        Finding("PodsRefused", 'pods "x" is forbidden: exceeded quota'),
    ),
    "a claim nobody provisions": (
        observed(claims=(CLAIM,)),
        Finding(
            "VolumeUnbound",
            "PersistentVolumeClaim anomaly-system/data-andet-memory-0 is not bound (storage class: "
            "fast); install a provisioner, or configure the operator with volume mode emptyDir",
        ),
    ),
    "a claim that is young is given time": (
        observed(claims=(CLAIM,), now_s=NOW_S - 110),
        None,
    ),
    "a pod without a volume is not short of room": (
        observed(pods=(unscheduled("pod has unbound immediate PersistentVolumeClaims"),)),
        None,
    ),
    "no node has room": (
        observed(pods=(unscheduled(NO_ROOM),)),
        Finding("InsufficientCapacity", f"no node has room for the worker: {NO_ROOM}"),
    ),
    "no node has room, and the detector waits": (
        observed(detector(allowLazyOpen=True), pods=(unscheduled(NO_ROOM),)),
        Finding("WaitingForCapacity", f"no node has room for the worker: {NO_ROOM}"),
    ),
    "no room comes before the claim that waits for its pod": (
        observed(claims=(CLAIM,), pods=(unscheduled(NO_ROOM),)),
        Finding("InsufficientCapacity", f"no node has room for the worker: {NO_ROOM}"),
    ),
    "the image is not there": (
        observed(pods=(waiting("ImagePullBackOff", "not found"),)),
        Finding("ImageUnavailable", "pod andet-memory-0: ImagePullBackOff: not found"),
    ),
    "a Secret is not there": (
        observed(
            pods=(waiting("ContainerCreating"),),
            refusals=(Refusal("FailedMount", 'secret "token" not found'),),
        ),
        Finding("MountFailed", 'secret "token" not found'),
    ),
    "a worker ends again and again, and its last words are told": (
        observed(pods=(waiting("CrashLoopBackOff", "back-off", lastState=ENDED),)),
        Finding(
            "WorkerFailing",
            "pod andet-memory-0: CrashLoopBackOff: Error, exit code 2: disk is full",
        ),
    ),
}


@pytest.mark.parametrize("sentence", OPENING)
def test_opening(sentence: str):
    given, finding = OPENING[sentence]
    assert chains.first(chains.OPENING, given) == finding


def test_a_source_is_what_the_api_says_it_is():
    assert isinstance(source(), MetricSourceSpec)
