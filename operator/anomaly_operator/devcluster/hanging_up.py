"""Ends a server of the stand-in together with every connection to it.

A TLS connection that is closed waits half a minute for the other side's farewell. The loop of a
test or of a program that ends is gone by then, and the socket stays open until the garbage
collector finds it: for the other side, a server that ended and never hung up.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from asyncio.trsock import TransportSocket

from aiohttp import web

# The last steps of opening and closing a connection are left to the loop's next rounds.
_ROUNDS = 10


class Callers:
    """Connections of one server, noted when they ask something."""

    def __init__(self) -> None:
        # By descriptor: what has long been closed gives way to what is open now.
        self._sockets: dict[int, TransportSocket] = {}

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
        for site in tuple(runner.sites):
            await site.stop()
        await _settle()  # who is shaking hands becomes a caller
        for handler in runner.server.connections if runner.server is not None else ():
            self._note(handler.transport)
        await runner.cleanup()
        for each in self._sockets.values():
            # A transport that was told twice to close has nothing left to abort; its socket has.
            with contextlib.suppress(OSError):  # it is closed
                each.shutdown(socket.SHUT_RDWR)
        await _settle()


async def _settle() -> None:
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
