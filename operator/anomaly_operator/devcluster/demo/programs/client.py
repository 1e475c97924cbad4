"""A client of the web server: asks at a steady pace, and much more once it is ordered to.

Variables: PACE requests a second, ASK bytes of each answer, SEND bytes of each request, SURGE by
how much SEND grows when the order ``surge`` is on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random

from anomaly_operator.devcluster.demo.programs.surroundings import (
    PORT,
    find_peers,
    is_ordered,
    pod_address,
)

LOOK_FOR_PEERS_S = 5.0
NOISE = 0.15  # of sizes and pauses, as one standard deviation


def noisy(mean: float) -> float:
    """Draw around a mean, never far below it."""
    return max(mean * random.gauss(1.0, NOISE), mean * 0.4)


async def exchange(address: str, *, ask: int, send: int) -> None:
    """One request over a connection of its own, from this pod's address."""
    reader, writer = await asyncio.open_connection(address, PORT, local_addr=(pod_address(), 0))
    try:
        head = f"POST /bytes/{ask} HTTP/1.1\r\nHost: web\r\nContent-Length: {send}\r\n\r\n"
        writer.write(head.encode() + b"." * send)
        await writer.drain()
        while (await reader.readline()).strip():
            continue
        await reader.readexactly(ask)
    finally:
        writer.close()


async def main() -> None:
    """Exchange for ever."""
    pace, ask, send, surge = (float(os.environ[n]) for n in ("PACE", "ASK", "SEND", "SURGE"))
    peers: list[str] = []
    looked_at = float("-inf")
    loop = asyncio.get_running_loop()
    surging = False
    while True:
        if loop.time() - looked_at > LOOK_FOR_PEERS_S or not peers:
            with contextlib.suppress(OSError):
                peers = await asyncio.to_thread(find_peers, "app=web")
            looked_at = loop.time()
        if surging != is_ordered("surge"):
            surging = not surging
            print("surging" if surging else "back to normal")  # noqa: T201 - a container's log
        if peers:
            size = int(noisy(send * (surge if surging else 1.0)))
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await exchange(random.choice(peers), ask=int(noisy(ask)), send=size)  # noqa: S311
        await asyncio.sleep(noisy(1.0 / pace))


if __name__ == "__main__":
    asyncio.run(main())
