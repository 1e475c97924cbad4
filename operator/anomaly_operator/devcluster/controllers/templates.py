"""Pods made from templates, and what a workload's controller asks about them: pure functions."""

from __future__ import annotations

import copy
import hashlib
import json
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from anomaly_operator.devcluster.apiclient.resources import (
    JsonObject,
    Resource,
    controller_of,
    owner_reference,
)

# No vowels, 0, 1 or 3: as Kubernetes does, so that random names spell nothing.
SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
TEMPLATE_HASH = "pod-template-hash"


def random_suffix(length: int = 5) -> str:
    """Random end of a generated name."""
    return "".join(secrets.choice(SAFE_LETTERS) for _ in range(length))


def template_hash(template: JsonObject) -> str:
    """Short name of a pod template; equal templates have equal names."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(SAFE_LETTERS[byte % len(SAFE_LETTERS)] for byte in digest[:10])


def without_hash(template: JsonObject) -> JsonObject:
    """Template without the label that a Deployment adds, for comparing."""
    plain = copy.deepcopy(template)
    metadata = plain.setdefault("metadata", {})
    labels = metadata.get("labels") or {}
    labels.pop(TEMPLATE_HASH, None)
    metadata.pop("creationTimestamp", None)
    return plain


def pod_from_template(
    owner: JsonObject, resource: Resource, *, template: JsonObject, name: str
) -> JsonObject:
    """Pod as the template describes it, controlled by ``owner``."""
    meta = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(meta.get("labels") or {}),
            "annotations": dict(meta.get("annotations") or {}),
            "ownerReferences": [owner_reference(owner, resource)],
        },
        "spec": copy.deepcopy(template["spec"]),
    }


def is_owned(obj: JsonObject, owner: JsonObject) -> bool:
    """Whether ``owner`` is the controller of ``obj``."""
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == owner["metadata"]["uid"]


def owned(objects: Iterable[JsonObject], owner: JsonObject) -> list[JsonObject]:
    """Objects whose controller is ``owner``, by name."""
    found = [obj for obj in objects if is_owned(obj, owner)]
    return sorted(found, key=lambda obj: str(obj["metadata"]["name"]))


def is_terminating(obj: JsonObject) -> bool:
    """Deletion has been asked for."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_finished(pod: JsonObject) -> bool:
    """The pod has ended and will not run again."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def is_active(pod: JsonObject) -> bool:
    """Runs or will run, and nobody asked for its end."""
    return not is_terminating(pod) and not is_finished(pod)


def is_ready(pod: JsonObject) -> bool:
    """The pod's Ready condition holds."""
    return condition_status(pod, "Ready") == "True"


def is_available(pod: JsonObject, *, min_ready_s: float = 0.0) -> bool:
    """Ready, for at least ``min_ready_s`` seconds."""
    if not is_ready(pod):
        return False
    since = condition(pod, "Ready").get("lastTransitionTime")
    if not min_ready_s or not since:
        return not min_ready_s
    return (datetime.now(UTC) - parse_time(since)).total_seconds() >= min_ready_s


def condition(obj: JsonObject, kind: str) -> JsonObject:
    """Condition by type; empty when there is none."""
    for entry in (obj.get("status") or {}).get("conditions") or ():
        if entry["type"] == kind:
            found: JsonObject = entry
            return found
    return {}


def condition_status(obj: JsonObject, kind: str) -> str:
    """Status of a condition: True, False, Unknown, or empty when there is none."""
    return str(condition(obj, kind).get("status", ""))


def updated_condition(obj: JsonObject, kind: str, *, status: bool, **fields: str) -> JsonObject:
    """Condition that keeps its times while its status stays."""
    old = condition(obj, kind)
    word = "True" if status else "False"
    new = {"type": kind, "status": word, **fields}
    moment = now()
    changed = old.get("status") != word
    new["lastTransitionTime"] = moment if changed else old.get("lastTransitionTime", moment)
    if obj.get("kind") == "Deployment":
        same = all(old.get(field) == value for field, value in fields.items()) and not changed
        new["lastUpdateTime"] = old.get("lastUpdateTime", moment) if same else moment
    return new


def now() -> str:
    """Now, as the API writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Time as the API writes it."""
    return datetime.fromisoformat(text)
