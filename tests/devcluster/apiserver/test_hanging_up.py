"""A server that stops leaves no connection behind, whatever its clients do."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from anomaly_operator.devcluster.apiserver.background import RunningApiServer, running_apiserver

ASK = {
    "a client that lists and keeps the connection": "",
    "a client that watches": "?watch=true",
    "a client whose watch is over": "?watch=true&timeoutSeconds=1",
}


@pytest.mark.parametrize("query", ASK.values(), ids=ASK.keys())
def test_connections_end_with_the_server(tmp_path: Path, query: str):
    """A client that never says farewell sees the end at once, not half a minute later."""
    with running_apiserver(tmp_path, persist=False) as api:
        client = encrypted(api, connected(api))
        client.sendall(
            f"GET /api/v1/namespaces{query} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n"
            f"Authorization: Bearer {api.server.admin_token}\r\n\r\n".encode()
        )
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        if "timeout" in query:
            assert is_ended(client)
    with client:
        assert is_ended(client)


def test_connections_that_never_asked_end_too(tmp_path: Path):
    """Neither a client that is silent nor one that has not even shaken hands is kept."""
    for number in range(3):  # which of its steps a handshake has come to is chance
        with running_apiserver(tmp_path / str(number), persist=False) as api:
            silent, late = encrypted(api, connected(api)), connected(api)
        with silent, late:
            assert is_ended(silent)
            assert is_ended(late)


def connected(api: RunningApiServer) -> socket.socket:
    """Connect; what is awaited later is awaited five seconds."""
    port = int(api.url.rsplit(":", 1)[1])
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def encrypted(api: RunningApiServer, plain: socket.socket) -> ssl.SSLSocket:
    """Shake hands as a client that trusts the server."""
    context = ssl.create_default_context(cafile=str(api.server.authority.certificate))
    context.check_hostname = False
    return context.wrap_socket(plain)


def is_ended(client: socket.socket) -> bool:
    """Read until the other side ends the connection; TimeoutError where it does not."""
    try:
        while client.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True
