"""Kubernetes Events as a source: every telling of an Event is a sample that carries its message.

The API server keeps Events for an hour, and counts repeats in the Event itself; so they are listed
once and watched from there, and a count that grew is that many events more. An event that comes in
after its time was read is handed out with the next read, at its own time: what becomes of it is the
reader's to say. Stretches that were watched are told of by samples without a message, one a step:
nothing happening and nobody looking are not the same.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from anomaly_operator.adapters.kube import EVENTS, Body, Kube, KubeError
from anomaly_operator.adapters.pods import MANY_NAMESPACES, Directory
from anomaly_operator.adapters.selecting import matches
from anomaly_operator.adapters.sources.kubelet_labels import placing, wanted
from anomaly_operator.adapters.workloads import workload_of_name, workload_of_owner
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import MetricInfo, MetricSource, ReadRequest, SampleKind, Samples, Scope

METRIC = "events"
MESSAGE = "message"  # label of the text; a sample without it says that its time was watched
CATALOGUE: Mapping[str, MetricInfo] = {
    METRIC: MetricInfo(METRIC, "events", SampleKind.GAUGE, resolution=1.0)
}
LOOKBACK_S = 3000.0  # API servers keep Events for an hour, unless told otherwise
KEPT_S = 7200.0  # how long events wait for a reader
RETRY_S = 5.0
_OURS = "anomaly-"  # components of this system: what we say is not what happens
_PLACES = frozenset({"zone", "instance-type"})


@dataclass(frozen=True, slots=True)
class Telling:
    """One or more repeats of one Event."""

    visible_s: float  # when a read may first have it
    time_s: float
    count: int
    about: tuple[str, str, str]  # kind, namespace, name
    node: str
    text: str


@dataclass(slots=True)
class _Heard:
    """What was heard so far, shared between the watching threads and readers."""

    tellings: deque[Telling] = field(default_factory=deque)
    counts: dict[str, tuple[int, float]] = field(default_factory=dict)  # by UID: count, heard at
    read_until_s: float = -math.inf
    error: KubeError | None = None


class EventSource:
    """Kubernetes Events of the namespaces in scope.

    Parameters
    ----------
    kube
        The API server.
    directory
        Whose pods they are about.
    now_s
        Wall time.
    """

    def __init__(
        self, kube: Kube, directory: Directory, *, now_s: Callable[[], float] = time.time
    ) -> None:
        self._kube = kube
        self._directory = directory
        self._now_s = now_s
        self._lock = threading.Lock()
        self._heard = _Heard()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._watched_from_s = math.inf

    def catalogue(self) -> Mapping[str, MetricInfo]:
        """Events."""
        return CATALOGUE

    def keeps_history(self) -> bool:
        """An hour is none."""
        return False

    def close(self) -> None:
        """Stop watching; the threads end with their streams."""
        self._stopped.set()

    def read(self, request: ReadRequest) -> Samples:
        """Events of [start, end), and one sample a step that was watched."""
        if not self._threads:
            self._start(request.scope)
        with self._lock:
            if self._heard.error is not None:
                raise _unavailable(self._heard.error)
            found = [
                one
                for one in self._heard.tellings
                if request.start_s <= one.visible_s < request.end_s
            ]
            self._heard.read_until_s = max(self._heard.read_until_s, request.end_s)
        return self._samples(found, request)

    def _samples(self, found: list[Telling], request: ReadRequest) -> Samples:
        numbers: dict[tuple[tuple[str, str], ...], int] = {(): 0}
        first_s = max(request.start_s, self._watched_from_s)
        first_s = math.ceil(first_s / request.step_s) * request.step_s
        watched = np.arange(first_s, request.end_s, request.step_s)
        index, times, values = [0] * len(watched), watched.tolist(), [1.0] * len(watched)
        label = self._labeller(request, found)
        for one in found:
            labels = label(one)
            if labels is None:
                continue
            key = tuple(sorted({**labels, MESSAGE: one.text}.items()))
            index.append(numbers.setdefault(key, len(numbers)))
            times.append(one.time_s)
            values.append(float(one.count))
        return Samples(
            kind=SampleKind.GAUGE,
            series=tuple(dict(key) for key in numbers),
            index=np.asarray(index, np.int32),
            time_s=np.asarray(times, np.float64),
            value=np.asarray(values, np.float64),
        )

    def _labeller(
        self, request: ReadRequest, found: list[Telling]
    ) -> Callable[[Telling], Mapping[str, str] | None]:
        """Name what events are about; None where it is out of scope."""
        scope = request.scope
        nodes = (
            {node.name: node for node in self._directory.nodes()}
            if scope.target_kind == "Node" or _PLACES & set(request.labels)
            else {}
        )
        if scope.target_kind == "Node":

            def of_node(one: Telling) -> Mapping[str, str] | None:
                kind, _, name = one.about
                node = nodes.get(name)
                if kind != "Node" or (scope.node_names and name not in scope.node_names):
                    return None
                if node is None:
                    return None if scope.selector else {"node": name}
                if not matches(scope.selector, node.labels):
                    return None
                return {"node": name, **wanted(node.labels, request), **placing(node)}

            return of_node
        needed = {one.about[1:] for one in found if one.about[0] == "Pod"}
        pods = self._directory.pods(scope, needed) if needed else {}
        chosen = (
            self._directory.namespaces(scope.namespace_selector)
            if scope.namespace_selector
            else None
        )

        def of_pod(one: Telling) -> Mapping[str, str] | None:
            kind, namespace, name = one.about
            if kind == "Node" or (chosen is not None and namespace not in chosen):
                return None
            pod = pods.get((namespace, name)) if kind == "Pod" else None
            node = pod.node if pod else one.node
            if scope.node_names and node not in scope.node_names:
                return None
            if scope.selector and (pod is None or not matches(scope.selector, pod.labels)):
                return None
            labels = {"namespace": namespace, "node": node, **placing(nodes.get(node))}
            if kind == "Pod":
                labels |= {"pod": name, "workload": workload_of_name(name, node)}
            else:
                labels["workload"] = workload_of_owner(kind, name)
            if pod is not None:
                labels |= {"workload": pod.workload, **wanted(pod.labels, request)}
            return {key: value for key, value in labels.items() if value}

        return of_pod

    def _start(self, scope: Scope) -> None:
        """List once, here and now, so that the first read has what there is; then watch."""
        names = scope.namespaces
        if scope.target_kind == "Node" or names is None or len(names) > MANY_NAMESPACES:
            names = ("",)
        now_s = self._now_s()
        self._watched_from_s = now_s - LOOKBACK_S
        try:
            versions = {name: self._list(name) for name in names}
        except KubeError as error:
            raise _unavailable(error) from error
        for name, version in versions.items():
            thread = threading.Thread(
                target=self._watch, args=(name, version), name="events-source", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def _list(self, namespace: str) -> str:
        page = self._kube.list(EVENTS, namespace=namespace)
        for body in sorted(page.items, key=told_at):
            self.hear(body)
        return page.resource_version

    def _watch(self, namespace: str, version: str) -> None:
        while not self._stopped.is_set():
            try:
                if not version:
                    version = self._list(namespace)
                self._say(None)
                for kind, body in self._kube.watch(
                    EVENTS, namespace=namespace, resource_version=version
                ):
                    if self._stopped.is_set():
                        return
                    version = body["metadata"].get("resourceVersion", version)
                    if kind in {"ADDED", "MODIFIED"}:
                        self.hear(body)
            except KubeError as error:
                if error.status not in {0, 410}:
                    self._say(error)
                elif error.status == 0 and not version:
                    self._say(error)  # even the list cannot be had
                version = ""
                self._stopped.wait(0.0 if error.status == 410 else RETRY_S)

    def _say(self, error: KubeError | None) -> None:
        with self._lock:
            self._heard.error = error

    def hear(self, body: Body) -> None:
        """Take one Event as listed or watched: what is new in it."""
        about = body.get("involvedObject") or {}
        component = body.get("reportingComponent") or (body.get("source") or {}).get("component")
        if str(component or "").startswith(_OURS) or about.get("kind") == "AnomalyDetector":
            return
        uid, count, time_s = body["metadata"]["uid"], count_of(body), told_at(body)
        now_s = self._now_s()
        with self._lock:
            heard = self._heard
            before = heard.counts.get(uid)
            heard.counts[uid] = (count, now_s)
            fresh = count if before is None else count - before[0]
            if before is None and began_at(body) < self._watched_from_s:
                fresh = 1  # of the repeats before anybody watched, nobody can say when they were
            if fresh <= 0 or time_s < self._watched_from_s:
                return
            text = f"{body.get('reason') or 'Unknown'}: {body.get('message') or ''}".strip()
            heard.tellings.append(
                Telling(
                    visible_s=max(time_s, heard.read_until_s),
                    time_s=time_s,
                    count=fresh,
                    about=(
                        about.get("kind", ""),
                        about.get("namespace") or "",
                        about.get("name", ""),
                    ),
                    node=(body.get("source") or {}).get("host") or "",
                    text=text,
                )
            )
            while heard.tellings and heard.tellings[0].visible_s < now_s - KEPT_S:
                heard.tellings.popleft()
            if len(heard.counts) > 2 * len(heard.tellings) + _REMEMBERED:
                heard.counts = {
                    uid: entry for uid, entry in heard.counts.items() if entry[1] > now_s - KEPT_S
                }


_REMEMBERED = 10_000  # Events whose counts are kept beside those that wait


class WithEvents:
    """A MetricSource, and Kubernetes Events beside it.

    Parameters
    ----------
    base
        Where metrics come from.
    events
        Where events come from.
    only_events
        Whether the job reads nothing else; then the base's history is of no use.
    """

    def __init__(self, base: MetricSource, events: MetricSource, *, only_events: bool) -> None:
        self._base = base
        self._events = events
        self._only_events = only_events

    def catalogue(self) -> Mapping[str, MetricInfo]:
        """Metrics of both."""
        return {**self._base.catalogue(), **self._events.catalogue()}

    def keeps_history(self) -> bool:
        """Whether the past can be asked for."""
        return not self._only_events and self._base.keeps_history()

    def read(self, request: ReadRequest) -> Samples:
        """Read from the one that has the metric."""
        source = self._events if request.metric == METRIC else self._base
        return source.read(request)

    def close(self) -> None:
        """Release both."""
        self._events.close()
        self._base.close()


def count_of(body: Mapping[str, Any]) -> int:
    """How often an Event was told: its series' count, or its own."""
    series = body.get("series") or {}
    return int(series.get("count") or body.get("count") or 1)


def told_at(body: Mapping[str, Any]) -> float:
    """When an Event was told last."""
    series = body.get("series") or {}
    for text in (series.get("lastObservedTime"), body.get("lastTimestamp"), body.get("eventTime")):
        if text:
            return _seconds(text)
    return _seconds(body["metadata"]["creationTimestamp"])


def began_at(body: Mapping[str, Any]) -> float:
    """When an Event was told first."""
    for text in (body.get("firstTimestamp"), body.get("eventTime")):
        if text:
            return _seconds(text)
    return _seconds(body["metadata"]["creationTimestamp"])


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _unavailable(error: KubeError) -> SourceUnavailable:
    return SourceUnavailable(
        f"kubernetes: events cannot be read: {error}",
        reason="RBAC" if error.status in {401, 403} else "SourceUnavailable",
        retry_after_s=error.retry_after_s,
    )
