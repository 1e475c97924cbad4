"""Schemas of Kubernetes' own kinds: fields from builtin_types.json, merge rules from here.

The JSON table says which fields there are and their types; which lists merge by which keys is in
no client, so it is written down here, for the kinds the stand-in serves. ``patch_key`` is the
single key strategic merge patches use, which is older and coarser than the keys of apply.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import orjson

from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

# (type, field) -> keys of the list's entries; the first one is also the strategic merge key.
KEYED_LISTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("V1PodSpec", "containers"): ("name",),
    ("V1PodSpec", "initContainers"): ("name",),
    ("V1PodSpec", "ephemeralContainers"): ("name",),
    ("V1PodSpec", "volumes"): ("name",),
    ("V1PodSpec", "imagePullSecrets"): ("name",),
    ("V1PodSpec", "hostAliases"): ("ip",),
    ("V1PodSpec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("V1PodSpec", "schedulingGates"): ("name",),
    ("V1PodSpec", "resourceClaims"): ("name",),
    ("V1ResourceRequirements", "claims"): ("name",),
    ("V1PodStatus", "conditions"): ("type",),
    ("V1PodStatus", "podIPs"): ("ip",),
    ("V1PodStatus", "resourceClaimStatuses"): ("name",),
    ("V1Container", "env"): ("name",),
    ("V1Container", "ports"): ("containerPort", "protocol"),
    ("V1Container", "volumeMounts"): ("mountPath",),
    ("V1Container", "volumeDevices"): ("devicePath",),
    ("V1EphemeralContainer", "env"): ("name",),
    ("V1EphemeralContainer", "ports"): ("containerPort", "protocol"),
    ("V1EphemeralContainer", "volumeMounts"): ("mountPath",),
    ("V1EphemeralContainer", "volumeDevices"): ("devicePath",),
    ("V1ObjectMeta", "ownerReferences"): ("uid",),
    ("V1ServiceSpec", "ports"): ("port", "protocol"),
    ("V1ServiceStatus", "conditions"): ("type",),
    ("V1ServiceAccount", "secrets"): ("name",),
    ("V1NodeStatus", "conditions"): ("type",),
    ("V1NodeStatus", "addresses"): ("type",),
    ("V1NamespaceStatus", "conditions"): ("type",),
    ("V1DeploymentStatus", "conditions"): ("type",),
    ("V1StatefulSetStatus", "conditions"): ("type",),
    ("V1ReplicaSetStatus", "conditions"): ("type",),
    ("V1DaemonSetStatus", "conditions"): ("type",),
    ("V1PodDisruptionBudgetStatus", "conditions"): ("type",),
    ("V1PersistentVolumeClaimStatus", "conditions"): ("type",),
    ("V1CustomResourceDefinitionStatus", "conditions"): ("type",),
}
# In a strategic merge patch these merge by key, though apply treats them as atomic.
PATCH_ONLY_KEYS: dict[tuple[str, str], str] = {
    ("V1JobStatus", "conditions"): "type",
}
SETS = {
    ("V1ObjectMeta", "finalizers"),
    ("V1NodeSpec", "podCIDRs"),
}
ATOMIC_OBJECTS = {
    "V1LabelSelector",
    "V1ObjectReference",
    "V1LocalObjectReference",
    "V1TypedLocalObjectReference",
    "V1SecretReference",
    "V1SecretKeySelector",
    "V1ConfigMapKeySelector",
    "V1ObjectFieldSelector",
    "V1ResourceFieldSelector",
    "V1NodeSelector",
    "V1NodeSelectorTerm",
    "V1OwnerReference",
    "V1RoleRef",
    "V1Subject",
    "V1ScopeSelector",
    "V1TopologySelectorTerm",
    "V1ServiceReference",
}
ATOMIC_MAPS = {
    ("V1PodSpec", "nodeSelector"),
    ("V1ServiceSpec", "selector"),
    ("V1PersistentVolumeClaimSpec", "selector"),
}
RETAIN_KEYS = {("V1PodSpec", "volumes"), ("V1DeploymentSpec", "strategy")}
# Values here are numbers or strings (resource.Quantity), whatever the client's models say.
QUANTITY_MAPS = {"limits", "requests", "capacity", "allocatable", "overhead", "hard", "used"}
QUANTITIES = {("V1EmptyDirVolumeSource", "sizeLimit"), ("V1ResourceFieldSelector", "divisor")}
INT_OR_STRING = {
    "port",
    "targetPort",
    "maxSurge",
    "maxUnavailable",
    "minAvailable",
}

_SCALARS = {
    "str": "string",
    "int": "integer",
    "bool": "boolean",
    "float": "number",
    "datetime": "string",
    "bytes": "string",
}
_LIST = re.compile(r"^[Ll]ist\[(.+)\]$")
_MAP = re.compile(r"^[Dd]ict\[str, (.+)\]$")


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    path = Path(__file__).with_name("builtin_types.json")
    table: dict[str, dict[str, str]] = orjson.loads(path.read_bytes())
    return table


_NODES: dict[str, SchemaNode] = {}


def builtin_schema(name: str) -> SchemaNode:
    """Return the schema of a type of the official client, ``V1Pod`` say; types may be recursive."""
    if name in _NODES:
        return _NODES[name]
    fields = _table()[name]
    node = _NODES[name] = SchemaNode(
        type="object",
        loose=True,
        map_type="atomic" if name in ATOMIC_OBJECTS else "granular",
        type_label=re.sub(r"^(Core|Events|Authentication)?V1(?=[A-Z])", "", name),
        preserve=not fields,
        required=tuple(field for field, declared in fields.items() if declared.endswith("!")),
    )
    node.properties = {
        field: _field_schema(name, field, declared=declared.rstrip("!"))
        for field, declared in fields.items()
    }
    if name == "V1ObjectMeta":
        node.properties["managedFields"].list_type = "atomic"
    return node


def _field_schema(owner: str, field: str, *, declared: str) -> SchemaNode:
    place = (owner, field)
    if place in QUANTITIES:
        return SchemaNode(int_or_string=True, loose=True)
    if listed := _LIST.match(declared):
        keys = KEYED_LISTS.get(place, ())
        list_type = "map" if keys else "set" if place in SETS else "atomic"
        return SchemaNode(
            type="array",
            items=_type_schema(listed[1], field),
            list_type=list_type,
            map_keys=keys,
            patch_key=keys[0] if keys else PATCH_ONLY_KEYS.get(place, ""),
            retain_keys=place in RETAIN_KEYS,
            loose=True,
        )
    if mapped := _MAP.match(declared):
        value = (
            SchemaNode(type="string", int_or_string=True, loose=True)
            if field in QUANTITY_MAPS
            else _type_schema(mapped[1], field)
        )
        return SchemaNode(
            type="object",
            additional=value,
            map_type="atomic" if place in ATOMIC_MAPS else "granular",
            loose=True,
        )
    node = _type_schema(declared, field)
    if place in RETAIN_KEYS:
        node = SchemaNode(type=node.type, properties=node.properties, loose=True, retain_keys=True)
    return node


def _type_schema(declared: str, field: str) -> SchemaNode:
    if declared in _SCALARS:
        label = "Time" if declared == "datetime" else ""
        return SchemaNode(type=_SCALARS[declared], loose=True, type_label=label)
    if declared in _table():
        return builtin_schema(declared)
    if field in INT_OR_STRING:
        return SchemaNode(int_or_string=True, loose=True)
    return SchemaNode(preserve=True, loose=True, type_label="Object")


OBJECT_META = "V1ObjectMeta"
