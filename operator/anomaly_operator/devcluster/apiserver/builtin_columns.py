"""What ``kubectl get`` prints of the built-in kinds: the columns of a real server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anomaly_operator.devcluster.apiserver.documents import Document, look_up, parse_time
from anomaly_operator.devcluster.apiserver.pod_cells import pod_ready, pod_restarts, pod_status
from anomaly_operator.devcluster.apiserver.printer_columns import (
    AGE,
    CREATED_AT,
    NAME,
    PLAIN,
    Column,
    age,
    short_duration,
)

DEFAULT = PLAIN
NONE = "<none>"


def _at(path: str, *, missing: Any = NONE) -> Callable[[Document], Any]:
    parts = tuple(path.split("."))

    def cell(document: Document) -> Any:
        value = look_up(document, parts)
        return missing if value is None or value == "" else value

    return cell


def _text(name: str, path: str, *, wide: bool = False, missing: Any = NONE) -> Column:
    return Column(name, _at(path, missing=missing), priority=int(wide))


def _number(name: str, path: str) -> Column:
    return Column(name, _at(path, missing=0), type="integer")


def _joined(name: str, cell: Callable[[Document], list[str]], *, wide: bool = False) -> Column:
    return Column(name, lambda document: ",".join(cell(document)) or NONE, priority=int(wide))


def _containers(document: Document) -> list[Document]:
    found = look_up(document, ("spec", "template", "spec", "containers"))
    return found or []


_CONTAINERS = _joined(
    "Containers",
    lambda document: [str(each.get("name")) for each in _containers(document)],
    wide=True,
)
_IMAGES = _joined(
    "Images", lambda document: [str(each.get("image")) for each in _containers(document)], wide=True
)


def _selector(document: Document) -> list[str]:
    labels = look_up(document, ("spec", "selector", "matchLabels")) or {}
    return [f"{key}={value}" for key, value in sorted(labels.items())]


_SELECTOR = _joined("Selector", _selector, wide=True)


def _ratio(ready: str, wanted: str) -> Callable[[Document], str]:
    def cell(document: Document) -> str:
        have = look_up(document, tuple(ready.split("."))) or 0
        want = look_up(document, tuple(wanted.split(".")))
        return f"{have}/{0 if want is None else want}"

    return cell


def _node_status(node: Document) -> str:
    ready = next(
        (
            each
            for each in look_up(node, ("status", "conditions")) or []
            if each.get("type") == "Ready"
        ),
        None,
    )
    word = "Unknown"
    if ready is not None:
        word = "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if look_up(node, ("spec", "unschedulable")) else word


def _node_roles(node: Document) -> list[str]:
    prefix = "node-role.kubernetes.io/"
    labels = look_up(node, ("metadata", "labels")) or {}
    return sorted(label.removeprefix(prefix) for label in labels if label.startswith(prefix))


def _address(kind: str) -> Callable[[Document], str]:
    def cell(node: Document) -> str:
        for each in look_up(node, ("status", "addresses")) or []:
            if each.get("type") == kind:
                return str(each.get("address"))
        return NONE

    return cell


def _last_seen(event: Document) -> str:
    series = look_up(event, ("series", "lastObservedTime"))
    return age(series or event.get("lastTimestamp") or event.get("eventTime"))


def _object_of(event: Document) -> str:
    involved = event.get("involvedObject") or {}
    name = involved.get("name") or ""
    return f"{str(involved.get('kind', '')).lower()}/{name}" if name else ""


def _service_ports(service: Document) -> list[str]:
    texts = []
    for each in look_up(service, ("spec", "ports")) or []:
        node = f":{each['nodePort']}" if each.get("nodePort") else ""
        texts.append(f"{each.get('port')}{node}/{each.get('protocol', 'TCP')}")
    return texts


def _subset_addresses(endpoints: Document) -> list[str]:
    texts = []
    for subset in endpoints.get("subsets") or []:
        for address in subset.get("addresses") or []:
            texts += [
                f"{address.get('ip')}:{port.get('port')}" for port in subset.get("ports") or []
            ]
    return texts


def _job_status(job: Document) -> str:
    conditions = look_up(job, ("status", "conditions")) or []
    for word, kind in (("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended")):
        if any(each.get("type") == kind and each.get("status") == "True" for each in conditions):
            return word
    if look_up(job, ("metadata", "deletionTimestamp")):
        return "Terminating"
    return "Running"


def _job_duration(job: Document) -> str:
    start = parse_time(look_up(job, ("status", "startTime")))
    if start is None:
        return ""
    end = parse_time(look_up(job, ("status", "completionTime")))
    if end is None:
        return age(look_up(job, ("status", "startTime")))
    return short_duration((end - start).total_seconds())


def _role_ref(binding: Document) -> str:
    ref = binding.get("roleRef") or {}
    return f"{ref.get('kind')}/{ref.get('name')}"


_ACCESS = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _access_modes(path: tuple[str, ...]) -> Callable[[Document], str]:
    def cell(document: Document) -> str:
        return ",".join(_ACCESS.get(mode, mode) for mode in look_up(document, path) or [])

    return cell


def _size(key: str) -> Callable[[Document], int]:
    return lambda document: len(document.get(key) or {})


COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "/namespaces": (NAME, _text("Status", "status.phase"), AGE),
    "/nodes": (
        NAME,
        Column("Status", _node_status),
        _joined("Roles", _node_roles),
        AGE,
        _text("Version", "status.nodeInfo.kubeletVersion", missing=""),
        Column("Internal-IP", _address("InternalIP"), priority=1),
        Column("External-IP", _address("ExternalIP"), priority=1),
        _text("OS-Image", "status.nodeInfo.osImage", wide=True, missing="<unknown>"),
        _text("Kernel-Version", "status.nodeInfo.kernelVersion", wide=True, missing="<unknown>"),
        _text(
            "Container-Runtime",
            "status.nodeInfo.containerRuntimeVersion",
            wide=True,
            missing="<unknown>",
        ),
    ),
    "/pods": (
        NAME,
        Column("Ready", pod_ready),
        Column("Status", pod_status),
        Column("Restarts", pod_restarts),
        AGE,
        _text("IP", "status.podIP", wide=True),
        _text("Node", "spec.nodeName", wide=True),
        _text("Nominated Node", "status.nominatedNodeName", wide=True),
        Column("Readiness Gates", lambda _: NONE, priority=1),
    ),
    "/services": (
        NAME,
        _text("Type", "spec.type"),
        _text("Cluster-IP", "spec.clusterIP"),
        Column("External-IP", lambda _: NONE),
        _joined("Port(s)", _service_ports),
        AGE,
        _joined(
            "Selector",
            lambda service: [
                f"{key}={value}"
                for key, value in sorted((look_up(service, ("spec", "selector")) or {}).items())
            ],
            wide=True,
        ),
    ),
    "/endpoints": (NAME, _joined("Endpoints", _subset_addresses), AGE),
    "/configmaps": (NAME, Column("Data", _size("data"), type="integer"), AGE),
    "/secrets": (NAME, _text("Type", "type"), Column("Data", _size("data"), type="integer"), AGE),
    "/serviceaccounts": (
        NAME,
        Column("Secrets", _size("secrets"), type="integer"),
        AGE,
    ),
    "/persistentvolumeclaims": (
        NAME,
        _text("Status", "status.phase", missing=""),
        _text("Volume", "spec.volumeName", missing=""),
        _text("Capacity", "status.capacity.storage", missing=""),
        Column("Access Modes", _access_modes(("status", "accessModes"))),
        _text("StorageClass", "spec.storageClassName", missing=""),
        _text("VolumeAttributesClass", "spec.volumeAttributesClassName", missing="<unset>"),
        AGE,
        _text("VolumeMode", "spec.volumeMode", wide=True, missing="<unset>"),
    ),
    "/persistentvolumes": (
        NAME,
        _text("Capacity", "spec.capacity.storage", missing=""),
        Column("Access Modes", _access_modes(("spec", "accessModes"))),
        _text("Reclaim Policy", "spec.persistentVolumeReclaimPolicy", missing=""),
        _text("Status", "status.phase", missing=""),
        Column(
            "Claim",
            lambda volume: "/".join(
                str(look_up(volume, ("spec", "claimRef", part)))
                for part in ("namespace", "name")
                if look_up(volume, ("spec", "claimRef", part))
            ),
        ),
        _text("StorageClass", "spec.storageClassName", missing=""),
        _text("VolumeAttributesClass", "spec.volumeAttributesClassName", missing="<unset>"),
        _text("Reason", "status.reason", missing=""),
        AGE,
        _text("VolumeMode", "spec.volumeMode", wide=True, missing="<unset>"),
    ),
    "/events": (
        Column("Last Seen", _last_seen),
        _text("Type", "type", missing=""),
        _text("Reason", "reason", missing=""),
        Column("Object", _object_of),
        _text("Subobject", "involvedObject.fieldPath", wide=True, missing=""),
        Column(
            "Source",
            lambda event: str(
                look_up(event, ("source", "component")) or event.get("reportingComponent") or ""
            ),
            priority=1,
        ),
        Column("Message", lambda event: str(event.get("message") or "").strip()),
        Column(
            "First Seen",
            lambda event: age(event.get("firstTimestamp") or event.get("eventTime")),
            priority=1,
        ),
        Column("Count", lambda event: event.get("count") or 1, type="integer", priority=1),
        Column("Name", NAME.cell, format="name", priority=1),
    ),
    "coordination.k8s.io/leases": (NAME, _text("Holder", "spec.holderIdentity", missing=""), AGE),
    "apps/deployments": (
        NAME,
        Column("Ready", _ratio("status.readyReplicas", "spec.replicas")),
        _number("Up-to-date", "status.updatedReplicas"),
        _number("Available", "status.availableReplicas"),
        AGE,
        _CONTAINERS,
        _IMAGES,
        _SELECTOR,
    ),
    "apps/replicasets": (
        NAME,
        _number("Desired", "spec.replicas"),
        _number("Current", "status.replicas"),
        _number("Ready", "status.readyReplicas"),
        AGE,
        _CONTAINERS,
        _IMAGES,
        _SELECTOR,
    ),
    "apps/statefulsets": (
        NAME,
        Column("Ready", _ratio("status.readyReplicas", "spec.replicas")),
        AGE,
        _CONTAINERS,
        _IMAGES,
    ),
    "apps/daemonsets": (
        NAME,
        _number("Desired", "status.desiredNumberScheduled"),
        _number("Current", "status.currentNumberScheduled"),
        _number("Ready", "status.numberReady"),
        _number("Up-to-date", "status.updatedNumberScheduled"),
        _number("Available", "status.numberAvailable"),
        Column(
            "Node Selector",
            lambda each: (
                ",".join(
                    f"{key}={value}"
                    for key, value in sorted(
                        (look_up(each, ("spec", "template", "spec", "nodeSelector")) or {}).items()
                    )
                )
                or NONE
            ),
        ),
        AGE,
        _CONTAINERS,
        _IMAGES,
        _SELECTOR,
    ),
    "batch/jobs": (
        NAME,
        Column("Status", _job_status),
        Column("Completions", _ratio("status.succeeded", "spec.completions")),
        Column("Duration", _job_duration),
        AGE,
        _CONTAINERS,
        _IMAGES,
        _SELECTOR,
    ),
    "batch/cronjobs": (
        NAME,
        _text("Schedule", "spec.schedule"),
        _text("Timezone", "spec.timeZone"),
        Column("Suspend", lambda each: "True" if look_up(each, ("spec", "suspend")) else "False"),
        Column(
            "Active", lambda each: len(look_up(each, ("status", "active")) or []), type="integer"
        ),
        Column(
            "Last Schedule",
            lambda each: (
                age(stamp) if (stamp := look_up(each, ("status", "lastScheduleTime"))) else NONE
            ),
        ),
        AGE,
    ),
    "storage.k8s.io/storageclasses": (
        NAME,
        _text("Provisioner", "provisioner"),
        _text("ReclaimPolicy", "reclaimPolicy", missing="Delete"),
        _text("VolumeBindingMode", "volumeBindingMode", missing="Immediate"),
        Column(
            "AllowVolumeExpansion",
            lambda each: "true" if each.get("allowVolumeExpansion") else "false",
        ),
        AGE,
    ),
    "scheduling.k8s.io/priorityclasses": (
        NAME,
        Column("Value", _at("value", missing=0), type="integer"),
        Column("Global-Default", lambda each: bool(each.get("globalDefault")), type="boolean"),
        AGE,
        _text("PreemptionPolicy", "preemptionPolicy", missing="PreemptLowerPriority"),
    ),
    "policy/poddisruptionbudgets": (
        NAME,
        _text("Min Available", "spec.minAvailable", missing="N/A"),
        _text("Max Unavailable", "spec.maxUnavailable", missing="N/A"),
        _number("Allowed Disruptions", "status.disruptionsAllowed"),
        AGE,
    ),
    "networking.k8s.io/networkpolicies": (
        NAME,
        _joined(
            "Pod-Selector",
            lambda each: [
                f"{key}={value}"
                for key, value in sorted(
                    (look_up(each, ("spec", "podSelector", "matchLabels")) or {}).items()
                )
            ],
        ),
        AGE,
    ),
    "rbac.authorization.k8s.io/roles": (NAME, CREATED_AT),
    "rbac.authorization.k8s.io/clusterroles": (NAME, CREATED_AT),
    "rbac.authorization.k8s.io/rolebindings": (NAME, Column("Role", _role_ref), AGE),
    "rbac.authorization.k8s.io/clusterrolebindings": (NAME, Column("Role", _role_ref), AGE),
    "apiextensions.k8s.io/customresourcedefinitions": (NAME, CREATED_AT),
}
