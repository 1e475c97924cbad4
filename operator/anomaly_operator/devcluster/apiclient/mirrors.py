"""Local copies of collections, kept by list and watch; what every control loop decides from.

A loop that has just written must not decide from a copy that has not seen the write yet (it would
create the same pod twice), so answers to our own writes are noted in the copy at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator

import aiohttp

from anomaly_operator.devcluster.apiclient.calls import ApiClient, ApiError
from anomaly_operator.devcluster.apiclient.crews import TaskStarter
from anomaly_operator.devcluster.apiclient.resources import JsonObject, Key, Resource, key_of

RETRY_S = 0.5  # the server restarts within seconds in tests; longer waits would dominate them
REMEMBERED_DELETIONS = 1000
TROUBLE = (ApiError, aiohttp.ClientError, asyncio.TimeoutError, ConnectionError)

Listener = Callable[[JsonObject | None, JsonObject | None], None]
logger = logging.getLogger(__name__)


class Mirror:
    """One collection as last seen; listeners get (old, new) of every change, None where absent."""

    def __init__(self, client: ApiClient, resource: Resource, *, field_selector: str = "") -> None:
        self.resource = resource
        self.objects: dict[Key, JsonObject] = {}
        self.synced = asyncio.Event()
        self.listeners: list[Listener] = []
        self._client = client
        self._field_selector = field_selector
        # An answer to a write can come in after the watch has told of the deletion.
        self._dropped: deque[str] = deque(maxlen=REMEMBERED_DELETIONS)

    def get(self, namespace: str, name: str) -> JsonObject | None:
        """Object by name, or None."""
        return self.objects.get((namespace, name))

    def in_namespace(self, namespace: str) -> Iterator[JsonObject]:
        """Objects of one namespace, in a fixed copy that survives changes during iteration."""
        return iter([obj for (space, _), obj in self.objects.items() if space == namespace])

    async def wait_for(self, namespace: str, name: str) -> JsonObject:
        """Object by name, as soon as there is one."""
        appeared = asyncio.Event()

        def on_change(_old: JsonObject | None, new: JsonObject | None) -> None:
            if new is not None and key_of(new) == (namespace, name):
                appeared.set()

        self.listeners.append(on_change)
        try:
            while (found := self.get(namespace, name)) is None:
                appeared.clear()
                await appeared.wait()
        finally:
            self.listeners.remove(on_change)
        return found

    def note(self, obj: JsonObject) -> None:
        """Take in the answer to a write of our own, ahead of the watch."""
        if obj.get("kind") != self.resource.kind or obj["metadata"].get("uid") in self._dropped:
            return
        self._store(obj)

    async def run(self) -> None:
        """List, watch, and list again when the watch is too old; ends only by cancellation."""
        while True:
            try:
                version = await self._list()
                self.synced.set()
                while True:
                    version = await self._follow(version)
            except TROUBLE as error:
                if not (isinstance(error, ApiError) and error.status == 410):
                    logger.debug("mirror interrupted", extra={"error": repr(error)})
                    await asyncio.sleep(RETRY_S)

    async def _list(self) -> str:
        answer = await self._client.list(self.resource, field_selector=self._field_selector)
        seen: set[Key] = set()
        for item in answer.get("items") or ():
            seen.add(key_of(item))
            self._store(item)
        for key in set(self.objects) - seen:
            self._drop(key)
        version: str = answer["metadata"]["resourceVersion"]
        return version

    async def _follow(self, version: str) -> str:
        events = self._client.watch(self.resource, version, field_selector=self._field_selector)
        async with contextlib.aclosing(events) as stream:
            async for event in stream:
                obj = event["object"]
                version = obj["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._drop(key_of(obj), uid=obj["metadata"].get("uid", ""))
                elif event["type"] in {"ADDED", "MODIFIED"}:
                    self._store(obj)
        return version

    def _store(self, obj: JsonObject) -> None:
        key = key_of(obj)
        old = self.objects.get(key)
        if old is not None and _version(obj) <= _version(old):
            return
        self.objects[key] = obj
        self._tell(old, obj)

    def _drop(self, key: Key, *, uid: str = "") -> None:
        old = self.objects.get(key)
        if old is None or (uid and old["metadata"].get("uid") != uid):
            return
        del self.objects[key]
        self._dropped.append(old["metadata"].get("uid", ""))
        self._tell(old, None)

    def _tell(self, old: JsonObject | None, new: JsonObject | None) -> None:
        for listener in self.listeners:
            listener(old, new)


def _version(obj: JsonObject) -> int:
    # Opaque by contract, a growing integer in fact (and by contract since Kubernetes 1.35).
    return int(obj["metadata"].get("resourceVersion") or 0)


class ClusterView:
    """All mirrors of one client, started when first asked for, and writes that go through them."""

    def __init__(self, client: ApiClient, tasks: TaskStarter) -> None:
        self.client = client
        self._tasks = tasks
        self._mirrors: dict[Resource, Mirror] = {}
        self._running: dict[Resource, asyncio.Task[None]] = {}

    def mirror(self, resource: Resource) -> Mirror:
        """Mirror of a collection; its first use starts it."""
        if resource not in self._mirrors:
            self._mirrors[resource] = Mirror(self.client, resource)
            self._running[resource] = self._tasks.create_task(self._mirrors[resource].run())
        return self._mirrors[resource]

    def forget(self, resource: Resource) -> None:
        """Stop mirroring a collection that no longer exists."""
        self._mirrors.pop(resource, None)
        task = self._running.pop(resource, None)
        if task is not None:
            task.cancel()

    async def synced(self) -> None:
        """Wait until every mirror has its first list."""
        for mirror in list(self._mirrors.values()):
            await mirror.synced.wait()

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject:
        """Create, and note the answer."""
        answer = await self.client.create(resource, obj)
        self.mirror(resource).note(answer)
        return answer

    async def replace_status(self, resource: Resource, obj: JsonObject) -> None:
        """Write the status subresource, unless the mirror shows exactly this status already."""
        seen = self.mirror(resource).get(*key_of(obj))
        if seen is not None and seen.get("status") == obj.get("status"):
            return
        self.mirror(resource).note(await self.client.replace(resource, obj, subresource="status"))

    async def patch(
        self,
        resource: Resource,
        obj: JsonObject,
        *,
        patch: JsonObject,
        subresource: str = "",
    ) -> JsonObject:
        """Merge-patch, and note the answer."""
        answer = await self.client.patch(
            resource, *key_of(obj), patch=patch, subresource=subresource
        )
        self.mirror(resource).note(answer)
        return answer

    async def delete(
        self, resource: Resource, obj: JsonObject, *, propagation: str = "Background"
    ) -> None:
        """Delete exactly this object, and note the answer when it lives on for a while."""
        answer = await self.client.delete(
            resource, *key_of(obj), uid=obj["metadata"]["uid"], propagation=propagation
        )
        if answer is None or answer.get("kind") == "Status":
            return
        if answer["metadata"].get("deletionTimestamp"):
            self.mirror(resource).note(answer)
