"""A server that stops leaves no connection behind, whatever its clients do."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from anomaly_operator.devcluster.apiserver.background import RunningApiServer, running_apiserver

HOW = {
    "a client that lists and keeps the connection": "",
    "a client that watches": "?watch=true",
}


@pytest.mark.parametrize("query", HOW.values(), ids=HOW.keys())
def test_connections_end_with_the_server(tmp_path: Path, query: str):
    """A client that never says farewell sees the end at once, not half a minute later."""
    with running_apiserver(tmp_path, persist=False) as api:
        client = connected(api)
        client.sendall(
            f"GET /api/v1/namespaces{query} HTTP/1.1\r\nHost: api\r\n"
            f"Authorization: Bearer {api.server.admin_token}\r\n\r\n".encode()
        )
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
    client.settimeout(5)
    with client:
        while client.recv(1 << 16):
            pass


def connected(api: RunningApiServer) -> ssl.SSLSocket:
    """Connect as a client that trusts the server does."""
    context = ssl.create_default_context(cafile=str(api.server.authority.certificate))
    context.check_hostname = False
    port = int(api.url.rsplit(":", 1)[1])
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
