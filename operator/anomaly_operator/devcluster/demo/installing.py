"""Applies manifests as ``kubectl apply -k`` would, for machines that have no kubectl.

Of kustomize only what our own manifests use is understood: resources, a namespace for all, and
ConfigMaps made of files.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    JsonObject,
    Resource,
)
from anomaly_operator.devcluster.controllers.discovering import discover
from anomaly_operator.devcluster.controllers.templates import condition_status
from anomaly_operator.errors import AnomalyOperatorError

FIELD_MANAGER = "anomaly-demo"
ESTABLISH_S = 20.0
# Kinds that others need to be there: everything else is applied after them.
FIRST = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "Role")


class ManifestsMissing(AnomalyOperatorError):
    """The demo was not started from the project's folder, nor told where it is."""


def find_project() -> Path:
    """Folder that holds crds/ and manifests/: where this package was installed from, or here."""
    for folder in (Path(__file__).parents[4], Path.cwd()):
        if (folder / "manifests" / "base" / "kustomization.yaml").is_file():
            return folder
    raise ManifestsMissing(
        f"manifests/base is neither in {Path(__file__).parents[4]} nor in {Path.cwd()}; start the "
        "demo in the project's folder"
    )


def read_kustomization(folder: Path) -> list[JsonObject]:
    """Documents of a kustomization, in the order to apply them."""
    text = (folder / "kustomization.yaml").read_text(encoding="utf-8")
    kustomization: dict[str, Any] = yaml.safe_load(text)
    found: list[JsonObject] = []
    for name in kustomization.get("resources") or ():
        path = folder / name
        if path.is_dir():
            found += read_kustomization(path)
        else:
            documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
            found += [each for each in documents if each]
    found += [_generated(folder, entry) for entry in kustomization.get("configMapGenerator") or ()]
    namespace = kustomization.get("namespace")
    if namespace:
        found = [_in_namespace(each, namespace) for each in found]
    rank = {kind: position for position, kind in enumerate(FIRST)}
    return sorted(found, key=lambda each: rank.get(each["kind"], len(rank)))


def _generated(folder: Path, entry: JsonObject) -> JsonObject:
    data = {}
    for file in entry.get("files") or ():
        key, _, name = file.rpartition("=")
        data[key or Path(name).name] = (folder / name).read_text(encoding="utf-8")
    metadata = {"name": entry["name"], "labels": (entry.get("options") or {}).get("labels") or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _in_namespace(document: JsonObject, namespace: str) -> JsonObject:
    subjects = [
        {**subject, "namespace": subject.get("namespace", namespace)}
        if subject["kind"] == "ServiceAccount"
        else subject
        for subject in document.get("subjects") or ()
    ]
    named = {**document, "metadata": {"namespace": namespace, **document["metadata"]}}
    return {**named, "subjects": subjects} if subjects else named


async def apply(client: ApiClient, documents: Iterable[JsonObject]) -> None:
    """Apply documents by server-side apply; definitions are waited for before what they define."""
    waiting = list(documents)
    definitions = [each for each in waiting if each["kind"] == CUSTOM_RESOURCE_DEFINITIONS.kind]
    others = [each for each in waiting if each["kind"] != CUSTOM_RESOURCE_DEFINITIONS.kind]
    for document in definitions:
        await _apply_one(client, CUSTOM_RESOURCE_DEFINITIONS, document)
    for document in definitions:
        await _await_established(client, document["metadata"]["name"])
    served = {(each.api_version, each.kind): each for each in await discover(client)}
    for document in others:
        resource = served[document["apiVersion"], document["kind"]]
        await _apply_one(client, resource, document)


async def _apply_one(client: ApiClient, resource: Resource, document: JsonObject) -> None:
    metadata = dict(document["metadata"])
    if not resource.namespaced:
        metadata.pop("namespace", None)
    await client.apply(resource, {**document, "metadata": metadata}, field_manager=FIELD_MANAGER)


async def _await_established(client: ApiClient, name: str) -> None:
    deadline_s = time.monotonic() + ESTABLISH_S
    while time.monotonic() < deadline_s:
        definition = await client.get(CUSTOM_RESOURCE_DEFINITIONS, "", name)
        if condition_status(definition, "Established") == "True":
            return
        await asyncio.sleep(0.1)
    raise AnomalyOperatorError(f"the definition of {name} was not established in {ESTABLISH_S:g} s")
