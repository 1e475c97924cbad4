"""All records that a worker has, from its own address: ``/api/v1/records``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx

from anomaly_operator.devcluster.demo.reporting import Anomaly

PORT = 8080
MIN_SCORE = 50.0  # of these a status speaks, too
AT_MOST = 1000


async def found_by(address: str, *, detector: str) -> list[Anomaly]:
    """Ask a worker for its records; raises ``httpx.HTTPError`` where it does not answer."""
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
