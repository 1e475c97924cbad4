"""One look at one detector: gather, decide, carry out. Blocking; the queue runs it in a thread."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Body, Kube, KubeError
from anomaly_operator.controller.applying import Hand
from anomaly_operator.controller.mirroring import Mirror
from anomaly_operator.controller.observing import observe
from anomaly_operator.controller.referring import report_referents
from anomaly_operator.controller.telemetry import Telemetry
from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.planning import plan
from anomaly_operator.reconcile.state import Observed, Plan

logger = logging.getLogger(__name__)


class Reconciler:
    """Brings detectors and their children in line; keys are ``namespace/name``."""

    def __init__(
        self, api: Kube, mirror: Mirror, *, config: OperatorConfig, telemetry: Telemetry
    ) -> None:
        self._api = api
        self._mirror = mirror
        self._config = config
        self._telemetry = telemetry
        self._hand = Hand(api, mirror, telemetry)
        self._refused: dict[str, str] = {}  # what the API server said when last asked, by UID

    def report_referents(self) -> None:
        """Write who uses which filter and source, where it is new."""
        report_referents(self._api, self._hand)

    def reconcile(self, key: str) -> float | None:
        """Look at one detector; returns in how many seconds to look again, or None."""
        started = time.perf_counter()
        try:
            again_s = self._reconcile(key)
        except KubeError as error:
            self._telemetry.reconciles.labels("error").inc()
            self._telemetry.errors.labels(error.reason or str(error.status)).inc()
            raise
        finally:
            self._telemetry.duration.observe(time.perf_counter() - started)
        self._telemetry.reconciles.labels("ok").inc()
        return again_s

    def detectors(self) -> list[str]:
        """Return the keys of all detectors there are, and of those that left children behind."""
        # Children first: one made after this for a new detector is not mistaken for an orphan.
        owners = self._mirror.owners()
        bodies = self._api.list(kube.ANOMALY_DETECTORS).items
        alive = {body["metadata"]["uid"]: _key(body) for body in bodies}
        for uid, owner in owners.items():
            if uid not in alive:
                logger.info("%s: sweeping what a detector that is gone left behind", owner or uid)
                self._sweep(uid)
        known = set(self._telemetry.known())
        return sorted({*alive.values(), *known})

    def _reconcile(self, key: str) -> float | None:
        namespace, _, name = key.partition("/")
        body = self._api.get(kube.ANOMALY_DETECTORS, name, namespace=namespace)
        uid = body["metadata"]["uid"] if body is not None else ""
        self._sweep_predecessors(key, uid)
        if body is None:
            self._telemetry.forget(key)
            return None
        observed = observe(
            self._api,
            self._mirror,
            body,
            config=self._config,
            now_s=time.time(),
            apply_error=self._refused.get(uid, ""),
        )
        return self._carry_out(key, observed)

    def _carry_out(self, key: str, observed: Observed) -> float | None:
        made = plan(observed)
        unreported = None
        if not observed.status.conditions:
            # Before anything else: who waits for Ready must not take its absence for success.
            try:
                self._report(observed, made)
            except KubeError as error:
                unreported = error  # no reason to go without a worker; it is tried again
        uid = observed.metadata["uid"]
        try:
            self._hand.children(made)
        except KubeError as error:
            if error.lasting:
                self._refused[uid] = str(error)
                self._report(observed, plan(replace(observed, apply_error=str(error))))
            raise
        self._hand.nudge(made)
        if self._refused.pop(uid, None):
            made = plan(replace(observed, apply_error=""))
        if observed.status.conditions:
            self._report(observed, made)
        self._note(key, observed, made)
        if unreported is not None:
            raise unreported
        return made.requeue_after_s

    def _report(self, observed: Observed, made: Plan) -> None:
        if made.status is not None:
            self._hand.status(made.status)
        for event in made.events:
            self._hand.announce(observed.body, event, observed.now_s)

    def _note(self, key: str, observed: Observed, made: Plan) -> None:
        status = made.status["status"] if made.status else observed.body.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions", [])}
        stalled = conditions.get("Stalled", {}).get("reason", "")
        self._telemetry.saw(key, state=status.get("state", "opening"), stalled=stalled)

    def _sweep_predecessors(self, key: str, uid: str) -> None:
        """Delete what detectors of that name, but of another UID, left behind."""
        for old, owner in self._mirror.owners().items():
            if owner == key and old != uid:
                self._sweep(old)

    def _sweep(self, uid: str) -> None:
        for child, body in self._mirror.of_uid(uid).items():
            # Pods go with their StatefulSet; what is on its way out needs no second word.
            if child.kind != "Pod" and not body["metadata"].get("deletionTimestamp"):
                self._hand.delete(child, uid=body["metadata"].get("uid", ""))
        self._refused.pop(uid, None)


def _key(body: Body) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"
