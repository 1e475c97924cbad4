"""Listens for a server of the stand-in, and ends it together with every connection to it.

A TLS connection that is closed waits half a minute for the other side's farewell. The loop of a
test or of a program that ends is gone by then, and the socket stays open until the garbage
collector finds it: for the other side, a server that ended and never hung up.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from asyncio.trsock import TransportSocket

from aiohttp import web

# The last steps of opening and closing a connection are left to the loop's next rounds.
_ROUNDS = 10


class Line:
    """Where one server listens, and its connections, noted when they ask something."""

    def __init__(self) -> None:
        self._listening: socket.socket | None = None
        # By descriptor: what has long been closed gives way to what is open now.
        self._sockets: dict[int, TransportSocket] = {}

    async def listen(
        self, runner: web.BaseRunner, host: str, *, port: int, tls: ssl.SSLContext
    ) -> int:
        """Take calls at an address; the port, which is a free one for 0."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family)
        await web.SockSite(runner, self._listening, ssl_context=tls).start()
        return int(self._listening.getsockname()[1])

    def note(self, request: web.BaseRequest) -> None:
        """Remember where a request came from."""
        self._note(request.transport)

    def _note(self, transport: asyncio.BaseTransport | None) -> None:
        # One that has been told twice to close knows nothing any more; its request was noted.
        with contextlib.suppress(AttributeError):
            if transport is not None:
                found: TransportSocket = transport.get_extra_info("socket")
                self._sockets[found.fileno()] = found

    async def hang_up(self, runner: web.BaseRunner) -> None:
        """Stop listening, let handlers end, and drop the connections that remain."""
        if self._listening is not None:
            # Not yet closed: asyncio drops what it has accepted for a server that is, and leaves
            # the socket open.
            asyncio.get_running_loop().remove_reader(self._listening)
        await settle()  # who is shaking hands becomes a caller
        for handler in runner.server.connections if runner.server is not None else ():
            self._note(handler.transport)
        await runner.cleanup()
        for each in self._sockets.values():
            # A transport that was told twice to close has nothing left to abort; its socket has.
            with contextlib.suppress(OSError):  # it is closed
                each.shutdown(socket.SHUT_RDWR)
        await settle()


async def settle() -> None:
    """Let the loop do what it has put off."""
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
