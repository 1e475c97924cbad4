"""Planned ends of pods as kube-state-metrics saw them: for history, and for what a watch missed.

A container that crashes, and a pod that fails or is evicted, stay in the API server's list of pods;
a pod that is deleted leaves it. So a pod that kube-state-metrics stops telling of, while it goes on
telling of its namespace, was deleted; and one that takes its time shows when it will be. Pods that
had failed or finished before are left out, and those of a node that was lost. Without
kube-state-metrics nothing is known, and the last bucket of a pod is judged like any.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping

from anomaly_operator.adapters.sources.prometheus_answers import Row
from anomaly_operator.adapters.sources.prometheus_client import PrometheusClient
from anomaly_operator.adapters.sources.promql import matchers
from anomaly_operator.engine.contract import PlannedEnd
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import ReadRequest

logger = logging.getLogger(__name__)

STEP_S = 60.0  # how closely ends are timed ...
LONG_READ_S, LONG_STEP_S = 6 * 3600.0, 300.0  # ... and in history, where there are many days
FRESH_S = 150.0  # kube-state-metrics is scraped every 30 or 60 s
GRACE_S = 60.0  # a pod has half a minute to end, and a scrape sees it late
LINGER_S = 300.0  # a server goes on telling of a container for as long as it looks back
_BY = "max by (namespace, pod)"


class PodEnds:
    """Asks one server.

    Parameters
    ----------
    client
        A client of its own: how much an answer holds is another thing here than for metrics.
    extra
        Matchers that the MetricSource adds to every selector.
    """

    def __init__(self, client: PrometheusClient, extra: Mapping[str, str]) -> None:
        self._client = client
        self._extra = extra

    def during(self, request: ReadRequest) -> tuple[PlannedEnd, ...]:
        """Ends in [start, end). Empty where the server cannot say: nothing hangs on it."""
        step_s = LONG_STEP_S if request.end_s - request.start_s > LONG_READ_S else STEP_S
        first, last = math.floor(request.start_s / step_s) + 1, math.floor(request.end_s / step_s)
        if request.scope.target_kind != "Pod" or last < first:
            return ()
        inside = matchers(request.scope, self._extra)
        found: list[PlannedEnd] = []
        try:
            for text, read in (
                (gone_query(inside, step_s), _gone),
                (leaving_query(inside), _leaving),
            ):
                for answer in self._client.range(
                    text, first_s=first * step_s, count=last - first + 1, step_s=step_s
                ):
                    found += [end for row in answer.rows for end in read(row, step_s)]
        except SourceUnavailable as error:
            logger.warning("planned ends of pods are not known: %s", error)
        return tuple(found)

    def close(self) -> None:
        """Release connections."""
        self._client.close()


def gone_query(inside: str, step_s: float) -> str:
    """Pods that were told of a step ago and are not now; the value is when they were, last."""
    before = f"offset {step_s:g}s"
    fresh = f"> time() - {FRESH_S:g}"
    was = f"{_BY} (timestamp(kube_pod_info{{{inside}}} {before})) {fresh} - {step_s:g}"
    still = f"{_BY} (timestamp(kube_pod_info{{{inside}}})) {fresh}"
    over = f'kube_pod_status_phase{{phase=~"Failed|Succeeded",{inside}}} {before}'
    awake = f"count(timestamp(kube_namespace_status_phase{{{inside}}}) {fresh})"
    return (
        f"(({was}) unless on (namespace, pod) ({still}) "
        f"unless on (namespace, pod) ({_BY} ({over}) > 0) "
        f"unless on (namespace, pod) ({_forced(inside, before)})) and on () ({awake} > 0)"
    )


def leaving_query(inside: str) -> str:
    """Pods that are told to end; the value is when they must have."""
    return (
        f"{_BY} (kube_pod_deletion_timestamp{{{inside}}}) "
        f"unless on (namespace, pod) ({_forced(inside, '')})"
    )


def _forced(inside: str, before: str) -> str:
    reasons = f'kube_pod_status_reason{{reason=~"Evicted|NodeLost",{inside}}} {before}'
    return f"{_BY} ({reasons}) > 0"


def _gone(row: Row, step_s: float) -> Iterator[PlannedEnd]:
    del step_s
    for seen_gone_s, told_s in zip(row.time_s.tolist(), row.value.tolist(), strict=True):
        yield _end(row, told_s - GRACE_S, seen_gone_s)


def _leaving(row: Row, step_s: float) -> Iterator[PlannedEnd]:
    """One end for each time that the pod is to be gone by; past it, it has not gone as planned."""
    for due_s in sorted(set(row.value.tolist())):
        times = row.time_s[(row.value == due_s) & (row.time_s <= due_s + GRACE_S + step_s)]
        if len(times):
            yield _end(row, float(times[0]) - step_s, float(times[-1]))


def _end(row: Row, from_s: float, until_s: float) -> PlannedEnd:
    namespace, pod = row.labels.get("namespace", ""), row.labels.get("pod", "")
    return PlannedEnd(namespace, pod, from_s, until_s + LINGER_S)
