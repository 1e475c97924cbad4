"""Puts a worker together and runs it: the one place that names adapters.

A new job document that cannot be followed live ends the loop with a snapshot; then everything is
put together anew here, in the same process, from the new document.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anomaly_operator.adapters.about_job import AboutJob
from anomaly_operator.adapters.clock import SystemClock
from anomaly_operator.adapters.detector_events import DetectorEvents
from anomaly_operator.adapters.detector_status import DetectorRef, DetectorStatus
from anomaly_operator.adapters.exposition import DEFAULT_SERIES_LIMIT, Exposition
from anomaly_operator.adapters.http_server import HttpServer
from anomaly_operator.adapters.journal import FileJournal
from anomaly_operator.adapters.kube import Kube
from anomaly_operator.adapters.quiet import LoggedAnnouncements, LoggedStatus
from anomaly_operator.adapters.results_owner import Owner
from anomaly_operator.adapters.results_store import ResultsStore
from anomaly_operator.adapters.settings import analysis_settings
from anomaly_operator.adapters.snapshot_store import open_snapshot_store
from anomaly_operator.api.job import WorkerJob
from anomaly_operator.api.v1alpha1.analysis import EVENTS_METRIC
from anomaly_operator.engine.together import JointEngine
from anomaly_operator.errors import Problem, SpecError
from anomaly_operator.ports import (
    Announcer,
    Clock,
    MetricSource,
    PlotSettings,
    Scope,
    StatusReporter,
)
from anomaly_operator.worker.gathering import Share
from anomaly_operator.worker.health import Health
from anomaly_operator.worker.job_settings import JobSettings, Translate
from anomaly_operator.worker.loop import Ending, Loop
from anomaly_operator.worker.parts import EngineFactory, Parts

logger = logging.getLogger(__name__)

_BEFORE_S, _AHEAD_S = 86400.0, 30 * 86400.0  # maintenance windows are spelt out over this
_POLLS_A_BUCKET = 5.0  # of kubelets, where buckets are shorter than a minute or so


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line and the environment say."""

    job: Path
    data: Path
    shard: int
    listen: tuple[str, int]
    poll_s: float = 5.0
    status_interval_s: float = 60.0
    series_limit: int = DEFAULT_SERIES_LIMIT
    promql_view: bool = False


def run_worker(options: Options) -> None:
    """Run until SIGTERM or SIGINT. Raises SpecError when there is no usable job to begin with."""
    clock = SystemClock()

    def stop(_signal: int, _frame: Any) -> None:
        threading.Thread(target=clock.stop, name="stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with _alone(options.data, clock):
        while _run_once(options, clock) is Ending.REOPEN:
            logger.info("starting anew with the new job")
    logger.info("stopped")


def _run_once(options: Options, clock: SystemClock) -> Ending:
    job = WorkerJob.load(options.job)
    with contextlib.ExitStack() as stack:
        parts = assemble(options, clock, job=job, stack=stack)
        return Loop(parts).run()


def assemble(
    options: Options, clock: Clock, *, job: WorkerJob, stack: contextlib.ExitStack
) -> Parts:
    """Put one worker together from its adapters; ``stack`` closes them, the last one first."""
    source = open_source(job)
    stack.callback(source.close)
    store = ResultsStore(
        _results_url(job, options.data),
        job_id=f"{job.detector.namespace}/{job.detector.name}",
        shard=options.shard,
        now_s=clock.now_s,
        owner=Owner(job.detector.uid, job.detector.creation_time.timestamp()),
    )
    stack.callback(store.close)
    journal = FileJournal(options.data / "journal")
    stack.callback(journal.close)
    exposition = Exposition(
        job.detector.namespace,
        job.detector.name,
        shard=options.shard,
        now_s=clock.now_s,
        series_limit=options.series_limit,
        view=options.promql_view,
    )
    status, announcer = _tellers(options, clock, job=job)
    health = Health()
    server = HttpServer(
        options.listen,
        collectors=(exposition,),
        store=store,
        live=lambda: health.liveness(clock.monotonic_s()),
        ready=health.readiness,
        about=AboutJob(job, lambda: _read(options.job)),
    )
    stack.callback(server.close)
    # The last status and Events go out before anything else is closed.
    stack.callback(announcer.close)
    stack.callback(status.close)
    return Parts(
        clock=clock,
        source=source,
        store=store,
        snapshots=open_snapshot_store(
            job.snapshots_url or str(options.data / "snapshots"),
            job.detector.uid,
            shard=options.shard,
        ),
        journal=journal,
        figures=exposition,
        status=status,
        announcer=announcer,
        engines=EngineFactory(create=JointEngine.create, restore=JointEngine.restore),
        translate=translator(source),
        read_job=lambda: _read(options.job),
        share=Share(options.shard, job.shards),
        sinks=(exposition,),
        health=health,
        poll_s=options.poll_s,
    )


def translator(source: MetricSource) -> Translate:
    """Return the function that reads a job document with this source's catalogue."""

    def translate(text: bytes, from_s: float) -> JobSettings:
        job = WorkerJob.from_json(text)
        horizon_s = (from_s - _BEFORE_S, from_s + _AHEAD_S)
        start = job.spec.start or job.detector.creation_time
        analysis = analysis_settings(
            job.spec, job.filters, catalogue=source.catalogue(), horizon_s=horizon_s
        )
        return JobSettings(
            job=job,
            job_json=text,
            analysis=replace(analysis, model_memory_limit_bytes=job.model_memory_share),
            plot=plot_settings(job),
            scope=scope_of(job),
            start_s=start.timestamp(),
            horizon_end_s=horizon_s[1],
        )

    return translate


def plot_settings(job: WorkerJob) -> PlotSettings:
    """Translate ``modelPlotConfig``."""
    plot = job.spec.model_plot_config
    if plot is None:
        return PlotSettings()
    terms = frozenset(term.strip() for term in plot.terms.split(",") if term.strip())
    return PlotSettings(plot.enabled, plot.effective_annotations, terms)


def scope_of(job: WorkerJob) -> Scope:
    """Translate the target, held within what the operator lets this worker see."""
    target = job.spec.target
    namespaces = job.namespaces
    if target.namespaces:
        allowed = namespaces
        namespaces = tuple(name for name in target.namespaces if allowed is None or name in allowed)
    return Scope(
        target_kind=target.kind,
        namespaces=namespaces,
        node_names=target.node_names,
        selector=target.selector.document() if target.selector else None,
        namespace_selector=(
            target.namespace_selector.document() if target.namespace_selector else None
        ),
    )


def shard_number(text: str) -> int:
    """Read a shard's number: itself, or at the end of a StatefulSet pod's name.

    Examples
    --------
    >>> shard_number("andet-pods-memory-c7e83a22-3"), shard_number("0")
    (3, 0)
    """
    found = re.search(r"(?:^|-)([0-9]+)$", text)
    if found is None:
        raise SpecError([Problem("--shard", f"{text!r} does not end in a number")])
    return int(found.group(1))


def listen_address(text: str) -> tuple[str, int]:
    """Read ``host:port``; an IPv6 host may be bare or in brackets, an empty one is all addresses.

    Examples
    --------
    >>> listen_address("10.0.0.7:8080"), listen_address("[::1]:0"), listen_address(":9000")
    (('10.0.0.7', 8080), ('::1', 0), ('0.0.0.0', 9000))
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal():
        raise SpecError([Problem("--listen", f"{text!r} is not host:port")])
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - probes come from outside


def _tellers(options: Options, clock: Clock, *, job: WorkerJob) -> tuple[StatusReporter, Announcer]:
    if not _in_cluster():
        logger.info("no cluster to report to: status and events are logged")
        return LoggedStatus(), LoggedAnnouncements()
    detector = DetectorRef(job.detector.namespace, job.detector.name, job.detector.uid)
    host = os.environ.get("POD_NAME") or socket.gethostname()
    status = DetectorStatus(
        Kube.connect(), detector, shard=options.shard, interval_s=options.status_interval_s
    )
    return status, DetectorEvents(Kube.connect(), detector, host=host, now_s=clock.now_s)


def _in_cluster() -> bool:
    return bool(os.environ.get("KUBECONFIG") or os.environ.get("KUBERNETES_SERVICE_HOST"))


def open_source(job: WorkerJob) -> MetricSource:
    """Open what the MetricSource describes, and Kubernetes Events where a detector is over them."""
    over_events = [detector.metric == EVENTS_METRIC for detector in job.spec.detectors]
    if not any(over_events) or job.source.spec.table is not None:
        return _with_ends(job, open_metrics(job))
    from anomaly_operator.adapters.pods import Directory  # noqa: PLC0415
    from anomaly_operator.adapters.sources.events import EventSource, WithEvents  # noqa: PLC0415

    events = EventSource(Kube.connect(), Directory(Kube.connect()))
    only_events = all(over_events)
    metrics = open_metrics(job) if only_events else _with_ends(job, open_metrics(job))
    return WithEvents(metrics, events, only_events=only_events)


def _with_ends(job: WorkerJob, metrics: MetricSource) -> MetricSource:
    """Watch for pods that end as planned, where there are pods and an API server to ask."""
    if job.source.spec.table is not None or job.spec.target.kind != "Pod" or not _in_cluster():
        return metrics
    from anomaly_operator.adapters.sources.planned_ends import PodWatch, WithEnds  # noqa: PLC0415
    from anomaly_operator.adapters.sources.prometheus_ends import LINGER_S  # noqa: PLC0415

    linger_s = LINGER_S if job.source.spec.prometheus is not None else 0.0
    return WithEnds(metrics, PodWatch(Kube.connect(), linger_s=linger_s))


def open_metrics(job: WorkerJob) -> MetricSource:
    """Open what the MetricSource describes; each kind's libraries are loaded only where used."""
    name, spec = job.source.name, job.source.spec
    credentials = Path(job.source.credentials_path) if job.source.credentials_path else None
    if spec.prometheus is not None:
        from anomaly_operator.adapters.sources.prometheus import PrometheusSource  # noqa: PLC0415

        return PrometheusSource(name, spec.prometheus, credentials)
    if spec.table is not None:
        from anomaly_operator.adapters.sources.table import TableSource  # noqa: PLC0415

        return TableSource(name, spec.table)
    from anomaly_operator.adapters.pods import Directory  # noqa: PLC0415
    from anomaly_operator.adapters.sources.kubelet import (  # noqa: PLC0415
        POLL_S,
        SERVICE_ACCOUNT,
        KubeletSource,
    )

    settings = spec.kubelet_settings
    span_s = job.spec.bucket_span.total_seconds()
    return KubeletSource(
        name,
        settings,
        Directory(Kube.connect(), address_type=settings.node_address_type),
        credentials=credentials,
        service_account=Path(os.environ.get("ANOMALY_SERVICE_ACCOUNT", SERVICE_ACCOUNT)),
        poll_s=max(1.0, min(POLL_S, span_s / _POLLS_A_BUCKET)),
    )


def _results_url(job: WorkerJob, data: Path) -> str:
    if job.results_url_file:
        return _read(Path(job.results_url_file)).decode().strip()
    return job.results_url or str(data / "results.db")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError([Problem(str(path), f"cannot be read: {error.strerror}")]) from None


@contextlib.contextmanager
def _alone(data: Path, clock: SystemClock) -> Iterator[None]:
    """Hold the data folder: a worker whose successor starts early would write into its journal."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("wb")
    except OSError as error:
        logger.warning("data folder %s: %s; going on without", data, error.strerror)
        yield
        return
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                logger.warning("data folder %s: another worker still holds it", data)
                if not clock.wait(1.0):
                    raise SystemExit(0) from None
        yield
