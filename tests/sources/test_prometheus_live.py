"""A Prometheus that scrapes a node exporter on this machine, read as it runs."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from anomaly_operator.adapters.sources.prometheus import PrometheusSource
from anomaly_operator.api.v1alpha1 import metricsource
from anomaly_operator.ports import ReadRequest, Samples, Scope
from tests.support.processes import eventually
from tests.support.prometheus import node_exporter, prometheus

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("prometheus")]


def test_a_node_exporter_alone_is_enough_for_nodes(tmp_path: Path) -> None:
    """No kube-state-metrics, no cluster: memory, and the node named by its own host name."""
    with (
        node_exporter(tmp_path / "exporter") as exporter,
        prometheus(tmp_path / "prometheus", scrape={"node": [exporter.address]}) as server,
    ):
        model = metricsource.PrometheusSource.parse({"url": server.url})
        source = PrometheusSource("live", model)

        def read(metric: str) -> Samples | None:
            now_s = time.time()
            request = ReadRequest(metric, "node", now_s - 10, now_s, 1.0, Scope("Node"))
            found = source.read(request)
            return found if len(found.value) > 2 else None

        memory = eventually(lambda: read("memory_usage"), what="memory of this machine")
        traffic = eventually(lambda: read("network_in"), what="traffic of this machine")
        source.close()
    total = psutil.virtual_memory().total
    assert 0 < memory.value.min() <= memory.value.max() < total
    assert traffic.value.min() >= 0
    (labels,) = memory.series
    assert labels["node"]
    assert ":" not in labels["node"]
