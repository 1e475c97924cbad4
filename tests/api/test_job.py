"""The document that stands between operator and worker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from anomaly_operator.api.job import JobDetector, JobSource, Revert, WorkerJob
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetector
from anomaly_operator.api.v1alpha1.defaults import with_defaults
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.errors import SpecError
from tests.api.cases import detector

CREATED = datetime(2024, 5, 29, 10, tzinfo=UTC)


def job(**fields: Any) -> WorkerJob:
    spec = AnomalyDetector.parse(detector()).spec
    return WorkerJob(
        detector=JobDetector(
            namespace="shop", name="memory", uid="u-1", generation=3, creation_time=CREATED
        ),
        spec=with_defaults(spec, created=CREATED, uid="u-1"),
        source=JobSource(name="kubelets", spec=MetricSourceSpec(type="kubelet")),
        filters={"noisy": ("cache", "batch-*")},
        namespaces=("shop",),
        operator_namespace="anomaly-operator",
        **fields,
    )


def test_what_the_operator_writes_the_worker_reads() -> None:
    written = job(shards=2, revert=Revert(request_id="r-1", snapshot_id="empty"))
    assert WorkerJob.from_json(written.to_json()) == written


def test_an_equal_job_is_an_equal_document() -> None:
    """Else a ConfigMap would change, and pods roll, for nothing."""
    assert job().to_json() == job().to_json()


def test_every_default_is_resolved() -> None:
    spec = job().spec
    assert spec.start == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert spec.frequency == timedelta(minutes=7, seconds=30)
    assert spec.model_prune_window == timedelta(days=30)
    assert spec.detectors[0].function == "high_max"
    assert spec.detectors[0].by == "pod"
    unresolved = {name for name in type(spec).model_fields if getattr(spec, name) is None}
    assert unresolved == {
        "source_ref",  # the job names the source itself
        "partition_field",
        "description",
        "custom_settings",
        "results_retention_days",
    }


def test_all_problems_are_named_with_their_paths(tmp_path: Path) -> None:
    document = json.loads(job().to_json())
    document["version"] = 2
    document["detector"].pop("uid")
    document["spec"]["bucketSpan"] = "7x"
    path = tmp_path / "job.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(SpecError) as refusal:
        WorkerJob.load(path)
    assert [problem.path for problem in refusal.value.problems] == [
        "version",
        "detector.uid",
        "spec.bucketSpan",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "job.json: is not JSON"), ("[]", "job.json: is not a JSON object")],
)
def test_what_is_no_job_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        WorkerJob.from_json(text)


def test_a_job_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"job\.json: cannot be read: No such file"):
        WorkerJob.load(tmp_path / "job.json")
