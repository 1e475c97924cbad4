"""The worker's HTTP face, asked over a real socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from anomaly_operator.adapters.exposition import Exposition
from anomaly_operator.adapters.http_server import HttpServer
from anomaly_operator.adapters.results_store import ResultsStore
from anomaly_operator.ports import SnapshotInfo
from tests.adapters.test_exposition import advance_of
from tests.support.ports_conformance import a_record, an_advance


class Served:
    """A server over a store with three records."""

    def __init__(self, folder: Path) -> None:
        self.store = ResultsStore(
            str(folder / "r.db"), job_id="shop/memory", shard=0, now_s=lambda: 0.0
        )
        for number in range(3):
            time_s = 900.0 * number
            self.store.write(an_advance(time_s, records=(a_record(time_s, score=30.0 * number),)))
        exposition = Exposition("shop", "memory", shard=0, now_s=lambda: 0.0)
        exposition.write(advance_of(score=80.0))
        self.live, self.ready = "", "starting"
        self.server = HttpServer(
            ("127.0.0.1", 0),
            collectors=(exposition,),
            store=self.store,
            live=lambda: self.live,
            ready=lambda: self.ready,
        )

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.server.port}{path}", headers=headers)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.server.close()
    made.store.close()


def test_metrics_come_in_the_format_that_is_asked_for(served: Served) -> None:
    plain = served.get("/metrics")
    assert "text/plain" in plain.headers["content-type"]
    assert 'anomaly_record_score{detector="memory",entity="cart-1"' in plain.text
    openmetrics = served.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert "application/openmetrics-text" in openmetrics.headers["content-type"]
    assert openmetrics.text.endswith("# EOF\n")


def test_probes_say_what_is_wrong(served: Served) -> None:
    assert served.get("/healthz").status_code == 200
    assert (served.get("/readyz").status_code, served.get("/readyz").text) == (503, "starting")
    served.ready, served.live = "", "the loop has not turned for 901 s"
    assert served.get("/readyz").status_code == 200
    assert served.get("/healthz").status_code == 503


def test_results_are_filtered_sorted_and_paged(served: Served) -> None:
    answer = served.get("/api/v1/records?min_score=10&sort=record_score&limit=1").json()
    assert answer["count"] == 2
    assert [record["record_score"] for record in answer["records"]] == [60.0]
    later = served.get("/api/v1/records?start=900&order=asc&pod=cart-1")
    assert later.status_code == 400, "labels are no columns; entity is how they are asked for"
    later = served.get("/api/v1/records?start=900&order=asc&entity=cart-1").json()
    assert [record["timestamp"] for record in later["records"]] == [900_000, 1_800_000]
    assert served.get("/api/v1/buckets").json()["count"] == 3


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/api/v1/secrets", 404),
        ("/../../etc/passwd", 404),
        ("/api/v1/records?min_score=high", 400),
        ("/api/v1/records?sort=colour", 400),
        ("/api/v1/records?sort=influencers", 400),
        ("/api/v1/records?order=backwards", 400),
        ("/api/v1/records?start=inf", 400),
        ("/api/v1/records?end=nan", 400),
        ("/api/v1/records?end=1e300", 400),
        ("/api/v1/records?limit=-inf", 400),
        ("/api/v1/records?detector_index=99999999999999999999", 400),
        ("/api/v1/records?labels={}", 400),
        ("/api/v1/records?job_id=other/memory", 400),
        ("/api/v1/snapshots?retain=perhaps", 400),
    ],
)
def test_wrong_requests_are_told_what_would_be_right(
    served: Served, path: str, status: int
) -> None:
    answer = served.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_another_detectors_results_cannot_be_asked_for(served: Served) -> None:
    """Nor is the column offered: rows of others may be in the same database."""
    answer = served.get("/api/v1/records?job_id=other/memory")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("filter 'job_id': records have timestamp, ")


def test_yes_and_no_are_asked_for_in_words(served: Served) -> None:
    kept = [SnapshotInfo("1", 900.0, 1, retain=True), SnapshotInfo("2", 1800.0, 1)]
    served.store.keep_snapshots(kept)
    for word, ids in (("true", ["1"]), ("false", ["2"])):
        answer = served.get(f"/api/v1/snapshots?retain={word}").json()
        assert [each["snapshot_id"] for each in answer["snapshots"]] == ids


def test_a_client_that_says_nothing_holds_nobody_up(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port)):
        assert served.get("/healthz").status_code == 200


def test_a_store_that_is_away_is_503(served: Served, tmp_path: Path) -> None:
    served.store.close()
    (tmp_path / "r.db").write_bytes(b"this is no database, however long one looks at it" * 100)
    for leftover in tmp_path.glob("r.db-*"):
        leftover.unlink()
    answer = served.get("/api/v1/records")
    assert answer.status_code == 503
    assert "results store" in answer.json()["error"]


def test_a_filter_without_a_value_is_one(served: Served) -> None:
    """Of buckets, the empty partition is the bucket as a whole, and not every partition."""
    everything = served.get("/api/v1/records?partition_field_value=").json()["count"]
    assert everything == served.get("/api/v1/records").json()["count"] == 3
    assert served.get("/api/v1/records?by_field_value=").json()["count"] == 0
    assert served.get("/api/v1/records?min_score=").status_code == 400
