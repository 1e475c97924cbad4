"""Why a worker does not start, as an API server merges it into what was reported before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anomaly_operator.adapters.detector_status import DetectorRef, DetectorStatus
from anomaly_operator.adapters.kube import ANOMALY_DETECTORS, Kube
from anomaly_operator.errors import SpecError, StoreUnavailable
from anomaly_operator.worker.reporting import trouble
from tests.api.asking import apiserver_with_our_kinds
from tests.api.cases import detector
from tests.support.processes import eventually


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[Kube]:
    """An API server, the stand-in or a real one, with a detector on it."""
    with apiserver_with_our_kinds(tmp_path) as (_, made):
        shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        made.apply(shop, field_manager="a-user")
        made.create(detector() | {"metadata": {"name": "memory", "namespace": "shop"}})
        yield made


def followed(status: str, reason: str) -> dict[str, Any]:
    return {
        "type": "JobFollowed",
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 1,
    }


def test_a_trouble_is_put_beside_what_was_reported_and_taken_over_by_the_next_report(kube: Kube):
    """Nothing that the worker said before is lost while it cannot say anything new."""

    def entry() -> dict[str, Any]:
        found = kube.get(ANOMALY_DETECTORS, "memory", namespace="shop") or {}
        shards: list[dict[str, Any]] = (found.get("status") or {}).get("shards") or [{}]
        return shards[0]

    def condition(kind: str) -> dict[str, Any]:
        return next((each for each in entry().get("conditions") or () if each["type"] == kind), {})

    found = kube.get(ANOMALY_DETECTORS, "memory", namespace="shop")
    assert found is not None
    ref = DetectorRef("shop", "memory", found["metadata"]["uid"])
    size = {"modelBytes": 7}
    whole = {"shard": 0, "appliedGeneration": 1, "modelSizeStats": size}
    status = DetectorStatus(kube, ref, shard=0, interval_s=0.1)
    try:
        status.report({**whole, "conditions": [followed("True", "Followed")]}, urgent=True)
        eventually(lambda: condition("JobFollowed").get("status") == "True", what="reported")
        for error, kind in (
            (SpecError([], reason="x"), "JobFollowed"),
            (StoreUnavailable("database db: refused"), "ResultsStored"),
        ):
            status.report_trouble(trouble(error, 1.8e9))
            eventually(lambda k=kind: condition(k).get("status") == "False", what=kind)
            assert entry()["modelSizeStats"] == size
            assert entry()["appliedGeneration"] == 1
        status.report({**whole, "conditions": [followed("True", "Followed")]}, urgent=True)
        eventually(lambda: condition("JobFollowed").get("status") == "True", what="taken over")
    finally:
        status.close()
