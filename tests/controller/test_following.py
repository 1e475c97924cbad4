"""What the status says of updates: the real operator, and a worker played by the test.

The worker says what it follows, late, or wrongly, or not at all; the operator must not say more.
"""

from __future__ import annotations

from typing import Any

import pytest

from anomaly_operator.adapters import kube
from anomaly_operator.api.job import JOB_FILE, digest_of
from anomaly_operator.reconcile.following import JOB_DIGEST
from tests.controller.test_operator import opened, patch, play_worker, report
from tests.support.operating import SYSTEM, Cluster, Operator, detector, start_operator
from tests.support.processes import eventually

pytestmark = pytest.mark.e2e

MIB = 2**20
LIMIT = "spec.analysisLimits.modelMemoryLimit"


def document(cluster: Cluster) -> str:
    """Job document as it is in the ConfigMap."""
    made = cluster.stateful_set()
    assert made is not None
    found = cluster.admin.get(kube.CONFIG_MAPS, made["metadata"]["name"], namespace=SYSTEM)
    assert found is not None
    return str(found["data"][JOB_FILE])


def follows(cluster: Cluster, **fields: object) -> None:
    """Report as a worker that follows the document there is now."""
    report(cluster, appliedDocument=digest_of(document(cluster)), **fields)


def pending(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.condition("UpdatePending")
    return found


def settled(cluster: Cluster) -> None:
    eventually(lambda: pending(cluster).get("status") == "False", what="settled")


def opened_and_followed(cluster: Cluster) -> None:
    """Detector ``memory``, whose worker follows all there is."""
    opened(cluster)
    follows(cluster)
    settled(cluster)


def edited(cluster: Cluster) -> str:
    """Edit what a worker follows; returns the document as it was before."""
    before = document(cluster)
    patch(cluster, description="what it is for")
    eventually(lambda: document(cluster) != before, what="another document")
    return before


def list_of(*items: str) -> dict[str, Any]:
    return {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "AnomalyFilter",
        "metadata": {"name": "batch", "namespace": SYSTEM},
        "spec": {"items": list(items)},
    }


def test_an_edited_filter_is_pending_while_the_workers_document_is_stale(
    cluster: Cluster, operator: Operator
):
    """Nothing about the detector has changed, least of all its generation."""
    cluster.apply(list_of("batch-*"))
    rule = {"scope": {"pod": {"filterId": "batch"}}}
    cluster.apply(detector(detectors=[{"metric": "memory_usage", "customRules": [rule]}]))
    play_worker(cluster)
    follows(cluster)
    settled(cluster)
    stale = document(cluster)
    cluster.apply(list_of("batch-*", "job-*"))
    found = eventually(
        lambda: (c := pending(cluster)).get("status") == "True" and c, what="pending"
    )
    assert found["message"] == (
        "AnomalyFilter batch: generation 1 with newer content is not followed yet by worker 0"
    )
    assert cluster.status()["appliedGeneration"] == 1
    # The worker says again and again that it follows what it has: that is not what is wanted.
    report(cluster, appliedDocument=digest_of(stale), worstScore=12.5)
    looks = operator.metric("anomaly_operator_reconciles_total")
    eventually(
        lambda: operator.metric("anomaly_operator_reconciles_total") > looks, what="looked again"
    )
    assert pending(cluster)["status"] == "True"
    follows(cluster)
    settled(cluster)


def test_a_pod_that_lags_is_touched_so_that_its_kubelet_looks(cluster: Cluster, operator: Operator):
    opened_and_followed(cluster)
    (pod,) = cluster.admin.list(kube.PODS, namespace=SYSTEM).items
    assert JOB_DIGEST not in pod["metadata"]["annotations"]
    patch(cluster, description="what it is for")

    def touched() -> bool:
        (found,) = cluster.admin.list(kube.PODS, namespace=SYSTEM).items
        wanted = digest_of(document(cluster))
        return bool(found["metadata"]["annotations"].get(JOB_DIGEST) == wanted)

    eventually(touched, what="the pod is touched")
    (after,) = cluster.admin.list(kube.PODS, namespace=SYSTEM).items
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["spec"] == pod["spec"]


def test_a_worker_that_reports_the_new_generation_before_it_ends_is_not_believed(
    cluster: Cluster, operator: Operator
):
    """The pod still is the one that was started for the old limit."""
    opened_and_followed(cluster)
    patch(cluster, analysisLimits={"modelMemoryLimit": "128mb"})
    eventually(lambda: pending(cluster).get("reason") == "Reopening", what="reopening")
    follows(cluster)
    eventually(lambda: cluster.status().get("appliedGeneration") == 2, what="the report is seen")
    assert (pending(cluster)["status"], pending(cluster)["reason"]) == ("True", "Reopening")
    assert cluster.status()["state"] == "opening"


def not_followed(reason: str, message: str) -> list[dict[str, Any]]:
    """What a worker says of a document that it does not take over."""
    return [
        {
            "type": "JobFollowed",
            "status": "False",
            "reason": reason,
            "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ]


def test_a_document_that_the_worker_refuses_is_told_with_its_words(
    cluster: Cluster, operator: Operator
):
    """It goes on with the one before, and nothing says that the edit is followed."""
    opened_and_followed(cluster)
    before = edited(cluster)
    report(
        cluster,
        appliedGeneration=1,
        appliedDocument=digest_of(before),
        refusedDocument=digest_of(document(cluster)),
        conditions=not_followed("JobRefused", "spec.description: is odd"),
    )
    stalled = eventually(lambda: cluster.condition("Stalled"), what="stalled")
    words = "worker 0 refuses the job: spec.description: is odd; it goes on with generation 1"
    assert (stalled["reason"], stalled["message"]) == ("JobRefused", words)
    assert pending(cluster)["status"] == "True"
    assert cluster.status()["appliedGeneration"] == 1
    eventually(
        lambda: [
            each
            for each in cluster.admin.list(kube.EVENTS, namespace=SYSTEM).items
            if (each["type"], each["reason"], each["message"]) == ("Warning", "JobRefused", words)
        ],
        what="an Event",
    )
    follows(cluster, conditions=[])
    settled(cluster)
    eventually(lambda: cluster.condition("Stalled") == {}, what="no longer stalled")


def test_a_document_that_the_worker_cannot_take_over_yet_is_pending_with_its_words(
    cluster: Cluster,
):
    start_operator(cluster, "--worker-status-interval-s=0.2")  # so often words alone are written
    opened_and_followed(cluster)
    before = edited(cluster)
    report(
        cluster,
        appliedGeneration=1,
        appliedDocument=digest_of(before),
        conditions=not_followed("SourceUnavailable", "prometheus is away"),
    )
    said = "description: generation 2 is not followed yet; workers follow 1"
    eventually(
        lambda: pending(cluster)["message"] == f"{said}; worker 0: prometheus is away",
        what="pending with the worker's words",
    )
    assert cluster.condition("Stalled") == {}


def test_a_limit_below_use_is_refused_by_the_api_server_with_both_figures(cluster: Cluster):
    start_operator(cluster, "--worker-status-interval-s=0.2")
    opened(cluster)
    follows(cluster, modelSizeStats={"modelBytes": 20 * MIB + 1})
    eventually(lambda: cluster.status().get("modelSizeStats"), what="the sum is known")
    answer = cluster.kubectl(
        "-n",
        SYSTEM,
        "patch",
        "andet",
        "memory",
        "--type=merge",
        "-p",
        '{"spec":{"analysisLimits":{"modelMemoryLimit":"11mb"}}}',
        check=False,
    )
    assert f"{LIMIT}: Invalid value" in answer
    assert "11mb is below what the models use now (21mb); use 21mb or more" in answer
    assert cluster.status()["observedGeneration"] == 1
    patch(cluster, analysisLimits={"modelMemoryLimit": "21mb"})
    eventually(lambda: cluster.status().get("observedGeneration") == 2, what="taken")


def test_a_limit_below_use_that_came_past_the_api_server_is_refused_by_the_operator(
    cluster: Cluster, operator: Operator
):
    """While the operator is away nobody sums up, and the API server cannot know."""
    opened_and_followed(cluster)
    before = document(cluster)
    operator.kill()
    follows(cluster, modelSizeStats={"modelBytes": 20 * MIB})
    patch(cluster, analysisLimits={"modelMemoryLimit": "11mb"})
    start_operator(cluster)
    stalled = eventually(lambda: cluster.condition("Stalled"), what="stalled")
    assert stalled["reason"] == "LimitBelowUse"
    assert stalled["message"] == (
        f"{LIMIT}: cannot be decreased below current usage; current usage 20mb, update had 11mb"
    )
    assert document(cluster) == before, "the worker goes on as it was"
    assert pending(cluster)["status"] == "True"


def test_a_limit_above_the_operators_maximum_stalls_with_both_figures(cluster: Cluster):
    start_operator(cluster, "--maximum-model-memory-limit=96Mi")
    opened(cluster)
    patch(cluster, analysisLimits={"modelMemoryLimit": "97mb"})
    stalled = eventually(lambda: cluster.condition("Stalled"), what="stalled")
    assert stalled["reason"] == "LimitExceeded"
    assert stalled["message"] == (
        f"{LIMIT}: 97mb is above this operator's maximum of 96mb; use at most that"
    )
    patch(cluster, analysisLimits={"modelMemoryLimit": "96mb"})
    eventually(lambda: cluster.condition("Stalled") == {}, what="no longer stalled")


def test_groups_and_description_are_columns(cluster: Cluster):
    cluster.apply(detector(groups=["shop", "memory"], description="Memory of the shop"))
    header, row = cluster.kubectl("-n", SYSTEM, "get", "andet", "-o", "wide").splitlines()
    at = {name: header.index(name) for name in ("GROUPS", "DESCRIPTION", "REASON")}
    assert row[at["GROUPS"] : at["DESCRIPTION"]].strip() == '["shop","memory"]'
    assert row[at["DESCRIPTION"] : at["REASON"]].strip() == "Memory of the shop"
