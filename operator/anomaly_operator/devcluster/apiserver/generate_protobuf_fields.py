"""Writes protobuf_fields.json: the field numbers of Kubernetes' own kinds, off their .proto files.

``kubectl create``, ``auth can-i`` and other commands with typed clients send protobuf. The numbers
are fixed for ever by the wire format, so the table is made once, from checkouts of the repositories
kubernetes/api and kubernetes/apimachinery:
``python -m anomaly_operator.devcluster.apiserver.generate_protobuf_fields API_DIR MACHINERY_DIR``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import orjson

TARGET = Path(__file__).with_name("protobuf_fields.json")
GROUPS = (
    "core/v1",
    "apps/v1",
    "batch/v1",
    "rbac/v1",
    "authentication/v1",
    "authorization/v1",
    "policy/v1",
    "coordination/v1",
    "networking/v1",
    "scheduling/v1",
    "autoscaling/v1",
    "events/v1",
    "storage/v1",
)
SHARED = (
    "pkg/apis/meta/v1/generated.proto",
    "pkg/util/intstr/generated.proto",
    "pkg/api/resource/generated.proto",
    "pkg/runtime/generated.proto",
)
_MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(
    r"^\s*(?:(optional|repeated|required)\s+)?(map<string,\s*[\w.]+>|[\w.]+)\s+(\w+)\s*=\s*(\d+);",
    re.MULTILINE,
)
_PACKAGE = re.compile(r"^package (\S+);", re.MULTILINE)


def fields_of(text: str) -> dict[str, dict[str, list[str]]]:
    """Return type -> number -> [name, label and type] of one file; types carry their package."""
    package = _PACKAGE.search(text)
    assert package is not None
    local = package[1]
    found: dict[str, dict[str, list[str]]] = {}
    for name, body in _MESSAGE.findall(text):
        fields = {}
        for label, declared, field, number in _FIELD.findall(body):
            inner = re.sub(r"^map<string,\s*([\w.]+)>$", r"\1", declared)
            kind = "map" if inner != declared else "list" if label == "repeated" else "one"
            full = inner if "." in inner or inner[0].islower() else f"{local}.{inner}"
            fields[number] = [field, kind, full.lstrip(".")]
        found[f"{local}.{name}"] = fields
    return found


def main() -> None:
    """Write the table next to this module."""
    api, machinery = Path(sys.argv[1]), Path(sys.argv[2])
    paths = [api / group / "generated.proto" for group in GROUPS]
    paths += [machinery / name for name in SHARED]
    table: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        table |= fields_of(path.read_text(encoding="utf-8"))
    names = {name for name in table if not name.endswith("List")}
    lines = [
        f"{orjson.dumps(name).decode()}: {orjson.dumps(table[name]).decode()}"
        for name in sorted(names)
    ]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
