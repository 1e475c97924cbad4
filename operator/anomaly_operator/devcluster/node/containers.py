"""One container's life: start, probes, end, restart with back-off."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.devcluster.controllers.templates import now
from anomaly_operator.devcluster.node import probing, processes
from anomaly_operator.devcluster.node.environment import MissingReference

MEMORY_LOOK_S = 0.5
STEADY_S = 600.0  # a container that ran this long has its back-off forgiven
KILLED_EXIT = 137


@dataclass(slots=True)
class ContainerState:
    """What the pod's status says of a container."""

    name: str
    image: str
    container_id: str = ""
    state: JsonObject = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: JsonObject = field(default_factory=dict)
    restart_count: int = 0
    started: bool = False
    ready: bool = False

    @property
    def exit_code(self) -> int | None:
        """Exit code once it has ended, for good or until it is started again."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])


class Tell(Protocol):
    """Records an event of the pod."""

    async def __call__(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Tell what happened."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container needs of its pod."""

    pod_label: str  # name_namespace(uid), as kubelets write it
    address: str
    restart_policy: str
    memory_limit_bytes: float  # 0 for none
    first_backoff_s: float
    last_backoff_s: float
    prepare: Callable[[int], Awaitable[processes.Launch]]  # restart count -> what to start
    changed: Callable[[], None]
    tell: Tell
    rss_bytes: Callable[[int], int]  # leader -> memory of the tree


class ContainerRun:
    """Runs one container until it has ended for good or is stopped."""

    def __init__(
        self, spec: JsonObject, state: ContainerState, *, surroundings: Surroundings
    ) -> None:
        self.spec = spec
        self.state = state
        self.process: asyncio.subprocess.Process | None = None
        self._around = surroundings
        self._launch: processes.Launch | None = None
        self._stopping = False
        self._end_reason = ""

    @property
    def leader(self) -> int | None:
        """Process id of the running container."""
        process = self.process
        return process.pid if process is not None and process.returncode is None else None

    async def run(self) -> int:
        """Start, and start again as the policy says; the last exit code."""
        crashes = 0
        while True:
            began = asyncio.get_running_loop().time()
            code = await self._run_process()
            if self._stopping or not self._restarts(code):
                return code
            lasted = asyncio.get_running_loop().time() - began
            crashes = 1 if lasted >= STEADY_S else crashes + 1
            await self._back_off(crashes)
            self.state.restart_count += 1

    def _restarts(self, code: int) -> bool:
        policy = self._around.restart_policy
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    async def _back_off(self, crashes: int) -> None:
        self.state.last_state = self.state.state
        if crashes < 2:
            return
        longest_s = self._around.last_backoff_s
        delay_s = min(self._around.first_backoff_s * 2 ** (crashes - 2), longest_s)
        words = f"restarting failed container={self.spec['name']} pod={self._around.pod_label}"
        message = f"back-off {delay_s:g}s {words}"
        self.state.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self._around.changed()
        await self._around.tell("BackOff", f"Back-off {words}", warning=True)
        await asyncio.sleep(delay_s)

    async def _run_process(self) -> int:
        try:
            launch = await self._prepare()
            process = await processes.start(launch)
        except (OSError, ValueError) as error:
            return await self._fail_to_start(error)
        self._launch, self.process, self._end_reason = launch, process, ""
        started_at = now()
        self.state.container_id = f"process://{process.pid}"
        self.state.state = {"running": {"startedAt": started_at}}
        self.state.started = not self.spec.get("startupProbe")
        self.state.ready = self.state.started and not self.spec.get("readinessProbe")
        self._around.changed()
        await self._around.tell("Started", f"Started container {self.spec['name']}")
        watchers = [asyncio.create_task(each) for each in self._watchers(launch, process)]
        try:
            code = processes.exit_code(await process.wait())
        finally:
            for watcher in watchers:
                watcher.cancel()
            # A container's other processes end with its first one.
            processes.signal_session(process.pid, signal.SIGKILL)
        reason = self._end_reason or ("Completed" if code == 0 else "Error")
        self._ended(code, reason, started_at=started_at)
        return code

    async def _prepare(self) -> processes.Launch:
        while True:
            try:
                launch = await self._around.prepare(self.state.restart_count)
            except MissingReference as error:
                waiting = {"reason": "CreateContainerConfigError", "message": str(error)}
                if self.state.state != {"waiting": waiting}:
                    self.state.state = {"waiting": waiting}
                    self._around.changed()
                    await self._around.tell("Failed", f"Error: {error}", warning=True)
                await asyncio.sleep(1.0)
            else:
                name, image = self.spec["name"], self.spec.get("image", "")
                message = f'Container image "{image}" already present on machine'
                await self._around.tell("Pulled", message)
                await self._around.tell("Created", f"Created container: {name}")
                return launch

    async def _fail_to_start(self, error: Exception) -> int:
        self._ended(128, "StartError", started_at=now(), message=str(error))
        await self._around.tell("Failed", f"Error: {error}", warning=True)
        return 128

    def _ended(self, code: int, reason: str, *, started_at: str, message: str = "") -> None:
        terminated = {
            "exitCode": code,
            "reason": reason,
            "startedAt": started_at,
            "finishedAt": now(),
            **({"message": message} if message else {}),
            **({"containerID": self.state.container_id} if self.state.container_id else {}),
        }
        self.state.state = {"terminated": terminated}
        self.state.started = self.state.ready = False
        self._around.changed()

    def _watchers(
        self, launch: processes.Launch, process: asyncio.subprocess.Process
    ) -> list[Coroutine[Any, Any, None]]:
        watchers: list[Coroutine[Any, Any, None]] = [self._probe(launch)]
        if self._around.memory_limit_bytes:
            watchers.append(self._guard_memory(process))
        return watchers

    async def _guard_memory(self, process: asyncio.subprocess.Process) -> None:
        """Kill the container when it really holds more than its limit, as the kernel would."""
        while True:
            if self._around.rss_bytes(process.pid) > self._around.memory_limit_bytes:
                self._end_reason = "OOMKilled"
                processes.signal_session(process.pid, signal.SIGKILL)
                return
            await asyncio.sleep(MEMORY_LOOK_S)

    async def _probe(self, launch: processes.Launch) -> None:
        target = probing.Target(self.spec, self._around.address, launch)
        if self.spec.get("startupProbe"):
            await self._await_startup(target)
        async with asyncio.TaskGroup() as tasks:
            if self.spec.get("livenessProbe"):
                tasks.create_task(self._follow_liveness("Liveness", "livenessProbe", target=target))
            if self.spec.get("readinessProbe"):
                tasks.create_task(self._follow_readiness(target))

    async def _await_startup(self, target: probing.Target) -> None:
        started = asyncio.Event()
        follow = asyncio.create_task(
            self._follow_liveness("Startup", "startupProbe", target=target, on_success=started.set)
        )
        try:
            await started.wait()
        finally:
            follow.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follow
        self.state.started = True
        self.state.ready = not self.spec.get("readinessProbe")
        self._around.changed()

    async def _follow_liveness(
        self,
        title: str,
        field: str,
        *,
        target: probing.Target,
        on_success: Callable[[], None] = lambda: None,
    ) -> None:
        async def dead(_message: str) -> None:
            words = f"Container {self.spec['name']} failed {title.lower()} probe, will be restarted"
            await self._around.tell("Killing", words)
            await self.end(self.spec.get("terminationGracePeriodSeconds", 30))

        await probing.follow(
            self.spec[field],
            target,
            on_success=on_success,
            on_failure=dead,
            on_miss=lambda message: self._unhealthy(title, message),
        )

    async def _follow_readiness(self, target: probing.Target) -> None:
        def set_ready(value: bool) -> None:  # noqa: FBT001 - a setter
            if self.state.ready != value:
                self.state.ready = value
                self._around.changed()

        async def unready(_message: str) -> None:
            set_ready(False)

        await probing.follow(
            self.spec["readinessProbe"],
            target,
            on_success=lambda: set_ready(True),
            on_failure=unready,
            on_miss=lambda message: self._unhealthy("Readiness", message),
        )

    async def _unhealthy(self, title: str, message: str) -> None:
        await self._around.tell("Unhealthy", f"{title} probe failed: {message}", warning=True)

    async def end(self, grace_s: float) -> None:
        """Ask the running process to end, and kill it when the grace period is over."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        processes.signal_session(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            processes.signal_session(process.pid, signal.SIGKILL)
            await process.wait()

    async def stop(self, grace_s: float) -> None:
        """End for good: the pre-stop hook, then the process."""
        self._stopping = True
        if self.leader is None or self._launch is None:
            return
        await self._around.tell("Killing", f"Stopping container {self.spec['name']}")
        began = asyncio.get_running_loop().time()
        hook = (self.spec.get("lifecycle") or {}).get("preStop") or {}
        target = probing.Target(self.spec, self._around.address, self._launch)
        if "sleep" in hook:
            await asyncio.sleep(min(hook["sleep"]["seconds"], grace_s))
        elif hook:
            with contextlib.suppress(probing.ProbeFailed):
                await probing.probe_once({**hook, "timeoutSeconds": grace_s}, target)
        await self.end(max(grace_s - (asyncio.get_running_loop().time() - began), 0.0))
