"""How every control loop runs: a queue of keys, one reconcile at a time, back-off on trouble.

Level-triggered: a key says only that something about an object changed; the reconcile reads the
mirrors and moves the cluster towards what they ask for, so a lost or doubled event does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from anomaly_operator.devcluster.apiclient.mirrors import TROUBLE, ClusterView, Mirror
from anomaly_operator.devcluster.apiclient.resources import (
    JsonObject,
    Key,
    Resource,
    controller_of,
    key_of,
)

FIRST_RETRY_S = 0.1
LAST_RETRY_S = 10.0
RESYNC_S = 30.0  # everything is looked at again this often, so that nothing is missed for ever

logger = logging.getLogger(__name__)


class WorkQueue:
    """Keys waiting to be reconciled; a key waits once however often it is added."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def add(self, key: Key, *, delay_s: float = 0.0) -> None:
        """Ask for a reconcile after a delay, or sooner if that was asked already."""
        due = asyncio.get_running_loop().time() + delay_s
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._changed.set()

    async def take(self) -> Key:
        """Wait for the next key that is due, and remove it."""
        while True:
            self._changed.clear()
            now = asyncio.get_running_loop().time()
            if self._due:
                key, due = min(self._due.items(), key=lambda entry: entry[1])
                if due <= now:
                    del self._due[key]
                    return key
                timeout = due - now
            else:
                timeout = None
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def add_controller_of(self, owned: JsonObject, resource: Resource) -> None:
        """Ask for a reconcile of what controls an object, where that is of a kind."""
        owner = controller_of(owned)
        if owner is not None and owner["kind"] == resource.kind:
            self.add((owned["metadata"]["namespace"], owner["name"]))

    def follow(self, owners: Mirror, owned: Mirror) -> None:
        """Add an object whenever it, or something that it controls, has changed."""

        def on_owner(old: JsonObject | None, new: JsonObject | None) -> None:
            self.add(key_of(new or old or {}))

        def on_owned(old: JsonObject | None, new: JsonObject | None) -> None:
            self.add_controller_of(new or old or {}, owners.resource)

        owners.listeners.append(on_owner)
        owned.listeners.append(on_owned)


class Controller(Protocol):
    """One control loop."""

    queue: WorkQueue

    async def reconcile(self, namespace: str, name: str, /) -> None:
        """Move one object towards what it asks for."""


async def run_controller(
    view: ClusterView, controller: Controller, *, keys: Callable[[], list[Key]]
) -> None:
    """Reconcile for ever; ``keys`` lists what a resync looks at again."""
    await view.synced()
    for key in keys():
        controller.queue.add(key)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_resync(controller.queue, keys))
        tasks.create_task(_work(controller.queue, controller.reconcile))


async def _resync(queue: WorkQueue, keys: Callable[[], list[Key]]) -> None:
    while True:
        await asyncio.sleep(RESYNC_S)
        for key in keys():
            queue.add(key)


async def _work(queue: WorkQueue, reconcile: Callable[[str, str], Awaitable[None]]) -> None:
    failures: dict[Key, int] = {}
    while True:
        key = await queue.take()
        try:
            await reconcile(*key)
        except TROUBLE as error:
            failures[key] = failures.get(key, 0) + 1
            delay_s = min(FIRST_RETRY_S * 2 ** (failures[key] - 1), LAST_RETRY_S)
            logger.debug("reconcile will be retried", extra={"key": key, "error": repr(error)})
            queue.add(key, delay_s=delay_s)
        else:
            failures.pop(key, None)
