"""Volume claims get a folder of this machine, where their storage class is ours."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    CLAIMS,
    STORAGE_CLASSES,
    VOLUMES,
    JsonObject,
    key_of,
)
from anomaly_operator.devcluster.controllers import templates
from anomaly_operator.devcluster.controllers.events import EventRecorder
from anomaly_operator.devcluster.controllers.loops import WorkQueue

PROVISIONER = "devcluster.anomaly-operator.dev/local-folder"
DEFAULT_CLASS_MARK = "storageclass.kubernetes.io/is-default-class"


def render_storage_class(name: str, *, provisioner: str = PROVISIONER) -> JsonObject:
    """Storage class; ours is the default one, and any other provisioner never binds here."""
    is_default = "true" if provisioner == PROVISIONER else "false"
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {DEFAULT_CLASS_MARK: is_default}},
        "provisioner": provisioner,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


class Claims:
    """Provisions a folder for a claim, binds both, and removes the folder with the claim."""

    def __init__(self, view: ClusterView, *, folder: Path) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._folder = folder
        self._claims = view.mirror(CLAIMS)
        self._volumes = view.mirror(VOLUMES)
        self._classes = view.mirror(STORAGE_CLASSES)
        self._events = EventRecorder(view.client, component="persistentvolume-controller")
        self._claims.listeners.append(self._on_claim)
        self._classes.listeners.append(self._on_class)

    def _on_claim(self, old: JsonObject | None, new: JsonObject | None) -> None:
        self.queue.add(key_of(new or old or {}))

    def _on_class(self, _old: JsonObject | None, _new: JsonObject | None) -> None:
        for key in self._claims.objects:
            self.queue.add(key)

    async def reconcile(self, namespace: str, name: str) -> None:
        """Bind one claim, or say why it waits; free what belongs to a claim that is gone."""
        claim = self._claims.get(namespace, name)
        if claim is None:
            await self._release(namespace, name)
        elif not templates.is_terminating(claim) and not _is_bound(claim):
            await self._bind(claim)

    async def _bind(self, claim: JsonObject) -> None:
        storage_class = self._class_of(claim)
        if storage_class is None:
            message = (
                "no persistent volumes available for this claim and no storage class is set"
                if not claim["spec"].get("storageClassName")
                else f'storageclass.storage.k8s.io "{claim["spec"]["storageClassName"]}" not found'
            )
            reason = (
                "ProvisioningFailed" if claim["spec"].get("storageClassName") else "FailedBinding"
            )
            await self._wait(claim, reason, message)
            return
        if storage_class["provisioner"] != PROVISIONER:
            message = (
                "Waiting for a volume to be created either by the external provisioner "
                f"'{storage_class['provisioner']}' or manually by the system administrator."
            )
            await self._wait(claim, "ExternalProvisioning", message)
            return
        volume_name = f"pvc-{claim['metadata']['uid']}"
        if self._volumes.get("", volume_name) is None:
            await self._view.create(VOLUMES, self._render_volume(claim, storage_class))
            await self._mark_bound(VOLUMES_BOUND, volume_name)
        if not claim["spec"].get("volumeName"):
            # The class of a claim that names none was filled in by admission where there is one.
            patch: JsonObject = {"spec": {"volumeName": volume_name}}
            claim = await self._view.patch(CLAIMS, claim, patch=patch)
        status = {
            "phase": "Bound",
            "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        }
        await self._view.patch(CLAIMS, claim, patch={"status": status}, subresource="status")
        message = f"Successfully provisioned volume {volume_name}"
        await self._events.record(claim, "ProvisioningSucceeded", message=message)

    async def _mark_bound(self, patch: JsonObject, volume_name: str) -> None:
        volume = self._volumes.get("", volume_name)
        if volume is not None:
            await self._view.patch(VOLUMES, volume, patch=patch, subresource="status")

    async def _wait(self, claim: JsonObject, reason: str, message: str) -> None:
        if not (claim.get("status") or {}).get("phase"):
            patch = {"status": {"phase": "Pending"}}
            await self._view.patch(CLAIMS, claim, patch=patch, subresource="status")
        warning = reason == "ProvisioningFailed"
        await self._events.record(claim, reason, message=message, warning=warning)

    def _class_of(self, claim: JsonObject) -> JsonObject | None:
        if claim["spec"].get("storageClassName"):
            return self._classes.get("", claim["spec"]["storageClassName"])
        for candidate in self._classes.objects.values():
            annotations = candidate["metadata"].get("annotations") or {}
            if annotations.get(DEFAULT_CLASS_MARK) == "true":
                return candidate
        return None

    def _render_volume(self, claim: JsonObject, storage_class: JsonObject) -> JsonObject:
        name = f"pvc-{claim['metadata']['uid']}"
        path = self._folder / name
        path.mkdir(parents=True, exist_ok=True)
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
                "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": storage_class["metadata"]["name"],
                "hostPath": {"path": str(path), "type": "DirectoryOrCreate"},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": claim["metadata"]["namespace"],
                    "name": claim["metadata"]["name"],
                    "uid": claim["metadata"]["uid"],
                },
            },
        }

    async def _release(self, namespace: str, name: str) -> None:
        for volume in list(self._volumes.objects.values()):
            reference = volume["spec"].get("claimRef") or {}
            if (reference.get("namespace"), reference.get("name")) != (namespace, name):
                continue
            path = Path((volume["spec"].get("hostPath") or {}).get("path", ""))
            await self._view.delete(VOLUMES, volume)
            if path.parent == self._folder:  # never anything but a folder of our own making
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


VOLUMES_BOUND: JsonObject = {"status": {"phase": "Bound"}}


def _is_bound(claim: JsonObject) -> bool:
    return (claim.get("status") or {}).get("phase") == "Bound"
