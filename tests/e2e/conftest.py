"""One cluster for all end-to-end tests of a worker process; each test has detectors of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.whole_cluster import SYSTEM, Body, WholeCluster, whole_cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the suite run against a cluster that is there."""
    parser.addoption(
        "--kubeconfig",
        type=Path,
        default=None,
        help="Run the end-to-end tests against this cluster instead of the stand-in.",
    )


def detector(name: str, **spec: object) -> Body:
    """A detector of one-second buckets over the pods' memory, or as said."""
    return {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "AnomalyDetector",
        "metadata": {"name": name, "namespace": SYSTEM},
        "spec": {
            "target": {"kind": "Pod"},
            "detectors": [{"metric": "memory_usage"}],
            "bucketSpan": "1s",
            "frequency": "1s",
            "queryDelay": "2s",
            "analysisLimits": {"modelMemoryLimit": "32mb"},
            **spec,
        },
    }


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[WholeCluster]:
    """A cluster with the operator in it."""
    kubeconfig: Path | None = pytestconfig.getoption("--kubeconfig")
    with whole_cluster(tmp_path_factory.mktemp("cluster"), kubeconfig=kubeconfig) as running:
        yield running


@pytest.fixture(scope="session")
def watched_events(cluster: WholeCluster) -> Iterator[tuple[str, str]]:
    """A detector over a namespace's events, and the namespace, in which nothing happens yet."""
    name, namespace = "events-of-the-shop", "event-shop"
    body = detector(
        name,
        target={"kind": "Pod", "namespaces": [namespace]},
        detectors=[
            {"metric": "events", "function": "high_count"},
            {"metric": "events", "function": "rare"},
        ],
        queryDelay="8s",  # what happens is told with some delay, more so on a busy machine
        partitionField="namespace",
        perPartitionCategorization={"enabled": True, "stopOnWarn": True},
    )
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, body)
    yield name, namespace
    cluster.kubectl("-n", SYSTEM, "delete", "andet", name, "--wait=false", "--ignore-not-found")
