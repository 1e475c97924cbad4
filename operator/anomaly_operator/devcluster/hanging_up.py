"""Ends a server of the stand-in together with every connection to it.

A TLS connection that is closed waits half a minute for the other side's farewell. The loop of a
test or of a program that ends is gone by then, and the socket stays open until the garbage
collector finds it: for the other side, a server that ended and never hung up.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from aiohttp import web

# The last steps of closing a connection are left to the loop's next rounds.
_ROUNDS = 5


async def hang_up(runner: web.BaseRunner) -> None:
    """Stop listening, let handlers end, and drop the connections that remain."""
    for site in tuple(runner.sites):
        await site.stop()
    server = runner.server
    # A handler forgets its transport as soon as it begins to close it; the server does not.
    kept = server._connections if isinstance(server, web.Server) else {}  # noqa: SLF001
    sockets = [transport.get_extra_info("socket") for transport in kept.values()]
    await runner.cleanup()
    for each in sockets:
        # A transport that was told twice to close has nothing left to abort; its socket has.
        with contextlib.suppress(OSError):  # it is closed
            each.shutdown(socket.SHUT_RDWR)
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
