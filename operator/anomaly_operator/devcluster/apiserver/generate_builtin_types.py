"""Writes builtin_types.json: the fields of Kubernetes' own kinds, off the official client's models.

The stand-in needs them to drop or report unknown fields, to merge lists by key and to answer
``kubectl explain``. Importing the client at every start would cost half a second, so the table is
made once: ``python -m anomaly_operator.devcluster.apiserver.generate_builtin_types``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson

ROOTS = [
    "V1Namespace",
    "V1Node",
    "V1Pod",
    "V1Service",
    "V1Endpoints",
    "V1ConfigMap",
    "V1Secret",
    "V1ServiceAccount",
    "V1PersistentVolumeClaim",
    "V1PersistentVolume",
    "CoreV1Event",
    "EventsV1Event",
    "V1Lease",
    "V1Deployment",
    "V1ReplicaSet",
    "V1StatefulSet",
    "V1DaemonSet",
    "V1ControllerRevision",
    "V1Job",
    "V1CronJob",
    "V1StorageClass",
    "V1PriorityClass",
    "V1PodDisruptionBudget",
    "V1NetworkPolicy",
    "V1Ingress",
    "V1Role",
    "V1RoleBinding",
    "V1ClusterRole",
    "V1ClusterRoleBinding",
    "V1CustomResourceDefinition",
    "V1TokenReview",
    "AuthenticationV1TokenRequest",
    "V1SubjectAccessReview",
    "V1SelfSubjectAccessReview",
    "V1LocalSubjectAccessReview",
    "V1SelfSubjectRulesReview",
    "V1SelfSubjectReview",
    "V1Eviction",
    "V1Binding",
    "V1Scale",
    "V1EndpointSlice",
    "V1ResourceQuota",
    "V1LimitRange",
    "V1PodTemplate",
]
TARGET = Path(__file__).with_name("builtin_types.json")

_WRAPPED = re.compile(r"^(?:[Ll]ist|[Dd]ict)[\[(](?:str, )?(.+)[\])]$")


def element_type(name: str) -> str:
    """Return the innermost type of a declared one: ``List[V1Pod]`` is made of ``V1Pod``."""
    while match := _WRAPPED.match(name):
        name = match[1]
    return name


def collect_types(models: Any) -> dict[str, dict[str, str]]:
    """Return, for every type reachable from ROOTS, its JSON field names and their types.

    A field that must be present has a type ending in ``!``.
    """
    found: dict[str, dict[str, str]] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        model = getattr(models, name, None)
        if name in found or model is None:
            continue
        fields: dict[str, str] = {}
        required = {
            field.serialization_alias or attribute
            for attribute, field in model.model_fields.items()
            if field.is_required()
        }
        for attribute, declared in model.openapi_types.items():
            key = model.attribute_map[attribute]
            fields[key] = declared + ("!" if key in required else "")
            waiting.append(element_type(declared))
        found[name] = fields
    return dict(sorted(found.items()))


def main() -> None:
    """Write the table next to this module."""
    from kubernetes.client import models  # noqa: PLC0415 - only the generator pays for the import

    lines = [
        f"{orjson.dumps(name).decode()}: {orjson.dumps(fields).decode()}"
        for name, fields in collect_types(models).items()
    ]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
