"""The node agent: registers a node, runs the pods bound to it, answers as its kubelet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from anomaly_operator.devcluster.apiclient.mirrors import TROUBLE, ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    CLAIMS,
    CONFIG_MAPS,
    PODS,
    SECRETS,
    VOLUMES,
    JsonObject,
)
from anomaly_operator.devcluster.controllers import templates
from anomaly_operator.devcluster.controllers.events import EventRecorder
from anomaly_operator.devcluster.kubelet.serving import KubeletServer
from anomaly_operator.devcluster.node.addresses import AddressPool
from anomaly_operator.devcluster.node.measuring import Measurer
from anomaly_operator.devcluster.node.pods import NodeContext, PodRun
from anomaly_operator.devcluster.node.registration import capacity, register
from anomaly_operator.devcluster.node.settings import NodeSettings

VANISHED_GRACE_S = 2.0  # for a pod whose object was removed without waiting for us
logger = logging.getLogger(__name__)


class NodeAgent:
    """One stand-in node."""

    def __init__(
        self,
        settings: NodeSettings,
        view: ClusterView,
        *,
        measurer: Measurer,
        addresses: AddressPool,
    ) -> None:
        self.settings = settings
        self.pods: dict[str, PodRun] = {}
        self._view = view
        self._since = templates.now()
        self._ends: set[asyncio.Task[None]] = set()
        events = EventRecorder(view.client, component="kubelet", host=settings.name)
        self._context = NodeContext(
            settings, view, events, addresses, measurer, allocatable=capacity(settings)
        )
        self.kubelet = KubeletServer(self._context, self.pods)
        # Asked for already, so that they are filled before the first pod needs them.
        for resource in (CONFIG_MAPS, SECRETS, CLAIMS, VOLUMES):
            view.mirror(resource)
        self._pods = view.mirror(PODS)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be a node while the context lasts; its processes end with it."""
        port = await self.kubelet.start(self.settings.kubelet_port)
        beating: asyncio.Task[None] | None = None
        try:
            await self._view.synced()
            await register(self._view.client, self.settings, port=port, since=self._since)
            beating = asyncio.create_task(self._beat(port))
            self._pods.listeners.append(self._on_pod)
            for pod in list(self._pods.objects.values()):
                self._on_pod(None, pod)
            yield
        finally:
            if beating is not None:
                beating.cancel()
            if self._on_pod in self._pods.listeners:
                self._pods.listeners.remove(self._on_pod)
            await asyncio.gather(*(run.abandon() for run in self.pods.values()))
            for task in self._ends:
                task.cancel()
            await asyncio.gather(*self._ends, return_exceptions=True)
            await self.kubelet.stop()

    async def _beat(self, port: int) -> None:
        while True:
            await asyncio.sleep(self.settings.heartbeat_s)
            try:
                await register(self._view.client, self.settings, port=port, since=self._since)
            except TROUBLE as error:
                logger.debug("heartbeat missed", extra={"error": repr(error)})

    def _on_pod(self, old: JsonObject | None, new: JsonObject | None) -> None:
        pod = new or old or {}
        if pod["spec"].get("nodeName") != self.settings.name:
            return
        uid = pod["metadata"]["uid"]
        run = self.pods.get(uid)
        if new is None:
            if run is not None:
                self._end(run, grace_s=VANISHED_GRACE_S)
        elif run is not None:
            run.update(new)
            if templates.is_terminating(new):
                self._end(run)
        elif not templates.is_finished(new) or templates.is_terminating(new):
            run = self.pods[uid] = PodRun(new, self._context)
            if templates.is_terminating(new):
                self._end(run)
            else:
                run.start()

    def _end(self, run: PodRun, *, grace_s: float | None = None) -> None:
        async def end() -> None:
            await run.end(grace_s)
            if run.ended.is_set():
                self.pods.pop(run.uid, None)

        task = asyncio.create_task(end())
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)
