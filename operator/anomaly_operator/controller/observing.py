"""Gathering: everything a decision about one detector rests on, read from the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Body, Kube, KubeError, Resource
from anomaly_operator.api.model import ApiModel
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.anomalyfilter import AnomalyFilterSpec
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.controller.mirroring import Mirror
from anomaly_operator.errors import SpecError
from anomaly_operator.reconcile import pods
from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.state import Observed, Refusal

Spec = TypeVar("Spec", bound=ApiModel)

_PATIENCE_S = 5.0  # a pod that starts as it should is not asked why it does not
_NOT_CHILDREN = frozenset({"Pod", "PersistentVolumeClaim"})


def observe(
    api: Kube,
    mirror: Mirror,
    body: Body,
    *,
    config: OperatorConfig,
    now_s: float,
    apply_error: str = "",
) -> Observed:
    """Gather everything about the detector ``body``."""
    mine = mirror.of_uid(body["metadata"]["uid"])
    workers = tuple(item for key, item in mine.items() if key.kind == "Pod")
    return Observed(
        body=body,
        spec=parsed(AnomalyDetectorSpec, body),
        config=config,
        now_s=now_s,
        filters=_specs(
            api, kube.ANOMALY_FILTERS, AnomalyFilterSpec, namespace=body["metadata"]["namespace"]
        ),
        sources=_specs(api, kube.METRIC_SOURCES, MetricSourceSpec),
        children={key: item for key, item in mine.items() if key.kind not in _NOT_CHILDREN},
        pods=tuple(sorted(workers, key=lambda pod: str(pod["metadata"]["name"]))),
        claims=tuple(item for key, item in mine.items() if key.kind == "PersistentVolumeClaim"),
        refusals=_refusals(api, mine.values(), config=config, now_s=now_s),
        apply_error=apply_error,
        optional_kinds=mirror.served(),
    )


def parsed(model: type[Spec], body: Body) -> Spec | SpecError:
    """Read an object's spec; its problems are a value, not a reason to stop."""
    try:
        return model.parse(body.get("spec") or {}, path="spec")
    except SpecError as error:
        return error


def _specs(
    api: Kube, resource: Resource, model: type[Spec], *, namespace: str = ""
) -> dict[str, Spec | SpecError]:
    try:
        items = api.list(resource, namespace=namespace).items
    except KubeError as error:
        if error.status != 404:
            raise
        items = []  # the CRD is missing: detectors that need none of these go on
    return {body["metadata"]["name"]: parsed(model, body) for body in items}


def _refusals(
    api: Kube, mine: Iterable[Body], *, config: OperatorConfig, now_s: float
) -> tuple[Refusal, ...]:
    """Read why pods are not made or not started: told only in Events, which nobody watches.

    Asked only about what does not run, so a steady state costs nothing.
    """
    bodies = list(mine)
    workers = [body for body in bodies if body["kind"] == "Pod"]
    found: list[Refusal] = []
    for body in bodies:
        if body["kind"] == "StatefulSet":
            wanted = body["spec"].get("replicas", 0)
            settled = pods.age_s(body, now_s) >= _PATIENCE_S
            if len(workers) < wanted and settled:
                found += _warnings(api, body, config.namespace)
        elif body["kind"] == "Pod" and _should_run(body, now_s):
            found += _warnings(api, body, config.namespace)
    return tuple(found)


def _should_run(pod: Body, now_s: float) -> bool:
    return not pods.is_running(pod) and pods.age_s(pod, now_s) >= _PATIENCE_S


def _warnings(api: Kube, body: Body, namespace: str) -> list[Refusal]:
    fields = (
        f"involvedObject.kind={body['kind']},involvedObject.name={body['metadata']['name']},"
        "type=Warning"
    )
    try:
        events = api.list(kube.EVENTS, namespace=namespace, fields=fields).items
    except KubeError as error:
        if error.status in {403, 404}:
            return []  # without the permission the status says less, and nothing else changes
        raise
    last: Callable[[Body], Any] = lambda event: event.get("lastTimestamp") or ""  # noqa: E731
    return [
        Refusal(event.get("reason", ""), event.get("message", ""))
        for event in sorted(events, key=last)
        if event["involvedObject"].get("uid") in {None, "", body["metadata"].get("uid")}
    ]
