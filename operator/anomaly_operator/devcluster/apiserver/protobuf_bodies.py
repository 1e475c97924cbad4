"""Reads protobuf bodies of built-in kinds into the JSON documents they stand for.

Answers are always JSON, which every client takes; only what typed Go clients send (``kubectl create
namespace``, ``auth can-i``, evictions) has to be read. The wire carries zero values that JSON would
leave out, and says nothing of which were meant: they are dropped, but for the fields where zero is
a statement.
"""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.refusals import bad_request

MAGIC = b"k8s\x00"
_META = "k8s.io.apimachinery.pkg.apis.meta.v1"
_PACKAGES = {"rbac.authorization.k8s.io": "rbac"}
# Pointers in Go, where 0 and false differ from absent.
_ZERO_MATTERS = {
    "replicas",
    "suspend",
    "automountServiceAccountToken",
    "allowPrivilegeEscalation",
    "runAsNonRoot",
    "runAsUser",
    "readOnlyRootFilesystem",
    "gracePeriodSeconds",
    "orphanDependents",
    "blockOwnerDeletion",
    "controller",
    "parallelism",
    "completions",
    "backoffLimit",
    "terminationGracePeriodSeconds",
    "minAvailable",
    "maxUnavailable",
    "partition",
    "value",
}
_EMPTY_MATTERS = {"emptyDir", "podSelector", "namespaceSelector", "resources", "securityContext"}
# Structs that Go embeds: their fields stand in the parent's JSON.
_INLINED = {
    "persistentVolumeSource",
    "volumeSource",
    "handler",
    "ephemeralContainerCommon",
    "localObjectReference",
}


@functools.cache
def _table() -> dict[str, dict[str, list[str]]]:
    path = Path(__file__).with_name("protobuf_fields.json")
    table: dict[str, dict[str, list[str]]] = orjson.loads(path.read_bytes())
    return table


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _wire_fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (field number, integer or bytes) of a message."""
    position = 0
    while position < len(raw):
        tag, position = _varint(raw, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(raw, position)
            yield number, value
        elif wire == 2:
            length, position = _varint(raw, position)
            yield number, raw[position : position + length]
            position += length
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
            yield number, struct.unpack_from("<d" if wire == 1 else "<f", raw, position)[0]
            position += size
        else:
            raise ValueError(f"wire type {wire} is not used by Kubernetes")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _time(raw: bytes) -> str | None:
    seconds = next((value for number, value in _wire_fields(raw) if number == 1), None)
    if seconds is None or _signed(seconds) < 0:
        return None  # Go's zero time
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _int_or_string(raw: bytes) -> Any:
    fields = dict(_wire_fields(raw))
    if fields.get(1):
        return fields.get(3, b"").decode()
    return _signed(fields.get(2, 0))


def _first_text(raw: bytes) -> str:
    return next((value.decode() for number, value in _wire_fields(raw) if number == 1), "")


def _first_json(raw: bytes) -> Any:
    text = next((value for number, value in _wire_fields(raw) if number == 1), b"")
    return orjson.loads(text) if text else None


_SPECIAL: dict[str, Callable[[bytes], Any]] = {
    f"{_META}.Time": _time,
    f"{_META}.MicroTime": _time,
    f"{_META}.FieldsV1": _first_json,
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": _first_text,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _first_json,
}


def _value(raw: Any, kind: str) -> Any:
    if kind == "string":
        return raw.decode()
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    if kind == "bool":
        return bool(raw)
    if kind in {"int32", "int64"}:
        return _signed(raw)
    if kind in _SPECIAL:
        return _SPECIAL[kind](raw)
    if kind.endswith(".ExtraValue"):
        return [value.decode() for _, value in _wire_fields(raw)]
    return _message(raw, kind)


def _message(raw: bytes, kind: str) -> Document:
    fields = _table()[kind]
    found: Document = {}
    for number, wire in _wire_fields(raw):
        name, label, inner = fields.get(str(number), ("", "", ""))
        if not name:
            continue
        if label == "map":
            entry = dict(_wire_fields(wire))
            value = _value(entry.get(2, b""), inner)
            found.setdefault(name, {})[entry.get(1, b"").decode()] = value
        elif label == "list":
            found.setdefault(name, []).append(_value(wire, inner))
        else:
            value = _value(wire, inner)
            if name in _INLINED and isinstance(value, dict):
                found |= value
            elif _is_said(name, value):
                found[name] = value
    return found


def _is_said(name: str, value: Any) -> bool:
    if value is None or value == "":
        return False
    if value == {}:
        return name in _EMPTY_MATTERS
    return bool(value) or name in _ZERO_MATTERS


def read_protobuf(raw: bytes) -> Document:
    """Return the document in a body of type application/vnd.kubernetes.protobuf."""
    if not raw.startswith(MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message")
    envelope = dict(_wire_fields(raw[len(MAGIC) :]))
    names = dict(_wire_fields(envelope[1]))
    api_version, kind = names.get(1, b"").decode(), names.get(2, b"").decode()
    group, _, version = api_version.rpartition("/")
    package = _PACKAGES.get(group, group.split(".")[0] or "core")
    full = f"k8s.io.api.{package}.{version}.{kind}"
    if full not in _table():
        full = f"{_META}.{kind}"
    if full not in _table():
        raise bad_request(f'no kind "{kind}" is registered for version "{api_version}"')
    try:
        body = _message(envelope.get(2, b""), full)
    except (IndexError, ValueError, UnicodeDecodeError) as problem:
        raise bad_request(f"the protobuf body cannot be read: {problem}") from problem
    return {"apiVersion": api_version, "kind": kind} | body
