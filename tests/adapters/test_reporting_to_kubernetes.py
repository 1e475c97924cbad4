"""Status and Events as they go over the wire, to an HTTP server that remembers requests.

What a real API server makes of them is the end-to-end suite's to show.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes import client

from anomaly_operator.adapters.detector_events import DetectorEvents
from anomaly_operator.adapters.detector_status import DetectorRef, DetectorStatus
from anomaly_operator.adapters.kube import Kube
from anomaly_operator.ports import Announcement
from tests.support.processes import eventually

DETECTOR = DetectorRef("shop", "memory", "uid-1")


class ApiServer:
    """Answers writes as an API server would, and remembers them."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.events: dict[str, dict[str, Any]] = {}
        self.pods = {"cart-1"}
        self.failures = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                name = self.path.rsplit("/", 1)[-1]
                if name in outer.pods:
                    self.answer(200, {"metadata": {"name": name, "uid": f"uid-of-{name}"}})
                else:
                    self.answer(404, {"code": 404, "message": "not found"})

            def do_PATCH(self) -> None:
                self.write(200)

            def do_POST(self) -> None:
                self.write(201)

            def write(self, status: int) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if outer.failures:
                    outer.failures -= 1
                    self.answer(503, {"code": 503, "message": "away"})
                    return
                outer.requests.append((self.command, self.path, body))
                name = body["metadata"]["name"]
                if self.command == "POST" and name in outer.events:
                    self.answer(409, {"code": 409, "reason": "AlreadyExists"})
                    return
                if self.command == "POST":
                    outer.events[name] = body
                self.answer(status, body)

            def answer(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def kube(self) -> Kube:
        settings = client.Configuration()
        settings.host = f"http://127.0.0.1:{self.server.server_address[1]}"
        settings.retries = False
        return Kube(client.ApiClient(settings))

    def patches(self) -> list[tuple[str, dict[str, Any]]]:
        return [(path, body) for method, path, body in self.requests if method == "PATCH"]


@pytest.fixture
def api() -> Iterator[ApiServer]:
    made = ApiServer()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def make_status(api: ApiServer) -> Iterator[Callable[..., DetectorStatus]]:
    made = []

    def make(**options: Any) -> DetectorStatus:
        made.append(DetectorStatus(api.kube(), DETECTOR, shard=2, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def events(api: ApiServer) -> Iterator[DetectorEvents]:
    made = DetectorEvents(api.kube(), DETECTOR, host="andet-memory-2", now_s=lambda: 1.76e9)
    yield made
    made.close()


def test_a_shard_applies_its_entry_and_nothing_else(
    api: ApiServer, make_status: Callable[..., DetectorStatus]
) -> None:
    make_status().report({"shard": 2, "appliedGeneration": 4}, urgent=True)
    eventually(api.patches, what="the status is applied", within_s=10)
    ((path, body),) = api.patches()
    parts = urlsplit(path)
    assert parts.path == (
        "/apis/anomaly-operator.dev/v1alpha1/namespaces/shop/anomalydetectors/memory/status"
    )
    assert parse_qs(parts.query) == {"fieldManager": ["anomaly-worker-2"], "force": ["true"]}
    assert body["status"] == {"shards": [{"shard": 2, "appliedGeneration": 4}]}
    assert body["metadata"] == {"name": "memory", "namespace": "shop", "uid": "uid-1"}


def test_what_is_not_urgent_waits_and_only_the_newest_is_written(
    api: ApiServer, make_status: Callable[..., DetectorStatus]
) -> None:
    status = make_status(interval_s=3600.0)
    status.report({"shard": 2, "n": 0})
    eventually(api.patches, what="the first is written at once", within_s=10)
    for number in range(1, 50):
        status.report({"shard": 2, "n": number})
    status.close()
    assert [body["status"]["shards"][0]["n"] for _, body in api.patches()] == [0, 49]


def test_an_unchanged_state_is_not_written_again(
    api: ApiServer, make_status: Callable[..., DetectorStatus]
) -> None:
    status = make_status()
    status.report({"shard": 2, "n": 1}, urgent=True)
    eventually(api.patches, what="it is written", within_s=10)
    status.report({"shard": 2, "n": 1}, urgent=True)
    status.close()
    assert len(api.patches()) == 1


def test_a_failed_write_is_tried_again(
    api: ApiServer, make_status: Callable[..., DetectorStatus]
) -> None:
    api.failures = 1
    make_status().report({"shard": 2, "n": 1}, urgent=True)
    eventually(api.patches, what="the second try succeeds", within_s=15)


def announcement(key: str = "0//shop/cart/cart-1/900/opened", **changes: Any) -> Announcement:
    values = {"warning": True, "reason": "AnomalyStarted", "message": "memory is 3x higher"}
    return Announcement(key=key, **{**values, **changes})


def test_an_event_is_about_the_detector(api: ApiServer, events: DetectorEvents) -> None:
    events.announce(announcement())
    eventually(lambda: api.events, what="the event is there", within_s=10)
    (event,) = api.events.values()
    assert event["type"] == "Warning"
    assert event["reason"] == "AnomalyStarted"
    assert event["involvedObject"] == {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "AnomalyDetector",
        "namespace": "shop",
        "name": "memory",
        "uid": "uid-1",
    }
    assert event["metadata"]["namespace"] == "shop"
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2025-10-09T08:53:20Z"


def test_an_event_about_a_pod_has_the_pods_uid_so_that_describe_shows_it(
    api: ApiServer, events: DetectorEvents
) -> None:
    events.announce(announcement("gone", pod=("shop", "no-more")))
    events.announce(announcement("there", pod=("shop", "cart-1"), warning=False))
    eventually(lambda: api.events, what="the event is there", within_s=10)
    (event,) = api.events.values()
    assert event["involvedObject"]["kind"] == "Pod"
    assert event["involvedObject"]["uid"] == "uid-of-cart-1"
    assert event["type"] == "Normal"


def test_the_same_occasion_is_one_event_whoever_tells_it_again(
    api: ApiServer, events: DetectorEvents
) -> None:
    """A worker that replays after a crash makes the same name, and is told that it exists."""
    events.announce(announcement())
    again = DetectorEvents(api.kube(), DETECTOR, host="andet-memory-2", now_s=lambda: 1.77e9)
    again.announce(announcement())
    again.announce(announcement("another"))
    again.close()
    events.close()
    assert len(api.events) == 2


def test_events_wait_while_the_api_server_is_away_and_keep_their_time(
    api: ApiServer, events: DetectorEvents
) -> None:
    api.failures = 2
    for number in range(3):
        events.announce(announcement(f"key-{number}", message=f"message {number}"))
    eventually(lambda: len(api.events) == 3, what="all three are written", within_s=20)
    posted = [body["message"] for method, _, body in api.requests if method == "POST"]
    assert posted == ["message 0", "message 1", "message 2"]


def test_texts_are_cut_to_what_the_api_takes(api: ApiServer, events: DetectorEvents) -> None:
    events.announce(announcement(message="x" * 5000))
    eventually(lambda: api.events, what="the event is there", within_s=10)
    (event,) = api.events.values()
    assert len(event["message"]) == 1024
