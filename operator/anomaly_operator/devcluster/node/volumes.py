"""A pod's volumes: folders filled from the API, kept fresh, or handed on from this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from anomaly_operator.devcluster.apiclient.calls import ApiError
from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    CLAIMS,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    VOLUMES,
    JsonObject,
)
from anomaly_operator.devcluster.node.environment import FindData, MissingReference
from anomaly_operator.devcluster.node.paths import PodPaths
from anomaly_operator.devcluster.node.payloads import (
    File,
    downward_files,
    keyed_files,
    object_data,
    write_payload,
)

TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
TOKEN_VOLUME = "kube-api-access"  # noqa: S105 - a name
TOKEN_LIFE_S = 3607  # as the API server's admission asks for
TOKEN_RENEWAL = 0.8  # share of its life after which a token is renewed


def object_finder(view: ClusterView, namespace: str) -> FindData:
    """Look up ConfigMaps and Secrets of one namespace."""

    def find(kind: str, name: str) -> Mapping[str, bytes] | None:
        resource = SECRETS if kind == "Secret" else CONFIG_MAPS
        obj = view.mirror(resource).get(namespace, name)
        return None if obj is None else object_data(obj)

    return find


def with_token_volume(pod: JsonObject, account: JsonObject | None) -> JsonObject:
    """Pod with the volume and mounts of its account's token, as admission adds them.

    The API server's own admission may have added them already, or the pod may not want them.
    """
    spec = pod["spec"]
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = (account or {}).get("automountServiceAccountToken", True)
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    bare = [c for c in containers if TOKEN_MOUNT not in mount_paths(c)]
    if not wanted or not bare:
        return pod
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_LIFE_S}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    mount = {"name": TOKEN_VOLUME, "mountPath": TOKEN_MOUNT, "readOnly": True}

    def mounted(container: JsonObject) -> JsonObject:
        if TOKEN_MOUNT in mount_paths(container):
            return container
        return {**container, "volumeMounts": [*(container.get("volumeMounts") or ()), mount]}

    volume = {"name": TOKEN_VOLUME, "projected": {"sources": sources}}
    changed = {
        "volumes": [*(spec.get("volumes") or ()), volume],
        "containers": [mounted(each) for each in spec["containers"]],
        "initContainers": [mounted(each) for each in spec.get("initContainers") or ()],
    }
    return {**pod, "spec": {**spec, **changed}}


def mount_paths(container: JsonObject) -> list[str]:
    """Where a container mounts volumes."""
    return [mount["mountPath"] for mount in container.get("volumeMounts") or ()]


class PodVolumes:
    """All volumes of one pod; ``refresh`` is called again whenever something may have changed."""

    def __init__(
        self, view: ClusterView, paths: PodPaths, *, allocatable: Mapping[str, str]
    ) -> None:
        self._view = view
        self._paths = paths
        self._allocatable = allocatable
        self._shown: dict[str, dict[str, File]] = {}
        self._tokens: dict[tuple[str, int], tuple[str, float]] = {}
        self._targets: dict[str, Path] = {}

    def target(self, volume: str) -> Path:
        """Folder that a mount of the volume leads to."""
        return self._targets[volume]

    async def refresh(self, pod: JsonObject) -> None:
        """Bring every volume up to date; MissingReference names what is not there."""
        for volume in pod["spec"].get("volumes") or ():
            self._targets[volume["name"]] = await self._place(pod, volume)

    async def _place(self, pod: JsonObject, volume: JsonObject) -> Path:
        folder = self._paths.volume(volume["name"])
        if "persistentVolumeClaim" in volume:
            return self._claimed(pod, volume["persistentVolumeClaim"]["claimName"])
        if "hostPath" in volume:
            return _host_folder(volume["hostPath"])
        files = await self._files(pod, volume)
        if files is None:
            folder.mkdir(parents=True, exist_ok=True)
        elif files != self._shown.get(volume["name"]):
            await asyncio.to_thread(write_payload, folder, files)
            self._shown[volume["name"]] = files
        return folder

    def _claimed(self, pod: JsonObject, name: str) -> Path:
        claim = self._view.mirror(CLAIMS).get(pod["metadata"]["namespace"], name)
        if claim is None or not claim["spec"].get("volumeName"):
            raise MissingReference(f'persistentvolumeclaim "{name}" is not bound')
        volume = self._view.mirror(VOLUMES).get("", claim["spec"]["volumeName"])
        source = (volume or {}).get("spec", {})
        path = (source.get("hostPath") or source.get("local") or {}).get("path")
        if path is None:
            raise MissingReference(f"volume {claim['spec']['volumeName']} is no folder here")
        Path(path).mkdir(parents=True, exist_ok=True)
        return Path(path)

    async def _files(self, pod: JsonObject, volume: JsonObject) -> dict[str, File] | None:
        """Files of a volume that shows API objects; None for one that starts empty."""
        find = object_finder(self._view, pod["metadata"]["namespace"])
        for field, kind, name_field in (
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
        ):
            if field in volume:
                source = volume[field]
                mode = source.get("defaultMode") or 0o644
                return keyed_files(source, kind=kind, name=source[name_field], find=find, mode=mode)
        if "downwardAPI" in volume:
            mode = volume["downwardAPI"].get("defaultMode") or 0o644
            allocatable = self._allocatable
            return downward_files(volume["downwardAPI"], pod, allocatable=allocatable, mode=mode)
        if "projected" in volume:
            return await self._projected(pod, volume["projected"], find=find)
        if "emptyDir" in volume or set(volume) == {"name"}:
            return None
        kinds = ", ".join(sorted(set(volume) - {"name"}))
        raise MissingReference(f"volume {volume['name']}: a stand-in node has no {kinds} volumes")

    async def _projected(
        self, pod: JsonObject, projected: JsonObject, *, find: FindData
    ) -> dict[str, File]:
        mode = projected.get("defaultMode") or 0o644
        files: dict[str, File] = {}
        for source in projected.get("sources") or ():
            if "serviceAccountToken" in source:
                token = await self._token(pod, source["serviceAccountToken"])
                files[source["serviceAccountToken"]["path"]] = File(token.encode(), mode)
            for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
                if field in source:
                    name = source[field]["name"]
                    files |= keyed_files(source[field], kind=kind, name=name, find=find, mode=mode)
            if "downwardAPI" in source:
                files |= downward_files(
                    source["downwardAPI"], pod, allocatable=self._allocatable, mode=mode
                )
        return files

    async def _token(self, pod: JsonObject, source: JsonObject) -> str:
        audience, life_s = source.get("audience", ""), source.get("expirationSeconds", 3600)
        token, renew_at = self._tokens.get((audience, life_s), ("", 0.0))
        if time.time() < renew_at:
            return token
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName") or "default"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": account, "namespace": metadata["namespace"]},
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": life_s,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        try:
            answer = await self._view.client.create(
                SERVICE_ACCOUNTS, request, subresource="token", name=account
            )
        except ApiError as error:
            raise MissingReference(f"no token for service account {account}: {error}") from error
        token = str(answer["status"]["token"])
        expiry = datetime.fromisoformat(answer["status"]["expirationTimestamp"]).timestamp()
        now = time.time()
        self._tokens[audience, life_s] = (token, now + TOKEN_RENEWAL * (expiry - now))
        return token


def _host_folder(source: JsonObject) -> Path:
    path = Path(source["path"])
    if source.get("type") == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        raise MissingReference(f"hostPath type check failed: {path} does not exist")
    return path
