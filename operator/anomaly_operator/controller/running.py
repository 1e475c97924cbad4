"""The operator as a whole: mirror, queue, timers, web server, and kopf beside them in one loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import kopf
from prometheus_client import Gauge

from anomaly_operator.adapters.kube import Kube, KubeError
from anomaly_operator.controller.alert_rules import keep_alert_rules
from anomaly_operator.controller.first_source import create_first_source
from anomaly_operator.controller.handling import registry
from anomaly_operator.controller.mirroring import Mirror
from anomaly_operator.controller.queueing import Queue
from anomaly_operator.controller.reconciling import Reconciler
from anomaly_operator.controller.serving import serving
from anomaly_operator.controller.telemetry import Telemetry
from anomaly_operator.reconcile.configuration import OperatorConfig

logger = logging.getLogger(__name__)

_WORKERS = 4  # looks under way at once; each is a few requests
_RETRY_S = 5.0  # while the CRDs or the API server are not there
_REFERENTS = "filters and sources"  # a key of the queue that is no detector
_REFERENTS_S = 1.0  # they come in one apply with their detectors; one count does for all
_WATCHER = "watcher for anomalydetectors."  # kopf's name of the task that watches detectors


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the operator's own web server listens."""

    address: str
    port: int


class Controller:
    """Everything that runs, and what of it is established."""

    def __init__(self, api: Kube, config: OperatorConfig) -> None:
        self._api = api
        self._config = config
        self.telemetry = Telemetry()
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(_WORKERS + 1, thread_name_prefix="reconcile")
        self._queue = Queue(self._look, workers=_WORKERS)
        self._synced = asyncio.Event()
        self._mirror = Mirror(
            api,
            namespace=config.namespace,
            changed=self._child_changed,
            synced=self._children_known,
        )
        self._reconciler = Reconciler(api, self._mirror, config=config, telemetry=self.telemetry)
        self._listed = False
        waiting = Gauge(
            "anomaly_operator_queue_length",
            "Detectors that wait to be looked at, now or for later.",
            registry=self.telemetry.registry,
        )
        waiting.set_function(lambda: len(self._queue))

    def trigger(self, key: str) -> None:
        """Look at one detector soon."""
        self._queue.trigger(key)

    def trigger_referents(self) -> None:
        """Count anew who uses which filter and source."""
        self._queue.trigger(_REFERENTS, after_s=_REFERENTS_S)

    def trigger_namespace(self, namespace: str) -> None:
        """Look at all known detectors of a namespace soon; "" is all there are."""
        for key in self.telemetry.known():
            if not namespace or key.startswith(f"{namespace}/"):
                self._queue.trigger(key)

    def missing(self) -> list[str]:
        """Name what is not established yet; empty is ready."""
        found = []
        if not self._mirror.synced:
            found.append("lists of workers")
        if not self._listed:
            found.append("the list of detectors")
        if not any(task.get_name().startswith(_WATCHER) for task in asyncio.all_tasks()):
            found.append("the watch of detectors")
        return found

    async def resync(self) -> None:
        """Look at everything at start, and again on a timer; sweep what nobody owns."""
        while True:
            try:
                await self._in_thread(create_first_source, self._api, self._config)
                await self._in_thread(keep_alert_rules, self._api, self._config)
                for key in await self._in_thread(self._reconciler.detectors):
                    self._queue.trigger(key)
                self.trigger_referents()
            except KubeError as error:
                logger.warning("cannot list detectors: %s", error)
                await asyncio.sleep(_RETRY_S)
                continue
            self._listed = True
            await asyncio.sleep(self._config.resync_interval_s)

    async def run(self, listening: Listening) -> None:
        """Run until told to stop by SIGTERM or SIGINT; raises where a part of it died."""
        self._mirror.start()
        stopping = asyncio.Event()
        async with serving(
            listening.address,
            listening.port,
            registry=self.telemetry.registry,
            missing=self.missing,
        ) as port:
            logger.info("serving /metrics, /healthz and /readyz on %s:%d", listening.address, port)
            # kopf ends every task that is younger than itself, so ours are older.
            ours = [
                asyncio.create_task(_guarded(part, stopping), name=name)
                for name, part in (
                    ("queue", self._start_when_listed()),
                    ("resync", self._resync_when_listed()),
                )
            ]
            await asyncio.sleep(0)
            try:
                await kopf.operator(
                    registry=registry(self, self._api.access),
                    clusterwide=True,
                    standalone=True,
                    stop_flag=stopping,
                )
            finally:
                await self._end(ours)

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        self._mirror.stop()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _start_when_listed(self) -> None:
        # Before the children are known every one of them would be applied again.
        await self._synced.wait()
        await self._queue.run()

    async def _resync_when_listed(self) -> None:
        await self._synced.wait()
        await self.resync()

    async def _look(self, key: str) -> float | None:
        if key == _REFERENTS:
            await self._in_thread(self._reconciler.report_referents)
            return None
        again_s: float | None = await self._in_thread(self._reconciler.reconcile, key)
        return again_s

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await self._loop.run_in_executor(self._threads, function, *arguments)

    def _child_changed(self, key: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._queue.trigger, key)

    def _children_known(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._synced.set)


async def _guarded(part: Coroutine[Any, Any, None], stopping: asyncio.Event) -> None:
    """Run a part; where it dies, everything ends, and Kubernetes starts the operator again."""
    try:
        await part
    except asyncio.CancelledError:
        raise
    except Exception:
        logger.exception("a part of the operator died")
        stopping.set()
        raise


async def run(api: Kube, config: OperatorConfig, listening: Listening) -> None:
    """Run the operator until it is told to stop."""
    await Controller(api, config).run(listening)
