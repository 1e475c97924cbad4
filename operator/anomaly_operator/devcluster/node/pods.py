"""One pod's life on a node: volumes, init containers, containers, status, end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from dataclasses import dataclass

from anomaly_operator.devcluster.apiclient.calls import ApiError
from anomaly_operator.devcluster.apiclient.mirrors import TROUBLE, ClusterView
from anomaly_operator.devcluster.apiclient.resources import PODS, SERVICE_ACCOUNTS, JsonObject
from anomaly_operator.devcluster.controllers.events import EventRecorder
from anomaly_operator.devcluster.controllers.templates import now
from anomaly_operator.devcluster.node import environment, volumes
from anomaly_operator.devcluster.node.addresses import AddressPool
from anomaly_operator.devcluster.node.containers import (
    ContainerRun,
    ContainerState,
    Surroundings,
)
from anomaly_operator.devcluster.node.launching import Launcher
from anomaly_operator.devcluster.node.measuring import Measurer
from anomaly_operator.devcluster.node.paths import PodPaths
from anomaly_operator.devcluster.node.podstatus import PodFacts, render_pod_status
from anomaly_operator.devcluster.node.settings import NodeSettings
from anomaly_operator.reconcile.quantities import parse_quantity

REFRESH_S = 1.0
RETRY_S = 0.5

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What all pods of a node share."""

    settings: NodeSettings
    view: ClusterView
    events: EventRecorder
    addresses: AddressPool
    measurer: Measurer
    allocatable: dict[str, str]


class PodRun:
    """Runs one pod until it has ended or is told to."""

    def __init__(self, pod: JsonObject, context: NodeContext) -> None:
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.started_at = now()
        self.containers: dict[str, ContainerRun] = {}
        self.paths = PodPaths(context.settings.folder / "pods" / self.uid)
        self._context = context
        self._changed = asyncio.Event()
        self._initialised = False
        self._ending = False
        self._account: JsonObject | None = None
        self.ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        before = pod.get("status") or {}
        self.address = before.get("podIP") or context.addresses.take()
        context.addresses.keep(self.address)
        context.measurer.traffic_meter.enlist(self.uid, self.address, node=context.settings.name)
        spec = pod["spec"]
        self._init = _states(spec.get("initContainers"), before.get("initContainerStatuses"))
        self._main = _states(spec["containers"], before.get("containerStatuses"))
        allocatable = context.allocatable
        self._volumes = volumes.PodVolumes(context.view, self.paths, allocatable=allocatable)
        self._launcher = Launcher(
            context.settings,
            context.view,
            self.paths,
            self._volumes,
            self.address,
            allocatable,
        )

    def start(self) -> None:
        """Begin; everything goes on in tasks of its own."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._keep_status())]
        self._changed.set()

        for task in self._tasks:
            task.add_done_callback(_log_failure)

    def update(self, pod: JsonObject) -> None:
        """Take in a newer version of the object."""
        self.pod = pod

    async def _run(self) -> None:
        self._account = await self._find_account()
        await self._mount()
        refreshing = asyncio.create_task(self._keep_volumes())
        try:
            for spec, state in zip(self._spec("initContainers"), self._init, strict=True):
                policy = self.pod["spec"].get("restartPolicy", "Always")
                policy = "OnFailure" if policy == "Always" else policy
                if await self._container(spec, state, restart_policy=policy).run() != 0:
                    self._changed.set()
                    return
            self._initialised = True
            self._changed.set()
            policy = self.pod["spec"].get("restartPolicy", "Always")
            async with asyncio.TaskGroup() as tasks:
                for spec, state in zip(self._spec("containers"), self._main, strict=True):
                    run = self._container(spec, state, restart_policy=policy)
                    tasks.create_task(run.run())
        finally:
            refreshing.cancel()
            self._changed.set()

    async def _find_account(self) -> JsonObject | None:
        name = self.pod["spec"].get("serviceAccountName") or "default"
        while True:
            try:
                namespace = self.pod["metadata"]["namespace"]
                return await self._context.view.client.find(SERVICE_ACCOUNTS, namespace, name)
            except TROUBLE:
                await asyncio.sleep(RETRY_S)

    def _spec(self, field: str) -> list[JsonObject]:
        found: list[JsonObject] = self._full().get(field) or []
        return found

    def _full(self) -> JsonObject:
        spec: JsonObject = volumes.with_token_volume(self.pod, self._account)["spec"]
        return spec

    async def _mount(self) -> None:
        told = ""
        while True:
            try:
                await self._volumes.refresh({**self.pod_with_address(), "spec": self._full()})
            except (environment.MissingReference, OSError, *TROUBLE) as error:
                if str(error) != told:
                    told = str(error)
                    await self._tell(
                        "FailedMount", f"MountVolume.SetUp failed: {error}", warning=True
                    )
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _keep_volumes(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            # What has gone since it was mounted stays as it was last seen, as on a real node.
            with contextlib.suppress(environment.MissingReference, OSError, *TROUBLE):
                await self._volumes.refresh({**self.pod_with_address(), "spec": self._full()})

    def pod_with_address(self) -> JsonObject:
        """Pod with its addresses filled in, ahead of the status that will tell them."""
        addresses = {"podIP": self.address, "hostIP": self._context.settings.address}
        status = {**(self.pod.get("status") or {}), **addresses}
        return {**self.pod, "status": status}

    def _container(
        self, spec: JsonObject, state: ContainerState, *, restart_policy: str
    ) -> ContainerRun:
        metadata = self.pod["metadata"]
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory", 0)
        run = ContainerRun(
            self._launcher.with_local_commands(spec),
            state,
            surroundings=Surroundings(
                pod_label=f"{metadata['name']}_{metadata['namespace']}({self.uid})",
                address=self.address,
                restart_policy=restart_policy,
                memory_limit_bytes=float(parse_quantity(limit)),
                first_backoff_s=self._context.settings.first_backoff_s,
                last_backoff_s=self._context.settings.last_backoff_s,
                prepare=lambda restart: self._launcher.prepare(
                    self.pod_with_address(), spec, restart=restart
                ),
                changed=self._on_container_change,
                tell=self._tell,
                rss_bytes=lambda leader: self._context.measurer.use(leader).rss_bytes,
            ),
        )
        self.containers[spec["name"]] = run
        return run

    def _on_container_change(self) -> None:
        for run in self.containers.values():
            if run.leader is not None:
                self._context.measurer.enlist(run.leader, self.uid)
            elif run.process is not None:
                self._context.measurer.dismiss(run.process.pid)
        self._changed.set()

    async def _tell(self, reason: str, message: str, *, warning: bool = False) -> None:
        await self._context.events.record(self.pod, reason, message=message, warning=warning)

    def facts(self) -> PodFacts:
        """Everything the status is made of."""
        return PodFacts(
            address=self.address,
            host_address=self._context.settings.address,
            started_at=self.started_at,
            initialised=self._initialised,
            init=self._init,
            main=self._main,
        )

    async def _keep_status(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._write_status()
            except ApiError as error:
                if error.is_gone:
                    return
                await asyncio.sleep(RETRY_S)
                self._changed.set()
            except TROUBLE:
                await asyncio.sleep(RETRY_S)
                self._changed.set()

    async def _write_status(self) -> None:
        status = render_pod_status(self.pod, self.facts())
        current = self.pod.get("status") or {}
        if all(current.get(name) == value for name, value in status.items()):
            return
        self.pod = await self._context.view.patch(
            PODS, self.pod, patch={"status": status}, subresource="status"
        )

    async def end(self, grace_s: float | None = None) -> None:
        """End all containers, tell so, and let the object go."""
        if self._ending:
            return
        self._ending = True
        metadata = self.pod["metadata"]
        if grace_s is None:
            default = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
            grace_s = metadata.get("deletionGracePeriodSeconds", default)
        await asyncio.gather(*(run.stop(grace_s) for run in self.containers.values()))
        await self._cancel_tasks()
        with contextlib.suppress(*TROUBLE):
            await self._write_status()
            await self._context.view.client.delete(
                PODS, metadata["namespace"], metadata["name"], uid=self.uid, grace_s=0
            )
        await self.abandon()
        await asyncio.to_thread(shutil.rmtree, self.paths.folder, ignore_errors=True)

    async def abandon(self) -> None:
        """Stop looking after the pod, at once and without a word to the API."""
        self._ending = True
        for run in self.containers.values():
            await run.end(0)
            if run.process is not None:
                self._context.measurer.dismiss(run.process.pid)
        await self._cancel_tasks()
        self._context.addresses.give_back(self.address)
        self._context.measurer.traffic_meter.dismiss(self.uid, self.address)
        self.ended.set()

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("a pod's task failed", exc_info=task.exception())


def _states(
    specs: list[JsonObject] | None, before: list[JsonObject] | None
) -> list[ContainerState]:
    """States to begin with; an agent that finds a pod which ran before counts a restart."""
    known = {status["name"]: status for status in before or ()}
    states = []
    for spec in specs or ():
        state = ContainerState(spec["name"], spec.get("image", ""))
        old = known.get(spec["name"])
        if old is not None and ("running" in old["state"] or "terminated" in old["state"]):
            state.restart_count = old["restartCount"] + 1
            state.last_state = old["state"] if "terminated" in old["state"] else {}
        states.append(state)
    return states
