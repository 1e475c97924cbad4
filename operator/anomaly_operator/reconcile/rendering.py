"""All children of one detector, and how many of its workers should run."""

from __future__ import annotations

from urllib.parse import urlsplit

from anomaly_operator.api.job import WorkerJob
from anomaly_operator.api.v1alpha1.conditions import Reason
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.reconcile import health
from anomaly_operator.reconcile.children import document, identity, network, stateful_set
from anomaly_operator.reconcile.children.stateful_set import (
    REFUSED_AT,
    REFUSED_GENERATION,
    Running,
)
from anomaly_operator.reconcile.comparing import stamped
from anomaly_operator.reconcile.conditions import seconds, time_text
from anomaly_operator.reconcile.naming import Body
from anomaly_operator.reconcile.state import Observed


def children(observed: Observed, job: WorkerJob) -> list[Body]:
    """Render every child, in the order in which they are applied, each stamped with its hash.

    The StatefulSet comes last: a pod that starts finds its account, its rights and its document.
    """
    config = observed.config
    worker = observed.worker
    source = job.source.spec
    documents = [
        document.render(worker, job),
        *identity.render(
            worker,
            sees_cluster=observed.in_operator_namespace,
            reads_kubelets=source.type == "kubelet",
        ),
        network.render_service(worker),
    ]
    if config.network_policies:
        ports = source_ports(source)
        documents.append(network.render_network_policy(worker, source_ports=ports))
    if config.pod_monitors and "PodMonitor" in observed.optional_kinds:
        documents.append(network.render_pod_monitor(worker, labels=config.pod_monitor_labels))
    secrets = {*document.secrets_named(source)}
    if config.results_secret:
        secrets.add(config.results_secret.partition("/")[0])
    documents.append(
        stateful_set.render(
            worker,
            job,
            config=config,
            running=running(observed, job),
            secrets=sorted(secrets),
            existing=observed.child("StatefulSet"),
        )
    )
    return [stamped(body) for body in documents]


def running(observed: Observed, job: WorkerJob) -> Running:
    """Return how many workers should run: none while suspended, or while there is no room.

    Without ``allowLazyOpen`` nothing is left pending: the StatefulSet goes to none, a note on it
    says since when, and after a while, or at the next edit, it is tried again.
    """
    if job.suspended:
        return Running(0, {})
    if job.spec.allow_lazy_open:
        return Running(job.shards, {})
    existing = observed.child("StatefulSet") or {"metadata": {}}
    note = existing["metadata"].get("annotations") or {}
    refused_at = seconds(note.get(REFUSED_AT))
    generation = str(job.detector.generation)
    if refused_at is not None and note.get(REFUSED_GENERATION) == generation:
        if observed.now_s < refused_at + observed.config.capacity_retry_s:
            return Running(0, {key: note[key] for key in (REFUSED_AT, REFUSED_GENERATION)})
        return Running(job.shards, {})
    finding = health.nodes_have_room(observed)
    if refused_at is None and finding and finding.reason == Reason.INSUFFICIENT_CAPACITY:
        return Running(0, {REFUSED_AT: time_text(observed.now_s), REFUSED_GENERATION: generation})
    return Running(job.shards, {})


def retry_after_s(observed: Observed) -> float | None:
    """Seconds until a refused worker is tried again; None where none is refused."""
    existing = observed.child("StatefulSet") or {"metadata": {}}
    refused_at = seconds((existing["metadata"].get("annotations") or {}).get(REFUSED_AT))
    if refused_at is None:
        return None
    return max(0.0, refused_at + observed.config.capacity_retry_s - observed.now_s)


def source_ports(source: MetricSourceSpec) -> list[int]:
    """Ports on which a source answers."""
    if source.type == "kubelet":
        return [source.kubelet.port if source.kubelet else 10250]
    url = source.prometheus.url if source.prometheus else ""
    if source.table is not None:
        url = source.table.path
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        return []
    try:
        return [parts.port or (443 if parts.scheme == "https" else 80)]
    except ValueError:
        return []  # a port that is no number: the worker's own error says it better
