"""From names in the spec to what they mean: the source, the filters' content, the job document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from anomaly_operator.api.job import JobDetector, JobSource, Revert, WorkerJob
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.defaults import with_defaults
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.errors import Problem, SpecError
from anomaly_operator.reconcile.children import document
from anomaly_operator.reconcile.children.stateful_set import SECRETS_PATH
from anomaly_operator.reconcile.conditions import seconds
from anomaly_operator.reconcile.naming import PREFIX
from anomaly_operator.reconcile.state import Observed

REVERT = f"{PREFIX}/revert"
"""Annotation on a detector: a wish to go back to a stored state, spelled as ``job.Revert``."""

RESULTS_FOLDER = "results-store"


def default_sources(observed: Observed) -> list[str]:
    """Names of the sources marked default, sorted."""
    return sorted(
        name
        for name, source in observed.sources.items()
        if isinstance(source, MetricSourceSpec) and source.default
    )


def source_name(observed: Observed) -> str | None:
    """Name of the source the detector reads; None where it names none and no single one is default.

    Which source a detector reads is fixed when it is created: another default later moves nobody.
    """
    assert isinstance(observed.spec, AnomalyDetectorSpec)
    if observed.spec.source_ref is not None:
        return observed.spec.source_ref.name
    running = document.read(observed.child("ConfigMap"))
    if running is not None:
        return running.source.name
    marked = default_sources(observed)
    return marked[0] if len(marked) == 1 else None


def kept_filters(observed: Observed) -> Mapping[str, tuple[str, ...]]:
    """Filters' content as the running job has it: what stays when a filter is deleted."""
    running = document.read(observed.child("ConfigMap"))
    return running.filters if running is not None else {}


def revert_wish(observed: Observed) -> Revert | SpecError | None:
    """Return the wish on the detector, where there is one and as far as it can be read."""
    text = (observed.metadata.get("annotations") or {}).get(REVERT)
    if not text:
        return None
    path = f'metadata.annotations["{REVERT}"]'
    try:
        wish = orjson.loads(text)  # it counts levels; another reader would run out of stack
    except ValueError as error:
        return SpecError([Problem(path, f"is not JSON: {error}")])
    if not isinstance(wish, dict):
        return SpecError([Problem(path, "is not a JSON object")])
    try:
        return Revert.parse(wish, path=path)
    except SpecError as error:
        return error


def resolve(observed: Observed) -> WorkerJob:
    """Build the job document; the blocking chain has passed, so every name has a meaning."""
    assert isinstance(observed.spec, AnomalyDetectorSpec)
    name = source_name(observed)
    source = observed.sources[name or ""]
    assert isinstance(source, MetricSourceSpec)
    metadata = observed.metadata
    running = document.read(observed.child("ConfigMap"))
    created = datetime.fromtimestamp(
        seconds(metadata.get("creationTimestamp")) or observed.now_s, UTC
    )
    wish = revert_wish(observed)
    config = observed.config
    return WorkerJob(
        detector=JobDetector(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=observed.generation,
            creation_time=created,
        ),
        spec=with_defaults(observed.spec, created=created, uid=metadata["uid"]),
        source=JobSource(
            name=name or "",
            spec=source,
            credentials_path=SECRETS_PATH if document.secrets_named(source) else None,
        ),
        filters=_filters(observed, observed.spec),
        namespaces=_namespaces(observed, observed.spec),
        operator_namespace=config.namespace,
        # Rows do not move between volumes, so a running detector keeps its number of shards.
        shards=running.shards if running is not None else config.shards,
        results_url=config.results_url or None,
        results_url_file=_results_file(config.results_secret),
        snapshots_url=config.snapshots_url or None,
        revert=wish if isinstance(wish, Revert) else None,
        suspended=observed.spec.suspend,
    )


def _filters(observed: Observed, spec: AnomalyDetectorSpec) -> dict[str, tuple[str, ...]]:
    kept = kept_filters(observed)
    items = {}
    for name in document.filters_named(spec):
        found = observed.filters.get(name)
        items[name] = kept[name] if found is None or isinstance(found, SpecError) else found.items
    return items


def _namespaces(observed: Observed, spec: AnomalyDetectorSpec) -> tuple[str, ...] | None:
    if not observed.in_operator_namespace:
        return (str(observed.metadata["namespace"]),)
    return spec.target.namespaces or None


def _results_file(secret: str) -> str | None:
    name, _, key = secret.partition("/")
    return f"{SECRETS_PATH}/{name}/{key}" if key else None
