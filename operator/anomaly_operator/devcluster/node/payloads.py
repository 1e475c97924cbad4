"""Files that a volume shows of API objects, and writing them so that readers never see half.

As a kubelet does: a fresh folder is filled, then the link ``..data`` is moved to it by one rename;
the names a container opens are links through ``..data``.
"""

from __future__ import annotations

import base64
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.devcluster.node.environment import (
    FindData,
    MissingReference,
    field_value,
    resource_value,
)

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class File:
    """One file to be."""

    content: bytes
    mode: int = DEFAULT_MODE


def object_data(obj: JsonObject) -> dict[str, bytes]:
    """Data of a ConfigMap or Secret as bytes."""
    if obj["kind"] == "Secret":
        return {name: base64.b64decode(value) for name, value in (obj.get("data") or {}).items()}
    plain = {name: value.encode() for name, value in (obj.get("data") or {}).items()}
    binary = {name: base64.b64decode(v) for name, v in (obj.get("binaryData") or {}).items()}
    return plain | binary


def keyed_files(
    source: JsonObject, *, kind: str, name: str, find: FindData, mode: int = DEFAULT_MODE
) -> dict[str, File]:
    """Files of a ConfigMap or Secret source: all keys, or those it lists."""
    data = find(kind, name)
    if data is None:
        if source.get("optional"):
            return {}
        raise MissingReference(f'{kind.lower()} "{name}" not found')
    if not source.get("items"):
        return {key: File(value, mode) for key, value in data.items()}
    files = {}
    for item in source["items"]:
        if item["key"] in data:
            files[item["path"]] = File(data[item["key"]], item.get("mode") or mode)
        elif not source.get("optional"):
            raise MissingReference(f"references non-existent {kind.lower()} key: {item['key']}")
    return files


def downward_files(
    source: JsonObject, pod: JsonObject, *, allocatable: Mapping[str, str], mode: int = DEFAULT_MODE
) -> dict[str, File]:
    """Files of a downward API source."""
    containers = {each["name"]: each for each in pod["spec"]["containers"]}
    files = {}
    for item in source.get("items") or ():
        if "fieldRef" in item:
            text = field_value(pod, item["fieldRef"]["fieldPath"])
        else:
            reference = item["resourceFieldRef"]
            container = containers[reference["containerName"]]
            text = resource_value(container, reference, allocatable=allocatable)
        files[item["path"]] = File(text.encode(), item.get("mode") or mode)
    return files


def write_payload(folder: Path, files: Mapping[str, File]) -> None:
    """Show exactly these files in ``folder``, switched over at one instant."""
    folder.mkdir(parents=True, exist_ok=True)
    data_link = folder / "..data"
    old = data_link.readlink() if data_link.is_symlink() else None
    fresh = folder / f"..{uuid.uuid4().hex}"
    for name, file in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    fresh.mkdir(exist_ok=True)
    moving = folder / f"..moving-{fresh.name[2:]}"
    moving.symlink_to(fresh.name)
    moving.rename(data_link)
    tops = {name.split("/", 1)[0] for name in files}
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in tops:
            entry.unlink()
    for top in tops:
        if not (folder / top).is_symlink():
            (folder / top).symlink_to(f"..data/{top}")
    # A reader may be on its way through the folder before; it goes with the next change.
    for entry in folder.glob("..[0-9a-f]*"):
        if entry.is_dir() and not entry.is_symlink() and entry.name not in {fresh.name, str(old)}:
            shutil.rmtree(entry, ignore_errors=True)
