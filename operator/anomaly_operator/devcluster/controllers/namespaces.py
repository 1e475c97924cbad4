"""Deletion of namespaces: content first, then the namespace itself."""

from __future__ import annotations

from anomaly_operator.devcluster.apiclient.calls import ApiError
from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import NAMESPACES, JsonObject, key_of
from anomaly_operator.devcluster.controllers import templates
from anomaly_operator.devcluster.controllers.discovering import discover
from anomaly_operator.devcluster.controllers.loops import WorkQueue

LOOK_AGAIN_S = 0.5


class NamespaceDeletion:
    """Deletes everything in a namespace that is to go, and lets it go once it is empty."""

    def __init__(self, view: ClusterView) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._namespaces = view.mirror(NAMESPACES)
        self._namespaces.listeners.append(self._on_namespace)

    def _on_namespace(self, _old: JsonObject | None, new: JsonObject | None) -> None:
        if new is not None and templates.is_terminating(new):
            self.queue.add(key_of(new))

    async def reconcile(self, _namespace: str, name: str) -> None:
        """Empty one namespace; asks for another look while something is left."""
        namespace = await self._view.client.find(NAMESPACES, "", name)
        if namespace is None or not templates.is_terminating(namespace):
            return
        left = 0
        for resource in await discover(self._view.client):
            if not resource.namespaced:
                continue
            try:
                items = (await self._view.client.list(resource, name)).get("items") or []
            except ApiError as error:
                if error.is_gone:
                    continue  # the kind itself has gone
                raise
            left += len(items)
            for item in items:
                if not templates.is_terminating(item):
                    await self._view.client.delete(resource, *key_of(item))
        if left:
            self.queue.add(("", name), delay_s=LOOK_AGAIN_S)
            return
        finalizers = [f for f in namespace["spec"].get("finalizers") or () if f != "kubernetes"]
        namespace["spec"]["finalizers"] = finalizers
        try:
            await self._view.client.replace(NAMESPACES, namespace, subresource="finalize")
        except ApiError as error:
            if not error.is_gone:
                raise
