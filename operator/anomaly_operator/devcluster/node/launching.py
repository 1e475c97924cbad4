"""What a container's process is started with: command, variables, files in their places."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.devcluster.node import environment, volumes
from anomaly_operator.devcluster.node.paths import PodPaths, link_mount, rewrite
from anomaly_operator.devcluster.node.processes import Launch
from anomaly_operator.devcluster.node.settings import RUN_MARK, NodeSettings

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - what containers say when they mean "the pod's address"
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


@dataclass(frozen=True, slots=True)
class Launcher:
    """Prepares the starts of one pod's containers."""

    settings: NodeSettings
    view: ClusterView
    paths: PodPaths
    volumes: volumes.PodVolumes
    address: str
    allocatable: dict[str, str]

    async def prepare(self, pod: JsonObject, spec: JsonObject, *, restart: int) -> Launch:
        """Put a container's mounts in place and say what to start, or raise MissingReference."""
        root = self.paths.root(spec["name"])
        root.mkdir(parents=True, exist_ok=True)
        for mount in spec.get("volumeMounts") or ():
            target = self.volumes.target(mount["name"])
            if mount.get("subPath"):
                target /= mount["subPath"]
                if not target.exists():
                    target.mkdir(parents=True)
            await asyncio.to_thread(link_mount, root, mount["mountPath"], target=target)
        mounts = volumes.mount_paths(spec)
        values = environment.container_environment(
            pod,
            spec,
            base=self._base_environment(pod, root, mounts=mounts),
            find=volumes.object_finder(self.view, pod["metadata"]["namespace"]),
            allocatable=self.allocatable,
        )
        named = {entry["name"] for entry in spec.get("env") or ()}
        for name in named & set(values):
            values[name] = self._localise(values[name], mounts, root=root)
        command = [environment.expand(text, values) for text in spec.get("command") or ()]
        args = [environment.expand(text, values) for text in spec.get("args") or ()]
        local = [self._localise(text, mounts, root=root) for text in [*command, *args]]
        argv = local if command else [*self._entry_point(spec), *local]
        resolved = shutil.which(argv[0], path=values["PATH"]) or argv[0]
        folder = root / spec.get("workingDir", "/").strip("/")
        log = self.paths.log(spec["name"], restart)
        return Launch((resolved, *argv[1:]), values, folder, log)

    def _localise(self, text: str, mounts: list[str], *, root: Path) -> str:
        return rewrite(text, mounts, root=root).replace(ANY_ADDRESS, self.address)

    def _entry_point(self, spec: JsonObject) -> tuple[str, ...]:
        image = spec.get("image", "")
        for part, entry_point in self.settings.images.items():
            if part in image:
                return entry_point
        known = ", ".join(self.settings.images)
        raise ValueError(
            f"container {spec['name']}: no command, and image {image!r} is none of those a "
            f"stand-in node knows an entry point of ({known}); set command"
        )

    def _base_environment(
        self, pod: JsonObject, root: Path, *, mounts: list[str]
    ) -> dict[str, str]:
        metadata, spec = pod["metadata"], pod["spec"]
        server = urlsplit(self.view.client.access.server)
        home = self.paths.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        values = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(home),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "HOSTNAME": spec.get("hostname") or metadata["name"],
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port or 443),
            RUN_MARK: self.settings.run_id,
        }
        if volumes.TOKEN_MOUNT in mounts:
            values["KUBECONFIG"] = str(self._write_kubeconfig(pod, root))
            values["ANOMALY_SERVICE_ACCOUNT"] = str(root / volumes.TOKEN_MOUNT.strip("/"))
        return values

    def _write_kubeconfig(self, pod: JsonObject, root: Path) -> Path:
        """Write what in-cluster configuration says, where clients without its files look."""
        token_folder = root / volumes.TOKEN_MOUNT.strip("/")
        access = self.view.client.access
        cluster: JsonObject = {"server": access.server}
        if access.insecure:
            cluster["insecure-skip-tls-verify"] = True
        elif access.server.startswith("https:"):
            cluster["certificate-authority"] = str(token_folder / "ca.crt")
        context = {
            "cluster": "cluster",
            "user": "pod",
            "namespace": pod["metadata"]["namespace"],
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"tokenFile": str(token_folder / "token")}}],
            "contexts": [{"name": "pod", "context": context}],
            "current-context": "pod",
        }
        path = root.parent / "kubeconfig"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    def with_local_commands(self, spec: JsonObject) -> JsonObject:
        """Container whose probes and hooks name files where they are on this machine."""
        root, mounts = self.paths.root(spec["name"]), volumes.mount_paths(spec)

        def local(action: JsonObject) -> JsonObject:
            if "exec" not in action:
                return action
            command = [
                self._localise(text, mounts, root=root) for text in action["exec"]["command"]
            ]
            return {**action, "exec": {"command": command}}

        changed = {name: local(spec[name]) for name in PROBES if spec.get(name)}
        hooks = spec.get("lifecycle") or {}
        if hooks.get("preStop"):
            changed["lifecycle"] = {**hooks, "preStop": local(hooks["preStop"])}
        return {**spec, **changed}
