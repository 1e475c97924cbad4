"""The worker's HTTP face: metrics, probes, and results in JSON for whoever asks.

The standard library's threading server is enough: a scrape every fifteen seconds, two probes and a
reader now and then. Nothing here changes state, and no path or header of a request reaches a file.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from anomaly_operator.adapters.about_job import AboutJob
from anomaly_operator.adapters.results_query import KINDS, BadQuery, Query, query_results
from anomaly_operator.adapters.results_store import ResultsStore
from anomaly_operator.errors import StoreUnavailable

logger = logging.getLogger(__name__)

_REQUEST_TIMEOUT_S = 10.0  # a client that says nothing must not hold a thread
_API = "/api/v1/"
_JOB = "job"
_LARGEST = 1e15  # later than any time, and in milliseconds still an integer of a database
_PARAMETERS = frozenset({"start", "end", "min_score", "entity", "sort", "order", "offset", "limit"})

Probe = Callable[[], str]
"""Empty when all is well, else what is wrong."""


class HttpServer:
    """Serves in threads of its own until closed.

    Parameters
    ----------
    address
        Host and port; port 0 takes a free one.
    collectors
        What ``/metrics`` shows.
    store
        What ``/api/v1`` reads.
    live, ready
        Answers of ``/healthz`` and ``/readyz``.
    about
        What ``/api/v1/job`` tells, and what stands beside results; None where there is no job.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        collectors: tuple[Collector, ...],
        store: ResultsStore,
        live: Probe,
        ready: Probe,
        about: AboutJob | None = None,
    ) -> None:
        registry = CollectorRegistry()
        for collector in (*collectors, *([about] if about is not None else [])):
            registry.register(collector)
        probes: Mapping[str, Probe] = {"/healthz": live, "/readyz": ready}

        class Handler(_Handler):
            pass

        Handler.registry, Handler.store, Handler.probes = registry, store, probes
        Handler.about = about
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._server = _server_class(family)(address, Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Port that is served."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5.0)


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    store: ResultsStore
    probes: Mapping[str, Probe]
    about: AboutJob | None
    timeout = _REQUEST_TIMEOUT_S
    protocol_version = "HTTP/1.1"
    server_version = "anomaly-worker"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one request."""
        parts = urlsplit(self.path)
        if parts.path == "/metrics":
            self._metrics()
        elif parts.path in self.probes:
            problem = self.probes[parts.path]()
            self._answer(503 if problem else 200, "text/plain", (problem or "ok").encode())
        elif parts.path.startswith(_API) and parts.path.removeprefix(_API) in KINDS:
            # Blank values too: partition_field_value= asks for buckets as a whole.
            given = parse_qs(parts.query, keep_blank_values=True)
            self._results(parts.path.removeprefix(_API), given)
        elif parts.path == _API + _JOB and self.about is not None:
            self._json(200, self.about.document())
        else:
            job = [_JOB] if self.about is not None else []
            paths = ["/metrics", *self.probes, *(_API + kind for kind in (*job, *KINDS))]
            self._json(404, {"error": f"{parts.path}: there are {', '.join(paths)}"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as above
        """Log requests at debug: probes come every few seconds."""
        logger.debug(format, *args)

    def _metrics(self) -> None:
        encoder, content_type = choose_encoder(self.headers.get("Accept", ""))
        self._answer(200, content_type, encoder(self.registry))

    def _results(self, kind: str, parameters: Mapping[str, list[str]]) -> None:
        try:
            answer = query_results(self.store, parsed_query(kind, parameters))
        except (BadQuery, ValueError) as error:
            self._json(400, {"error": str(error)})
        except StoreUnavailable as error:
            self._json(503, {"error": str(error)})
        else:
            documents = answer.documents
            if self.about is not None:
                documents = self.about.beside(documents)
            self._json(200, {"count": answer.total, kind: documents})

    def _json(self, status: int, document: object) -> None:
        self._answer(status, "application/json", orjson.dumps(document))

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)


def parsed_query(kind: str, parameters: Mapping[str, list[str]]) -> Query:
    """Read a query string: known words, and any column of the kind as a filter.

    Raises BadQuery where a word is not what it should be.
    """
    last = {name: values[-1] for name, values in parameters.items()}

    def number(name: str) -> float | None:
        if name not in last:
            return None
        with contextlib.suppress(ValueError):
            found = float(last[name])
            if abs(found) <= _LARGEST:
                return found
        raise BadQuery(f"{name}={last[name]}: is not a number of at most {_LARGEST:g}")

    if last.get("order", "desc") not in {"asc", "desc"}:
        raise BadQuery(f"order={last['order']}: is neither asc nor desc")
    return Query(
        kind=kind,
        start_s=number("start"),
        end_s=number("end"),
        min_score=number("min_score"),
        entity=last.get("entity"),
        filters={name: value for name, value in last.items() if name not in _PARAMETERS},
        sort=last.get("sort"),
        descending=last.get("order", "desc") != "asc",
        offset=int(number("offset") or 0),
        limit=int(number("limit") or 100),
    )


def _server_class(family: socket.AddressFamily) -> type[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature
            logger.debug("request failed from %s", client_address)  # it went away, mostly

    return Server
