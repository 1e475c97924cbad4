"""The kubelet's HTTPS server of a stand-in node."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from anomaly_operator.devcluster.hanging_up import Line
from anomaly_operator.devcluster.kubelet.authorizing import Gate
from anomaly_operator.devcluster.kubelet.certificates import self_signed
from anomaly_operator.devcluster.kubelet.exposition import render_cadvisor, render_resource
from anomaly_operator.devcluster.kubelet.figures import Figures
from anomaly_operator.devcluster.kubelet.logs import stream_log
from anomaly_operator.devcluster.kubelet.summary import render_summary
from anomaly_operator.devcluster.node.pods import NodeContext, PodRun

TEXT = "text/plain; version=0.0.4; charset=utf-8"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class KubeletServer:
    """Serves statistics, metrics and logs of one node to those who may see them."""

    def __init__(self, context: NodeContext, pods: Mapping[str, PodRun]) -> None:
        self.port = 0
        self.figures = Figures(context, pods)
        self._context = context
        self._pods = pods
        self._gate = Gate(context.view.client, node=context.settings.name)
        self._runner: web.AppRunner | None = None
        self._line = Line()
        self._refreshing: asyncio.Task[None] | None = None

    async def start(self, port: int) -> int:
        """Listen; the port that was asked for, or a free one for 0."""
        application = web.Application(middlewares=[self._admit])
        application.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/pods", self._list_pods),
                web.get("/stats/summary", self._summary),
                web.get("/metrics", self._metrics),
                web.get("/metrics/resource", self._resource),
                web.get("/metrics/cadvisor", self._cadvisor),
                web.get("/containerLogs/{namespace}/{pod}/{container}", self._logs),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        settings = self._context.settings
        ca_pem = self._context.view.client.access.ca_pem
        context = self_signed(settings.name, settings.address, client_ca_pem=ca_pem)
        self.port = await self._line.listen(self._runner, settings.address, port=port, tls=context)
        self._refreshing = asyncio.create_task(self.figures.run())
        return self.port

    async def stop(self) -> None:
        """Stop listening."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refreshing
        if self._runner is not None:
            await self._line.hang_up(self._runner)

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._line.note(request)
        await self._gate.check(request)
        return await handler(request)

    async def _healthz(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok")

    async def _list_pods(self, _request: web.Request) -> web.StreamResponse:
        items = [run.pod for run in self._pods.values()]
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "items": items})

    async def _summary(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(render_summary(self.figures))

    async def _metrics(self, _request: web.Request) -> web.StreamResponse:
        running = sum(
            container.leader is not None
            for run in self._pods.values()
            for container in run.containers.values()
        )
        text = (
            "# HELP kubelet_running_containers [ALPHA] Number of containers currently running\n"
            "# TYPE kubelet_running_containers gauge\n"
            f'kubelet_running_containers{{container_state="running"}} {running}\n'
        )
        return web.Response(body=text.encode(), headers={"Content-Type": TEXT})

    async def _resource(self, _request: web.Request) -> web.StreamResponse:
        body = render_resource(self.figures).encode()
        return web.Response(body=body, headers={"Content-Type": TEXT})

    async def _cadvisor(self, _request: web.Request) -> web.StreamResponse:
        body = render_cadvisor(self.figures).encode()
        return web.Response(body=body, headers={"Content-Type": TEXT})

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        names = request.match_info
        for run in self._pods.values():
            metadata = run.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (names["namespace"], names["pod"]):
                return await stream_log(request, run, container=names["container"])
        raise web.HTTPNotFound(text=f'pod "{names["pod"]}" not found')
