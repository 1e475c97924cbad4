"""The operator's own web server: /metrics, /healthz (the loop turns), /readyz (it watches)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


@asynccontextmanager
async def serving(
    address: str,
    port: int,
    *,
    registry: CollectorRegistry,
    missing: Callable[[], list[str]],
) -> AsyncIterator[int]:
    """Serve while the context lasts; yields the port (the one given may be 0).

    ``missing`` names what is not established yet; readiness is when it is empty.
    """

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def healthy(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_request: web.Request) -> web.Response:
        waiting = missing()
        if waiting:
            return web.Response(text=f"waiting for {', '.join(waiting)}\n", status=503)
        return web.Response(text="ok\n")

    application = web.Application()
    application.add_routes(
        [
            web.get("/metrics", metrics),
            web.get("/healthz", healthy),
            web.get("/readyz", ready),
        ]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
