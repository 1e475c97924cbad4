"""The job document: everything a worker must know, in one ConfigMap."""

from __future__ import annotations

from anomaly_operator.api.job import JOB_FILE, WorkerJob
from anomaly_operator.api.model import ApiModel
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.meta import SecretKeyRef
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.errors import SpecError
from anomaly_operator.reconcile.children.worker import Worker
from anomaly_operator.reconcile.comparing import digest
from anomaly_operator.reconcile.naming import Body


def render(worker: Worker, job: WorkerJob) -> Body:
    """Render the ConfigMap that holds the document."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": worker.metadata(worker.name),
        "data": {JOB_FILE: job.to_json()},
    }


def read(config_map: Body | None) -> WorkerJob | None:
    """Return the job that workers follow now; None where there is none that can be read."""
    text = ((config_map or {}).get("data") or {}).get(JOB_FILE)
    if text is None:
        return None
    try:
        return WorkerJob.from_json(text)
    except SpecError:
        return None


def reopen_hash(spec: AnomalyDetectorSpec) -> str:
    """Hash of exactly the fields that a worker reads when it starts; all others are live."""
    return digest(
        spec.model_dump(
            mode="json",
            include={
                "analysis_limits": {"model_memory_limit"},
                "background_persist_interval": True,
                "renormalization_window_days": True,
                "model_prune_window": True,
            },
        )
    )


def filters_named(spec: AnomalyDetectorSpec) -> list[str]:
    """Names of the AnomalyFilters that rules and windows scope on, each once, in order."""
    scopes = [rule.scope for detector in spec.detectors for rule in detector.custom_rules]
    scopes += [window.scope for window in spec.maintenance_windows]
    named = (entry.filter_id for scope in scopes for entry in scope.values())
    return list(dict.fromkeys(name for name in named if name))


def secrets_named(source: MetricSourceSpec) -> list[str]:
    """Names of the Secrets that a source's settings refer to, sorted."""
    found: set[str] = set()
    waiting: list[object] = [source]
    while waiting:
        value = waiting.pop()
        if isinstance(value, SecretKeyRef):
            found.add(value.name)
        elif isinstance(value, tuple):
            waiting.extend(value)
        elif isinstance(value, ApiModel):
            waiting.extend(getattr(value, name) for name in type(value).model_fields)
    return sorted(found)
