"""Owner garbage collection: what is left without an owner goes, in the manner the deleter chose.

Background: the owner goes at once, its dependents after it. Foreground: the owner waits, under a
finalizer, for dependents that block it. Orphan: dependents lose the reference and stay.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from anomaly_operator.devcluster.apiclient.mirrors import TROUBLE, ClusterView, Listener
from anomaly_operator.devcluster.apiclient.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    EVENTS,
    JsonObject,
    Key,
    Resource,
    key_of,
)
from anomaly_operator.devcluster.controllers import templates
from anomaly_operator.devcluster.controllers.discovering import discover
from anomaly_operator.devcluster.controllers.loops import WorkQueue

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
DISCOVERY_PERIOD_S = 10.0
Place = tuple[Resource, Key]


class GarbageCollector:
    """Mirrors every collection, knows who depends on whom, and deletes what lost its owners."""

    def __init__(self, view: ClusterView) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._known: dict[str, Resource] = {}  # "group/plural" -> collection
        self._dependents: dict[str, set[Place]] = defaultdict(set)  # owner's uid -> who names it
        self._rediscover = asyncio.Event()
        view.mirror(CUSTOM_RESOURCE_DEFINITIONS).listeners.append(self._on_definition)

    def _on_definition(self, _old: JsonObject | None, _new: JsonObject | None) -> None:
        self._rediscover.set()

    def keys(self) -> list[Key]:
        """Every object that has an owner, or is to go in a manner we must carry out."""
        return [
            _queue_key(resource, key)
            for resource in self._known.values()
            for key, obj in self._view.mirror(resource).objects.items()
            if obj["metadata"].get("ownerReferences") or _is_ours_to_end(obj)
        ]

    async def follow_discovery(self) -> None:
        """Keep the set of mirrored collections what the server has; ends only by cancellation."""
        while True:
            self._rediscover.clear()
            try:
                served = {_name(each): each for each in await discover(self._view.client)}
            except TROUBLE:
                served = self._known
            for name in set(self._known) - set(served):
                self._view.forget(self._known.pop(name))
            for name in set(served) - set(self._known):
                if served[name][:3] == EVENTS[:3]:
                    continue  # events are never owned; mirroring them would only cost
                self._known[name] = served[name]
                self._view.mirror(served[name]).listeners.append(self._listener(served[name]))
                for obj in list(self._view.mirror(served[name]).objects.values()):
                    self._listener(served[name])(None, obj)
            try:
                async with asyncio.timeout(DISCOVERY_PERIOD_S):
                    await self._rediscover.wait()
                await asyncio.sleep(0.2)  # a definition is served a moment after it is accepted
            except TimeoutError:
                continue

    def _listener(self, resource: Resource) -> Listener:
        def on_change(old: JsonObject | None, new: JsonObject | None) -> None:
            obj = new or old or {}
            place = (resource, key_of(obj))
            for reference in (old or {}).get("metadata", {}).get("ownerReferences") or ():
                self._dependents[reference["uid"]].discard(place)
            for reference in (new or {}).get("metadata", {}).get("ownerReferences") or ():
                self._dependents[reference["uid"]].add(place)
            uid = obj["metadata"].get("uid", "")
            if new is None:
                # Dependents look for themselves whether an owner is left; owners under a
                # foreground deletion look whether they may go.
                for dependent in self._dependents.pop(uid, set()):
                    self.queue.add(_queue_key(*dependent))
                self._wake_owners(obj)
            elif new["metadata"].get("ownerReferences") or _is_ours_to_end(new):
                self.queue.add(_queue_key(*place))

        return on_change

    def _wake_owners(self, obj: JsonObject) -> None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            resource = self._resource_of(reference)
            if resource is not None:
                namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
                self.queue.add(_queue_key(resource, (namespace, reference["name"])))

    def _resource_of(self, reference: JsonObject) -> Resource | None:
        group = reference["apiVersion"].rpartition("/")[0]
        for resource in self._known.values():
            if resource.kind == reference["kind"] and resource.group == group:
                return resource
        return None

    async def reconcile(self, collection: str, path: str) -> None:
        """Look at one object: carry out its deletion, or delete it when its owners are gone."""
        resource = self._known.get(collection)
        namespace, _, name = path.partition("/")
        obj = self._view.mirror(resource).get(namespace, name) if resource else None
        if resource is None or obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or ()
        if templates.is_terminating(obj):
            if ORPHAN in finalizers:
                await self._release_dependents(obj)
                await self._drop_finalizer(resource, obj, finalizer=ORPHAN)
            elif FOREGROUND in finalizers and not await self._end_dependents(obj):
                await self._drop_finalizer(resource, obj, finalizer=FOREGROUND)
            return
        await self._judge_owners(resource, obj)

    async def _judge_owners(self, resource: Resource, obj: JsonObject) -> None:
        references = obj["metadata"].get("ownerReferences") or []
        there, waiting, gone = [], [], []
        for reference in references:
            owner = await self._owner(obj, reference)
            if owner is None:
                gone.append(reference)
            elif templates.is_terminating(owner) and FOREGROUND in (
                owner["metadata"].get("finalizers") or ()
            ):
                waiting.append(reference)
            else:
                there.append(reference)
        if not references or (not gone and not waiting):
            return
        if not there:
            # An owner that waits for its dependents wants theirs to be gone before them, too.
            propagation = "Foreground" if waiting and self._names(obj) else "Background"
            await self._view.delete(resource, obj, propagation=propagation)
        elif gone:
            patch = {"metadata": {"ownerReferences": there + waiting, **_version(obj)}}
            await self._view.patch(resource, obj, patch=patch)

    async def _owner(self, obj: JsonObject, reference: JsonObject) -> JsonObject | None:
        resource = self._resource_of(reference)
        if resource is None:
            # A kind we do not know may be served in a moment: judge as if the owner were there.
            return {"metadata": {}}
        namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
        seen = self._view.mirror(resource).get(namespace, reference["name"])
        if seen is None or seen["metadata"]["uid"] != reference["uid"]:
            seen = await self._view.client.find(resource, namespace, reference["name"])
        if seen is None or seen["metadata"]["uid"] != reference["uid"]:
            return None
        return seen

    def _names(self, owner: JsonObject) -> list[tuple[Resource, JsonObject]]:
        found = []
        for resource, key in self._dependents.get(owner["metadata"]["uid"], ()):
            dependent = self._view.mirror(resource).get(*key)
            if dependent is not None:
                found.append((resource, dependent))
        return found

    async def _end_dependents(self, owner: JsonObject) -> bool:
        """Delete what depends on the owner; whether something that blocks it is still there."""
        blocked = False
        for resource, dependent in self._names(owner):
            if not templates.is_terminating(dependent):
                await self._view.delete(resource, dependent, propagation="Foreground")
            reference = _reference_to(dependent, owner)
            blocked = blocked or bool(reference.get("blockOwnerDeletion"))
        return blocked

    async def _release_dependents(self, owner: JsonObject) -> None:
        for resource, dependent in self._names(owner):
            uid = owner["metadata"]["uid"]
            kept = [r for r in dependent["metadata"]["ownerReferences"] if r["uid"] != uid]
            patch = {"metadata": {"ownerReferences": kept or None, **_version(dependent)}}
            await self._view.patch(resource, dependent, patch=patch)

    async def _drop_finalizer(self, resource: Resource, obj: JsonObject, *, finalizer: str) -> None:
        kept = [each for each in obj["metadata"]["finalizers"] if each != finalizer]
        patch = {"metadata": {"finalizers": kept or None, **_version(obj)}}
        try:
            await self._view.patch(resource, obj, patch=patch)
        except TROUBLE as error:
            if not getattr(error, "is_gone", False):
                raise


def _is_ours_to_end(obj: JsonObject) -> bool:
    finalizers = obj["metadata"].get("finalizers") or ()
    return templates.is_terminating(obj) and (FOREGROUND in finalizers or ORPHAN in finalizers)


def _reference_to(dependent: JsonObject, owner: JsonObject) -> JsonObject:
    for reference in dependent["metadata"].get("ownerReferences") or ():
        if reference["uid"] == owner["metadata"]["uid"]:
            found: JsonObject = reference
            return found
    return {}


def _version(obj: JsonObject) -> JsonObject:
    # Lists are replaced whole by a merge patch, so it must not hit a newer object.
    return {"resourceVersion": obj["metadata"]["resourceVersion"]}


def _name(resource: Resource) -> str:
    return f"{resource.group}/{resource.plural}"


def _queue_key(resource: Resource, key: Key) -> Key:
    return _name(resource), "/".join(key)
