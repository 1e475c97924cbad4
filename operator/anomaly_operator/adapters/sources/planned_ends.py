"""Which pods end as planned, watched at the API server, beside any source of metrics.

Planned is what somebody asked for: a deletion, by a person, a rollout, a scale-in, a drain, or to
make room for a more important pod. A container that dies, a pod that fails or is evicted for want
of memory, and the pods of a node that is lost are no such ends, however they are cleared away
later; nor is a program that has run to its end, as it does every time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from anomaly_operator.adapters.kube import PODS, Body, Kube, KubeError
from anomaly_operator.adapters.pods import MANY_NAMESPACES
from anomaly_operator.engine.contract import PlannedEnd
from anomaly_operator.ports import MetricInfo, MetricSource, ReadRequest, Samples, Scope

logger = logging.getLogger(__name__)

KEPT_S = 7200.0  # how long ends wait for a reader
RETRY_S = 5.0
OVERTIME_S = 60.0  # past its grace a pod is killed; what still runs then has not ended as planned
# Reasons of DisruptionTarget: the node's trouble, not anybody's plan.
_FORCED = frozenset({"DeletionByTaintManager", "DeletionByPodGC", "TerminationByKubelet"})


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A pod on its way out, as last heard."""

    namespace: str
    pod: str
    from_s: float
    latest_s: float  # when it must be gone
    gone_s: float | None = None

    def end(self, now_s: float, linger_s: float) -> PlannedEnd:
        """Its end as far as it has come."""
        until_s = min(self.latest_s, now_s if self.gone_s is None else self.gone_s)
        return PlannedEnd(self.namespace, self.pod, self.from_s, until_s + linger_s)


class PodWatch:
    """Planned ends of pods in a scope, heard of as they happen.

    Parameters
    ----------
    kube
        The API server; ``list`` and ``watch`` on pods are all it takes.
    linger_s
        How long a metrics server goes on telling of a pod that is gone.
    now_s
        Wall time.
    """

    def __init__(
        self, kube: Kube, *, linger_s: float = 0.0, now_s: Callable[[], float] = time.time
    ) -> None:
        self._kube = kube
        self._linger_s = linger_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._leaving: dict[str, _Leaving] = {}  # by UID
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._told = False  # that ends are not known

    def ends(self, scope: Scope, since_s: float) -> tuple[PlannedEnd, ...]:
        """Ends that were not over at a time; begins to watch when first asked."""
        if not self._threads:
            self._start(scope)
        now_s = self._now_s()
        with self._lock:
            found = [one.end(now_s, self._linger_s) for one in self._leaving.values()]
        return tuple(end for end in found if end.until_s >= since_s)

    def close(self) -> None:
        """Stop watching; the threads end with their streams."""
        self._stopped.set()

    def hear(self, kind: str, body: Body) -> None:
        """Take one change of one pod."""
        uid, now_s = body["metadata"].get("uid", ""), self._now_s()
        with self._lock:
            known = self._leaving.get(uid)
            if known is None:
                known = leaving(body, gone_s=now_s if kind == "DELETED" else None)
            if known is None:
                return
            if kind == "DELETED":
                known = replace(known, gone_s=now_s)
            self._leaving[uid] = known
            if len(self._leaving) > _MANY:
                self._leaving = {
                    uid: one
                    for uid, one in self._leaving.items()
                    if one.end(now_s, self._linger_s).until_s > now_s - KEPT_S
                }

    def _start(self, scope: Scope) -> None:
        names = scope.namespaces
        if names is None or len(names) > MANY_NAMESPACES:
            names = ("",)
        for name in names:
            version = self._version(name)
            thread = threading.Thread(
                target=self._watch, args=(name, version), name="planned-ends", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def _version(self, namespace: str) -> str:
        """Version to watch from; empty where the API server does not tell.

        Pods that are there are of no interest until they change, so none of ten thousand is listed.
        """
        try:
            version = self._kube.list(PODS, namespace=namespace, fields=_NONE).resource_version
        except KubeError as error:
            if not self._told:
                logger.warning("planned ends of pods are not known, will retry: %s", error)
            self._told = True
            return ""
        self._told = False
        return version

    def _watch(self, namespace: str, version: str) -> None:
        """Follow a namespace's pods.

        What happens while the API server cannot be reached is not heard of; such an end is judged
        like any bucket.
        """
        while not self._stopped.is_set():
            version = version or self._version(namespace)
            if not version:
                self._stopped.wait(RETRY_S)
                continue
            try:
                for kind, body in self._kube.watch(
                    PODS, namespace=namespace, resource_version=version
                ):
                    if self._stopped.is_set():
                        return
                    version = body["metadata"].get("resourceVersion", version)
                    if kind in {"ADDED", "MODIFIED", "DELETED"}:
                        self.hear(kind, body)
            except KubeError as error:
                if error.status != 0:
                    version = ""
                self._stopped.wait(0.0 if error.status == 410 else RETRY_S)


_NONE = "metadata.name=-"  # no pod can be called that
_MANY = 1000  # ends, most of them over, before the old ones are dropped


class WithEnds:
    """A MetricSource, with planned ends of pods beside its samples.

    Parameters
    ----------
    base
        Where samples come from.
    watch
        What knows of planned ends.
    """

    def __init__(self, base: MetricSource, watch: PodWatch) -> None:
        self._base = base
        self._watch = watch

    def catalogue(self) -> Mapping[str, MetricInfo]:
        """Metrics of the base."""
        return self._base.catalogue()

    def keeps_history(self) -> bool:
        """As the base."""
        return self._base.keeps_history()

    def read(self, request: ReadRequest) -> Samples:
        """Samples of the base, and the ends that concern them."""
        samples = self._base.read(request)
        if request.scope.target_kind != "Pod":
            return samples
        known = self._watch.ends(request.scope, request.start_s)
        return replace(samples, ends=(*samples.ends, *known)) if known else samples

    def close(self) -> None:
        """Release both."""
        self._watch.close()
        self._base.close()


def leaving(body: Mapping[str, Any], *, gone_s: float | None) -> _Leaving | None:
    """Read from a pod that it is leaving as planned; None where it is not.

    ``gone_s`` is when the object went, where it has.
    """
    metadata, status = body["metadata"], body.get("status") or {}
    conditions = status.get("conditions") or ()
    if any(
        one.get("type") == "DisruptionTarget"
        and one.get("status") == "True"
        and one.get("reason") in _FORCED
        for one in conditions
    ):
        return None
    asked_s, latest_s = _asked(metadata, gone_s)
    if asked_s is None or latest_s is None:
        return None
    # A pod that was over before anybody asked for its end did not end because of that.
    over_s = _over_s(status)
    if status.get("phase") in {"Succeeded", "Failed"} and (over_s is None or over_s < asked_s):
        return None
    return _Leaving(metadata["namespace"], metadata["name"], asked_s, latest_s)


def _asked(metadata: Mapping[str, Any], gone_s: float | None) -> tuple[float | None, float | None]:
    """When the pod's end was asked for, and when it must be gone."""
    if metadata.get("deletionTimestamp"):
        gone_by_s = _seconds(metadata["deletionTimestamp"])
        grace_s = float(metadata.get("deletionGracePeriodSeconds") or 0)
        return gone_by_s - grace_s, gone_by_s + OVERTIME_S
    return gone_s, gone_s  # deleted at once


def _over_s(status: Mapping[str, Any]) -> float | None:
    """When the last container ended; None where that is not known."""
    ended = [
        (one.get("state") or {}).get("terminated") or {}
        for one in status.get("containerStatuses") or ()
    ]
    times = [_seconds(one["finishedAt"]) for one in ended if one.get("finishedAt")]
    return max(times) if times else None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
