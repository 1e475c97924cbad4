"""A clone is the old detector's spec and nothing of its life."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.cli.clone import clone_body, command

CREATED = "2026-03-29T12:00:00Z"


def old(*, start: str | None = None, backfill: str | None = None) -> dict[str, Any]:
    rule = {"conditions": [{"appliesTo": "actual", "operator": "gt", "value": 5}]}
    return {
        "metadata": {
            "name": "memory",
            "namespace": "shop",
            "uid": "an-uid",
            "resourceVersion": "7",
            "creationTimestamp": CREATED,
            "labels": {"team": "shop", "app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"anomaly-operator.dev/revert": "{}"},
        },
        "spec": {
            "target": {"kind": "Pod"},
            "detectors": [{"metric": "memory_usage", "customRules": [rule]}],
            "suspend": True,
            **({"start": start} if start else {}),
        },
        "status": {"backfill": {"from": backfill}} if backfill else {},
    }


def test_it_is_the_spec_opened_and_no_trace_of_the_old_ones_life():
    made = clone_body(old(), "again", start=None, suspend=False)
    assert made["metadata"] == {"name": "again", "namespace": "shop", "labels": {"team": "shop"}}
    assert made["spec"]["suspend"] is False
    assert made["spec"]["detectors"] == old()["spec"]["detectors"]
    assert "status" not in made
    AnomalyDetectorSpec.parse(made["spec"])


STARTS = {
    "as the old one says": (old(start="2026-01-01T00:00:00Z"), None, "2026-01-01T00:00:00Z"),
    "where it really began": (
        old(backfill="2026-03-29T12:00:10Z"),
        None,
        "2026-03-29T12:00:10Z",
    ),
    "four weeks before the old one was made": (old(), None, "2026-03-01T12:00:00Z"),
    "as asked for": (
        old(start="2026-01-01T00:00:00Z"),
        datetime(2026, 2, 3, tzinfo=UTC),
        "2026-02-03T00:00:00Z",
    ),
}


@pytest.mark.parametrize(("body", "start", "expected"), STARTS.values(), ids=STARTS)
def test_it_starts(body: dict[str, Any], start: datetime | None, expected: str):
    assert clone_body(body, "again", start=start, suspend=False)["spec"]["start"] == expected


def test_two_ways_to_say_where_to_begin_are_refused():
    done = CliRunner().invoke(command, ["a", "b", "--start", "2026-01-01", "--days", "3"])
    assert done.exit_code == 2
    assert "--start and --days" in done.output
