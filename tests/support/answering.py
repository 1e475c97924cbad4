"""A small HTTP server whose answers a test writes, for what real servers do too rarely."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    fields: Mapping[str, str]  # of the query string, or of a form
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer; ``body`` may be text, bytes or a document."""

    body: object = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Respond = Callable[[Asked], Answer | None]


@contextmanager
def answering(respond: Respond) -> Iterator[str]:
    """Serve until the block ends; yields the address. None closes the connection unanswered."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            self._answer(self.rfile.read(length).decode())

        def _answer(self, form: str) -> None:
            parts = urlsplit(self.path)
            fields = dict(parse_qsl(parts.query) + parse_qsl(form))
            asked = Asked(self.command, parts.path, fields, dict(self.headers.items()))
            answer = respond(asked)
            if answer is None:
                self.close_connection = True
                return
            body = answer.body if isinstance(answer.body, bytes) else None
            if body is None:
                text = isinstance(answer.body, str)
                body = str(answer.body).encode() if text else orjson.dumps(answer.body)
            self.send_response(answer.status)
            for name, value in {"content-length": str(len(body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
