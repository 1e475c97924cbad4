"""Who uses a filter or a source, and whether it can be used: their small statuses.

Counted over all detectors, so that somebody who is about to delete one sees what it would stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.conditions import ConditionType, Reason
from anomaly_operator.errors import SpecError
from anomaly_operator.reconcile.children.document import filters_named
from anomaly_operator.reconcile.conditions import Condition, rendered
from anomaly_operator.reconcile.naming import Body

_SHOWN = 20  # as the schema of usedBy has it

Specs = Mapping[tuple[str, str], AnomalyDetectorSpec]
"""Detectors that can be read, by (namespace, name)."""


def users_of_filter(body: Body, detectors: Specs) -> list[str]:
    """Names of the detectors that scope on a filter, sorted."""
    place, name = body["metadata"]["namespace"], body["metadata"]["name"]
    return sorted(
        user
        for (namespace, user), spec in detectors.items()
        if namespace == place and name in filters_named(spec)
    )


def users_of_source(name: str, detectors: Specs, *, default: str | None) -> list[str]:
    """Names of the detectors that read a source, as ``namespace/name``, sorted."""
    return sorted(
        f"{namespace}/{user}"
        for (namespace, user), spec in detectors.items()
        if (spec.source_ref.name if spec.source_ref else default) == name
    )


def status_of(
    body: Body, users: Sequence[str], *, problem: SpecError | None, now_s: float
) -> Body | None:
    """Build the status of a filter or source for server-side apply; None: it is so already."""
    metadata = body["metadata"]
    existing = body.get("status") or {}
    count = f"used by {len(users)} AnomalyDetectors" if len(users) != 1 else "used by 1"
    ready = (
        Condition(ConditionType.READY, "False", Reason.INVALID_SPEC, str(problem))
        if problem is not None
        else Condition(ConditionType.READY, "True", "Usable", count)
    )
    status: Body = {
        "observedGeneration": metadata["generation"],
        "usedByCount": len(users),
        "conditions": rendered(
            [ready],
            existing.get("conditions") or [],
            generation=metadata["generation"],
            now_s=now_s,
        ),
    }
    if body["kind"] == "AnomalyFilter" and users:
        status["usedBy"] = list(users[:_SHOWN])
    if status == existing:
        return None
    place = {"namespace": metadata["namespace"]} if metadata.get("namespace") else {}
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": {"name": metadata["name"], **place, "uid": metadata["uid"]},
        "status": status,
    }
