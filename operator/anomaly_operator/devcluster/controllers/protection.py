"""Claims and volumes in use are kept: takes off the marks that a real API server puts on.

Admission gives every claim and every volume a finalizer; what is deleted stays until nothing uses
it. Without this loop a deleted claim would stay for ever.
"""

from __future__ import annotations

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    CLAIMS,
    PODS,
    VOLUMES,
    JsonObject,
    Key,
    key_of,
)
from anomaly_operator.devcluster.controllers import templates
from anomaly_operator.devcluster.controllers.loops import WorkQueue

CLAIM_MARK = "kubernetes.io/pvc-protection"
VOLUME_MARK = "kubernetes.io/pv-protection"
FINISHED = {"Succeeded", "Failed"}


class Protection:
    """Frees claims that no pod uses, and volumes that no claim uses; volumes have no namespace."""

    def __init__(self, view: ClusterView) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._claims = view.mirror(CLAIMS)
        self._volumes = view.mirror(VOLUMES)
        self._pods = view.mirror(PODS)
        self._claims.listeners.append(self._on_object)
        self._volumes.listeners.append(self._on_object)
        self._pods.listeners.append(self._on_pod)

    def _on_object(self, _old: JsonObject | None, new: JsonObject | None) -> None:
        if new is not None and templates.is_terminating(new):
            self.queue.add(key_of(new))

    def _on_pod(self, old: JsonObject | None, new: JsonObject | None) -> None:
        for key in claims_of(new or old or {}):
            self.queue.add(key)

    async def reconcile(self, namespace: str, name: str) -> None:
        """Take the mark off one object that is to go and that nothing uses."""
        if namespace:
            claim = self._claims.get(namespace, name)
            users = (
                claims_of(pod)
                for pod in self._pods.in_namespace(namespace)
                if pod.get("status", {}).get("phase") not in FINISHED
            )
            if claim is not None and not any((namespace, name) in keys for keys in users):
                await self._free(claim, CLAIM_MARK)
            return
        volume = self._volumes.get("", name)
        if volume is not None:
            holder = volume["spec"].get("claimRef") or {}
            if self._claims.get(holder.get("namespace", ""), holder.get("name", "")) is None:
                await self._free(volume, VOLUME_MARK)

    async def _free(self, obj: JsonObject, mark: str) -> None:
        marks = obj["metadata"].get("finalizers") or []
        if not templates.is_terminating(obj) or mark not in marks:
            return
        left = [each for each in marks if each != mark]
        resource = CLAIMS if mark == CLAIM_MARK else VOLUMES
        await self._view.patch(resource, obj, patch={"metadata": {"finalizers": left}})


def claims_of(pod: JsonObject) -> set[Key]:
    """Claims that a pod's volumes name."""
    namespace = (pod.get("metadata") or {}).get("namespace", "")
    return {
        (namespace, volume["persistentVolumeClaim"]["claimName"])
        for volume in (pod.get("spec") or {}).get("volumes") or ()
        if "persistentVolumeClaim" in volume
    }
