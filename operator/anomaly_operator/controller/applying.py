"""Carrying out: what the plan says, by server-side apply, nothing else and nothing twice."""

from __future__ import annotations

import hashlib
import logging
import os

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Body, Kube, KubeError
from anomaly_operator.controller.mirroring import OPTIONAL, Mirror
from anomaly_operator.controller.telemetry import Telemetry
from anomaly_operator.reconcile.conditions import time_text
from anomaly_operator.reconcile.naming import FIELD_MANAGER, ChildKey
from anomaly_operator.reconcile.state import Event, Plan

logger = logging.getLogger(__name__)


class Hand:
    """The one place of the operator that writes to the cluster."""

    def __init__(self, api: Kube, mirror: Mirror, telemetry: Telemetry) -> None:
        self._api = api
        self._mirror = mirror
        self._telemetry = telemetry

    def children(self, plan: Plan) -> None:
        """Apply and delete children. An optional one that is refused costs one feature."""
        for body in plan.apply:
            try:
                stored = self._api.apply(body, field_manager=FIELD_MANAGER)
            except KubeError as error:
                if body["kind"] in OPTIONAL and error.status in {403, 404}:
                    self._telemetry.features_lost.labels(body["kind"]).inc()
                    logger.warning("goes without: %s", error)
                    # Remembered as if it were there, so that it is not tried at every look.
                    self._mirror.put(body)
                    continue
                raise
            self._count("apply", body["kind"])
            self._mirror.put(stored)
        for key in plan.delete:
            self.delete(key)

    def nudge(self, plan: Plan) -> None:
        """Annotate pods so that their kubelets look at once; without it they look later."""
        for body in plan.nudge:
            try:
                self._mirror.put(self._api.apply(body, field_manager=FIELD_MANAGER))
            except KubeError as error:
                if not error.lasting:
                    raise
                logger.info("not nudged: %s", error)
            else:
                self._count("apply", "Pod")

    def delete(self, key: ChildKey, *, uid: str = "") -> None:
        """Delete one object, and forget it whether or not it was there."""
        resource = kube.RESOURCES[key.kind]
        if self._api.delete(resource, key.name, namespace=key.namespace, uid=uid or None):
            self._count("delete", key.kind)
        if key.kind != "PersistentVolumeClaim":  # a claim stays until its pod is gone
            self._mirror.drop(key)

    def status(self, document: Body) -> None:
        """Apply the operator's part of the status; a detector that is gone needs none."""
        try:
            self._api.apply(document, field_manager=FIELD_MANAGER, subresource="status")
        except KubeError as error:
            if error.status == 404:
                return
            raise
        self._count("apply", f"{document['kind']}/status")

    def announce(self, detector: Body, event: Event, now_s: float) -> None:
        """Post an Event on the detector; the same change posted twice is one Event."""
        document = _event(detector, event, now_s)
        try:
            if self._api.create(document) is not None:
                self._count("create", "Event")
        except KubeError as error:
            logger.warning("event %s was not posted: %s", event.reason, error)

    def _count(self, verb: str, kind: str) -> None:
        self._telemetry.writes.labels(verb, kind).inc()


def _event(detector: Body, event: Event, now_s: float) -> Body:
    metadata = detector["metadata"]
    when = time_text(now_s)
    change = "\n".join((metadata["uid"], event.type, event.reason, event.message, when))
    digest = hashlib.sha256(change.encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][:230]}.{digest}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": detector["apiVersion"],
            "kind": detector["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "count": 1,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": os.environ.get("HOSTNAME", FIELD_MANAGER),
    }
