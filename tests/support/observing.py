"""Observations of one detector as tests want them: right in every part but the one under test."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.anomalyfilter import AnomalyFilterSpec
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.errors import SpecError
from anomaly_operator.reconcile.children import document
from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.naming import REOPEN_HASH, ChildKey, key_of
from anomaly_operator.reconcile.planning import plan
from anomaly_operator.reconcile.state import Observed, Plan

Body = dict[str, Any]

CREATED = "2024-05-01T10:00:00Z"
NOW_S = 1714557720.0  # two minutes after it was created
UID = "0b5f2a34-7d5e-4f0c-9a34-1f6a54f4c001"
SYSTEM = "anomaly-system"


def spec(**changes: Any) -> Body:
    """Give a valid spec with some fields changed, names as in YAML."""
    return {
        "target": {"kind": "Pod"},
        "detectors": [{"metric": "memory_usage"}],
        "analysisLimits": {"modelMemoryLimit": "128mb"},
        **changes,
    }


def detector(
    *,
    namespace: str = SYSTEM,
    generation: int = 1,
    status: Body | None = None,
    annotations: Mapping[str, str] | None = None,
    **changes: Any,
) -> Body:
    """Give a detector as the API server stores it."""
    return {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "AnomalyDetector",
        "metadata": {
            "name": "memory",
            "namespace": namespace,
            "uid": UID,
            "generation": generation,
            "creationTimestamp": CREATED,
            "annotations": dict(annotations or {}),
        },
        "spec": spec(**changes),
        **({"status": status} if status else {}),
    }


def source(*, kind: str = "kubelet", default: bool = True) -> MetricSourceSpec:
    """Give a source that can be used."""
    block: Body = {"url": "http://prometheus.monitoring:9090"} if kind == "prometheus" else {}
    return MetricSourceSpec.parse({"type": kind, "default": default, kind: block})


def observed(body: Body | None = None, /, **fields: Any) -> Observed:
    """Give an observation of ``body``; fields of Observed as given, else as in a sound cluster."""
    body = body or detector()
    parsed: AnomalyDetectorSpec | SpecError
    try:
        parsed = AnomalyDetectorSpec.parse(body["spec"], path="spec")
    except SpecError as error:
        parsed = error
    given: dict[str, Any] = {
        "config": OperatorConfig(),
        "now_s": NOW_S,
        "sources": {"kubelet": source()},
        **fields,
    }
    return Observed(body=body, spec=parsed, **given)


def carried_out(before: Observed, made: Plan) -> dict[ChildKey, Body]:
    """Give the children as they are after a plan was carried out."""
    children = {key: copy.deepcopy(body) for key, body in before.children.items()}
    children.update({key_of(body): copy.deepcopy(body) for body in made.apply})
    for key in made.delete:
        children.pop(key, None)
    return children


def ready_pod(children: Mapping[ChildKey, Body], *, shard: int = 0) -> Body:
    """Give the pod a StatefulSet's controller and a node would have made of the template."""
    stateful_set = next(body for key, body in children.items() if key.kind == "StatefulSet")
    template = stateful_set["spec"]["template"]["metadata"]
    return {
        "metadata": {
            "name": f"{stateful_set['metadata']['name']}-{shard}",
            "labels": template["labels"],
            "annotations": {REOPEN_HASH: template["annotations"][REOPEN_HASH]},
        },
        "spec": stateful_set["spec"]["template"]["spec"],
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def opened(
    body: Body | None = None, /, *, shards: list[Body] | None = None, **fields: Any
) -> Observed:
    """Give a detector whose worker runs and has said that it follows generation 1."""
    body = copy.deepcopy(body or detector())
    first = observed(body, **fields)
    children = carried_out(first, plan(first))
    body["status"] = {"shards": shards or [{"shard": 0, "appliedGeneration": 1}]}
    pods = (ready_pod(children),)
    second = observed(body, **{**fields, "children": children, "pods": pods})
    return written(second, plan(second))


def written(before: Observed, made: Plan, **fields: Any) -> Observed:
    """Give the observation after the plan's status and children were written."""
    body = copy.deepcopy(before.body)
    if made.status is not None:
        body["status"] = {
            "shards": body.get("status", {}).get("shards", []),
            **made.status["status"],
        }
    given = {
        "config": before.config,
        "now_s": before.now_s,
        "sources": before.sources,
        "filters": before.filters,
        "children": carried_out(before, made),
        "pods": before.pods,
        "claims": before.claims,
        "optional_kinds": before.optional_kinds,
        **fields,
    }
    return observed(body, **given)


def edited(before: Observed, *, generation: int = 2, **changes: Any) -> Observed:
    """Give the observation after somebody edited the spec."""
    body = copy.deepcopy(before.body)
    body["metadata"]["generation"] = generation
    body["spec"] = {**body["spec"], **changes}
    return written(
        observed(
            body,
            children=before.children,
            pods=before.pods,
            config=before.config,
            sources=before.sources,
            filters=before.filters,
        ),
        Plan(),
    )


def condition(made: Plan, kind: str) -> Body | None:
    """Give a condition out of the status that a plan writes."""
    assert made.status is not None
    found = made.status["status"]["conditions"]
    return next((c for c in found if c["type"] == kind), None)


def verdict(made: Plan, kind: str) -> tuple[str, str] | None:
    """Give status and reason of a condition that a plan writes."""
    found = condition(made, kind)
    return (found["status"], found["reason"]) if found else None


def child(made: Plan, kind: str) -> Body:
    """Give the child of a kind that a plan applies."""
    return next(body for body in made.apply if body["kind"] == kind)


def job(children: Mapping[ChildKey, Body]) -> Any:
    """Give the job document among children."""
    config_map = next(body for key, body in children.items() if key.kind == "ConfigMap")
    return document.read(config_map)


def filter_of(*items: str) -> AnomalyFilterSpec:
    """Give a filter that holds items."""
    return AnomalyFilterSpec.parse({"items": list(items)})
