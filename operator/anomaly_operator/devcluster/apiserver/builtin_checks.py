"""Validation of built-in kinds: the mistakes people and operators make, with the server's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from anomaly_operator.devcluster.apiserver.definition_checks import definition_causes
from anomaly_operator.devcluster.apiserver.documents import Document, look_up
from anomaly_operator.devcluster.apiserver.formats import is_dns_label
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.object_checks import LABEL_TEXT
from anomaly_operator.devcluster.apiserver.refusals import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)

_WORKLOADS = {"apps/deployments", "apps/replicasets", "apps/statefulsets", "apps/daemonsets"}
_STATEFUL_SET_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_DATA_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")
_DATA_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_POD_MUTABLE = {"activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "nodeName"}


def causes(
    kind: KindInfo, new: Document, old: Document | None, *, subresource: str
) -> Iterator[Cause]:
    """Yield what is wrong with an object of a built-in kind; status writes are not looked at."""
    if subresource == "status":
        return
    spec = new.get("spec") or {}
    if kind.store == "/pods":
        yield from pod_causes(spec, path="spec")
        if old is not None:
            yield from _pod_update_causes(spec, old.get("spec") or {})
    elif kind.store in _WORKLOADS:
        yield from _workload_causes(kind, spec, old)
    elif kind.store in {"/configmaps", "/secrets"}:
        yield from _data_key_causes(new)
        yield from _immutable_data_causes(new, old)
    elif kind.store == "/events":
        yield from _event_causes(new)
    elif kind.store.endswith("/roles") or kind.store.endswith("/clusterroles"):
        yield from _role_causes(new)
    elif kind.store.endswith("rolebindings"):
        yield from _binding_causes(new, old)
    elif kind.store == "apiextensions.k8s.io/customresourcedefinitions":
        yield from definition_causes(new, old)
    elif kind.store == "batch/jobs" and old is not None:
        yield from _immutable_causes(spec, old, fields=("selector", "template", "completionMode"))
    elif kind.store == "/persistentvolumeclaims" and old is not None:
        yield from _claim_update_causes(spec, old.get("spec") or {})


def pod_causes(spec: Document, *, path: str) -> Iterator[Cause]:
    """Yield what is wrong with a pod's spec."""
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    volumes = {str(volume.get("name")) for volume in spec.get("volumes") or []}
    names: set[str] = set()
    for part in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(part) or []):
            place = f"{path}.{part}[{index}]"
            yield from _container_causes(container, place=place, volumes=volumes)
            name = str(container.get("name") or "")
            if name in names:
                yield duplicate(f"{place}.name", name)
            names.add(name)
    policy = spec.get("restartPolicy")
    if policy not in {"Always", "OnFailure", "Never"}:
        choices = ("Always", "OnFailure", "Never")
        yield not_supported(f"{path}.restartPolicy", policy, supported=choices)


def _container_causes(container: Document, *, place: str, volumes: set[str]) -> Iterator[Cause]:
    name = container.get("name")
    if not name:
        yield required(f"{place}.name")
    elif not is_dns_label(str(name)):
        yield invalid_value(f"{place}.name", name, text=LABEL_TEXT)
    if not container.get("image"):
        yield required(f"{place}.image")
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            yield Cause(
                f"{place}.volumeMounts[{index}].name",
                "FieldValueNotFound",
                f'Not found: "{mount.get("name")}"',
            )
    for index, port in enumerate(container.get("ports") or []):
        number = port.get("containerPort")
        if not isinstance(number, int) or not 0 < number < 65536:
            yield invalid_value(
                f"{place}.ports[{index}].containerPort",
                number,
                text="must be between 1 and 65535, inclusive",
            )


def _pod_update_causes(spec: Document, old: Document) -> Iterator[Cause]:
    def frozen(pod: Document) -> Document:
        kept = {name: value for name, value in pod.items() if name not in _POD_MUTABLE}
        for part in ("containers", "initContainers"):
            kept[part] = [
                {name: value for name, value in each.items() if name != "image"}
                for each in pod.get(part) or []
            ]
        return kept

    if frozen(spec) != frozen(old):
        yield forbidden_field(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
            "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow "
            "it to be set to 1 if it was previously negative)\n",
        )


def _workload_causes(kind: KindInfo, spec: Document, old: Document | None) -> Iterator[Cause]:
    selector = spec.get("selector") or {}
    wanted = selector.get("matchLabels") or {}
    labels = look_up(spec, ("template", "metadata", "labels")) or {}
    if not selector:
        yield required("spec.selector")
    elif any(labels.get(name) != value for name, value in wanted.items()):
        yield invalid_value(
            "spec.template.metadata.labels",
            labels,
            text="`selector` does not match template `labels`",
        )
    replicas = spec.get("replicas", 0)
    if isinstance(replicas, int) and replicas < 0:
        yield invalid_value("spec.replicas", replicas, text="must be greater than or equal to 0")
    pod = look_up(spec, ("template", "spec")) or {}
    # A StatefulSet's claims become volumes of its pods.
    claims = [
        {"name": (claim.get("metadata") or {}).get("name")}
        for claim in spec.get("volumeClaimTemplates") or []
    ]
    if claims:
        pod = {**pod, "volumes": [*(pod.get("volumes") or []), *claims]}
    yield from pod_causes(pod, path="spec.template.spec")
    if old is None:
        return
    if kind.store == "apps/statefulsets":
        before = old.get("spec") or {}
        if any(
            spec.get(name) != before.get(name)
            for name in (spec.keys() | before.keys()) - set(_STATEFUL_SET_MUTABLE)
        ):
            listed = ", ".join(f"'{name}'" for name in _STATEFUL_SET_MUTABLE[:-1])
            yield forbidden_field(
                "spec",
                f"updates to statefulset spec for fields other than {listed} and "
                f"'{_STATEFUL_SET_MUTABLE[-1]}' are forbidden",
            )
    else:
        yield from _immutable_causes(spec, old, fields=("selector",))


def _immutable_causes(spec: Document, old: Document, *, fields: tuple[str, ...]) -> Iterator[Cause]:
    before = old.get("spec") or {}
    for name in fields:
        if spec.get(name) != before.get(name):
            yield invalid_value(f"spec.{name}", spec.get(name), text="field is immutable")


def _immutable_data_causes(new: Document, old: Document | None) -> Iterator[Cause]:
    if old is None or not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden_field("immutable", "field is immutable when `immutable` is set")
    for part in ("data", "binaryData"):
        if new.get(part) != old.get(part):
            yield forbidden_field(part, "field is immutable when `immutable` is set")


def _data_key_causes(new: Document) -> Iterator[Cause]:
    for part in ("data", "binaryData"):
        for name in new.get(part) or {}:
            if not _DATA_KEY.match(name):
                yield invalid_value(f"{part}[{name}]", name, text=_DATA_KEY_TEXT)


def _event_causes(new: Document) -> Iterator[Cause]:
    """An event stands in the namespace of what it is about; about what has none, in default."""
    about = str(look_up(new, ("involvedObject", "namespace")) or "")
    found = str(new["metadata"].get("namespace") or "")
    if found != (about or "default"):
        text = "does not match event.namespace"
        yield invalid_value("involvedObject.namespace", about, text=text)


def _role_causes(new: Document) -> Iterator[Cause]:
    for index, rule in enumerate(new.get("rules") or []):
        place = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{place}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            text = "resource rules must supply at least one api group"
            yield required(f"{place}.apiGroups", text)
        if not rule.get("resources"):
            text = "resource rules must supply at least one resource"
            yield required(f"{place}.resources", text)


def _binding_causes(new: Document, old: Document | None) -> Iterator[Cause]:
    ref: dict[str, Any] = new.get("roleRef") or {}
    kinds = ("Role", "ClusterRole") if new.get("kind") == "RoleBinding" else ("ClusterRole",)
    if ref.get("kind") not in kinds:
        yield not_supported("roleRef.kind", ref.get("kind"), supported=kinds)
    if not ref.get("name"):
        yield required("roleRef.name")
    if old is not None and ref != old.get("roleRef"):
        shown = {"APIGroup": ref.get("apiGroup"), "Kind": ref.get("kind"), "Name": ref.get("name")}
        yield invalid_value("roleRef", shown, text="cannot change roleRef")
    for index, subject in enumerate(new.get("subjects") or []):
        if subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            yield required(f"subjects[{index}].namespace")


def _claim_update_causes(spec: Document, old: Document) -> Iterator[Cause]:
    frozen = (spec.keys() | old.keys()) - {"resources", "volumeName", "volumeAttributesClassName"}
    if any(spec.get(name) != old.get(name) for name in frozen):
        yield forbidden_field(
            "spec",
            "spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims",
        )
