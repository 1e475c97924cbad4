"""All records that workers have, from their own addresses: ``/api/v1/records``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

import httpx

from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.devcluster.demo.reporting import Anomaly
from anomaly_operator.reconcile.naming import DETECTOR_NAME

PORT = 8080
MIN_SCORE = 50.0  # of these a status speaks, too
AT_MOST = 1000


async def of_workers(
    pods: Iterable[JsonObject], detectors: Collection[str]
) -> tuple[list[Anomaly], list[str]]:
    """Ask the detectors' workers; also gives the pods of those that do not answer."""
    found: list[Anomaly] = []
    silent: list[str] = []
    for pod in pods:
        detector = str((pod["metadata"].get("labels") or {}).get(DETECTOR_NAME))
        if detector not in detectors:
            continue
        address = (pod.get("status") or {}).get("podIP", "")
        try:
            found += await _found_by(address, detector=detector)
        except httpx.HTTPError:  # it was killed, or is just being started again
            silent.append(pod["metadata"]["name"])
    return found, silent


async def _found_by(address: str, *, detector: str) -> list[Anomaly]:
    url = f"http://{address}:{PORT}/api/v1/records"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url, params={"min_score": MIN_SCORE, "limit": AT_MOST})
        answer.raise_for_status()
        return [anomaly(record, detector=detector) for record in answer.json()["records"]]


def anomaly(record: dict[str, Any], *, detector: str) -> Anomaly:
    """Read one record."""
    return Anomaly(
        detector=detector,
        time=datetime.fromtimestamp(record["timestamp"] / 1000, UTC).isoformat(),
        metric=record["field_name"],
        entity=record["by_field_value"],
        score=record["record_score"],
        actual=record["actual"][0],
        typical=record["typical"][0],
        summary=record["summary"],
    )
