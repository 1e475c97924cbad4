"""The kubelet source: every node's ``/stats/summary``, read directly on port 10250.

Kubelets keep no history, so a thread asks all of them again and again, far more often than a bucket
needs, and ``read`` hands out what was gathered. The permission this takes is ``nodes/stats``, which
cannot run anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import orjson

from anomaly_operator.adapters.pods import Directory, NodeInfo
from anomaly_operator.adapters.sources.gathered import Columns, Gathered
from anomaly_operator.adapters.sources.http_access import Access, Connection, is_tls_failure
from anomaly_operator.adapters.sources.kubelet_labels import node_naming, pod_naming
from anomaly_operator.adapters.sources.stats_summary import Entry, Kind, entries
from anomaly_operator.api.v1alpha1 import metricsource
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import Coverage, MetricInfo, ReadRequest, SampleKind, Samples

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
POLL_S = 15.0  # kubelets have a new value every 10 to 19 s
KEPT_S = 3600.0  # how long values wait for a reader
PARALLEL = 16

CATALOGUE: Mapping[str, MetricInfo] = {
    "memory_usage": MetricInfo("memory_usage", "bytes", SampleKind.GAUGE, 2.0**16),
    "network_in": MetricInfo("network_in", "bytes/s", SampleKind.COUNTER, 1.0),
    "network_out": MetricInfo("network_out", "bytes/s", SampleKind.COUNTER, 1.0),
}


class Failure(Exception):
    """One node that did not answer usefully."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class KubeletSource:
    """Reads kubelets.

    Parameters
    ----------
    name
        Name of the MetricSource, for messages.
    settings
        Its ``kubelet`` block.
    directory
        Pods and nodes of the cluster.
    credentials
        Folder under which Secrets are mounted.
    service_account
        Folder with the worker's own token and the cluster's CA certificate.
    poll_s
        Seconds between two rounds.
    """

    def __init__(
        self,
        name: str,
        settings: metricsource.KubeletSource,
        directory: Directory,
        *,
        credentials: Path | None = None,
        service_account: Path = SERVICE_ACCOUNT,
        poll_s: float = POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._place = f"kubelets of {name}"
        self._connection = Connection(
            self._place, _access(settings, credentials, service_account), connections=PARALLEL
        )
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="kubelet")
        self._poll_s = poll_s
        self._clock = clock
        self._gathered = Gathered(KEPT_S)
        self._told: set[Kind] = set()  # kinds in the newest answers, read by somebody or not
        self._coverage: tuple[Coverage, ...] = ()
        self._error: SourceUnavailable | None = None
        self._lock = threading.Lock()
        self._polling = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def catalogue(self) -> Mapping[str, MetricInfo]:
        """Memory and network, of pods and nodes."""
        return CATALOGUE

    def keeps_history(self) -> bool:
        """No: a kubelet knows now alone."""
        return False

    def close(self) -> None:
        """Stop asking, and release connections."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(self._settings.timeout.total_seconds())
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._connection.close()

    def read(self, request: ReadRequest) -> Samples:
        """Values that came in during [start, end). Raises SourceUnavailable."""
        if request.metric not in CATALOGUE:
            raise SourceUnavailable(
                f"{self._place}: have no metric '{request.metric}'; "
                f"they have {', '.join(CATALOGUE)}",
                reason="UnknownMetric",
            )
        kind = kind_of(request)
        with self._lock:
            new = self._gathered.want(kind)
        if new:
            self.poll()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="kubelets", daemon=True)
            self._thread.start()
        with self._lock:
            if self._error is not None:
                raise self._error
            found = self._gathered.between(kind, request.start_s, request.end_s)
            coverage = (*self._coverage, *self._missing(kind))
        return self._samples(found, kind, request, coverage)

    def poll(self) -> None:
        """Ask every node once; what is wrong shows with the next read."""
        with self._polling:
            error: SourceUnavailable | None = None
            coverage: tuple[Coverage, ...] = ()
            found: list[Entry] = []
            try:
                found, failures, asked = self._round()
                coverage = self._judged(failures, asked)
            except SourceUnavailable as raised:
                error = raised
            with self._lock:
                self._error, self._coverage = error, coverage
                self._told = {entry.kind for entry in found} or self._told
                self._gathered.add(found, self._clock(), arrived_s=time.time())

    def _run(self) -> None:
        while not self._stopped.wait(self._poll_s):
            self.poll()

    def _round(self) -> tuple[list[Entry], list[tuple[NodeInfo, Failure]], int]:
        nodes = self._directory.nodes()
        client = self._connection.client()
        waiting = [(node, self._pool.submit(self._ask, client, node)) for node in nodes]
        found: list[Entry] = []
        failures: list[tuple[NodeInfo, Failure]] = []
        for node, future in waiting:
            try:
                found += future.result()
            except Failure as failure:
                failures.append((node, failure))
        return found, failures, len(nodes)

    def _ask(self, client: httpx.Client, node: NodeInfo) -> list[Entry]:
        if not node.address:
            wanted = self._settings.node_address_type
            raise Failure("NoAddress", f"node {node.name} has no {wanted}")
        host = f"[{node.address}]" if ":" in node.address else node.address
        place = f"{node.name} ({host}:{self._settings.port})"
        url = f"{self._settings.scheme}://{host}:{self._settings.port}/stats/summary"
        try:
            answer = client.get(url)
        except httpx.TimeoutException:
            timeout_s = self._settings.timeout.total_seconds()
            raise Failure("Timeout", f"{place}: no answer in {timeout_s:g} s") from None
        except httpx.RequestError as error:
            tls = is_tls_failure(error)
            raise Failure("TLS" if tls else "NoConnection", f"{place}: {error}") from None
        if answer.status_code in {401, 403}:
            raise Failure("RBAC", f"{place}: {answer.status_code} {answer.text[:200]}")
        if answer.status_code != httpx.codes.OK:
            raise Failure("Refused", f"{place}: {answer.status_code} {answer.text[:200]}")
        try:
            return list(entries(orjson.loads(answer.content), node=node.name))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            kind = type(error).__name__
            raise Failure("Garbage", f"{place}: the answer is no stats summary ({kind})") from None

    def _judged(
        self, failures: Sequence[tuple[NodeInfo, Failure]], asked: int
    ) -> tuple[Coverage, ...]:
        """Say which nodes are missing; where all are, there is no source."""
        if not asked:
            raise SourceUnavailable(f"{self._place}: the cluster has no nodes")
        if not failures:
            return ()
        told = "; ".join(str(failure) for _, failure in failures[:3])
        if len(failures) == asked:
            reasons = {failure.reason for _, failure in failures}
            only = reasons.pop() if len(reasons) == 1 else ""
            raise SourceUnavailable(
                f"{self._place}: none of {asked} nodes answered: {told}{_HINTS.get(only, '')}",
                reason=only if only in {"RBAC", "TLS"} else "SourceUnavailable",
            )
        return (
            Coverage(
                "PartialCoverage", f"{asked - len(failures)} of {asked} nodes answered: {told}"
            ),
        )

    def _samples(
        self, found: Columns, kind: Kind, request: ReadRequest, coverage: tuple[Coverage, ...]
    ) -> Samples:
        """Name what was asked for, and drop what the scope does not allow."""
        seen = np.unique(found.index).tolist()
        things = [found.things[number] for number in seen]
        name = (
            node_naming(self._directory, request)
            if kind[1] == "node"
            else pod_naming(self._directory, request, things)
        )
        number = np.full(len(found.things), -1, np.int32)
        series: list[Mapping[str, str]] = []
        for thing, entry in zip(seen, things, strict=True):
            labels = name(entry)
            if labels is not None:
                number[thing] = len(series)
                series.append(labels)
        index = number[found.index]
        ours = index >= 0
        return Samples(
            kind=CATALOGUE[request.metric].kind,
            series=tuple(series),
            index=index[ours],
            time_s=found.time_s[ours],
            value=found.value[ours],
            problems=coverage,
        )

    def _missing(self, kind: Kind) -> tuple[Coverage, ...]:
        """Say when a metric is missing altogether; some container runtimes leave network out."""
        metric, of = kind
        if self._gathered.has(kind):
            return ()
        if metric != "memory_usage" and ("memory_usage", of) in self._told:
            return (
                Coverage(
                    "NoNetworkSeries",
                    f"kubelets give memory of each {of} and no network: "
                    "the container runtime leaves it out",
                ),
            )
        return (Coverage("NoData", f"kubelets give no {metric} of any {of}"),)


def kind_of(request: ReadRequest) -> Kind:
    """What a request is for; network is known of whole pods alone."""
    if request.scope.target_kind == "Node":
        return (request.metric, "node")
    by_container = request.by == "container" and request.metric == "memory_usage"
    return (request.metric, "container" if by_container else "pod")


def _access(
    settings: metricsource.KubeletSource, credentials: Path | None, service_account: Path
) -> Access:
    token, authority = service_account / "token", service_account / "ca.crt"
    ref = settings.tls.ca_secret_ref
    if ref is not None and credentials is not None:
        authority = credentials / ref.name / ref.key
    checked = settings.scheme == "https" and not settings.tls.insecure_skip_verify
    return Access(
        timeout_s=settings.timeout.total_seconds(),
        bearer_file=token if settings.scheme == "https" or token.exists() else None,
        ca_file=authority if checked else None,
        insecure_skip_verify=settings.tls.insecure_skip_verify,
    )


_HINTS = {
    "RBAC": "; the worker's service account needs get on nodes/stats",
    "TLS": "; name the kubelets' CA in the source's tls, or accept any certificate with "
    "insecureSkipVerify",
}
