"""Names and labels of children: bounded, unique for each detector's UID, found again by label.

Owner references cannot cross namespaces, so labels say what belongs to which detector. A recreated
detector has another UID and thus other names: its children never meet those still being deleted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

Body = dict[str, Any]

PREFIX = "anomaly-operator.dev"
FIELD_MANAGER = "anomaly-operator"

MANAGED_BY = "app.kubernetes.io/managed-by"
DETECTOR_UID = f"{PREFIX}/detector-uid"
DETECTOR_NAME = f"{PREFIX}/detector"
DETECTOR_NAMESPACE = f"{PREFIX}/detector-namespace"
FOR = f"{PREFIX}/for"
APPLIED_HASH = f"{PREFIX}/applied-hash"
REOPEN_HASH = f"{PREFIX}/reopen-hash"

MANAGED = f"{MANAGED_BY}={FIELD_MANAGER},{DETECTOR_UID}"
"""Label selector of everything the operator has made."""

# A StatefulSet's name plus an 11-character revision suffix is a label value of at most 63.
_NAME_LENGTH = 50
_LABEL_LENGTH = 63


class ChildKey(NamedTuple):
    """Where a child is: kind, namespace ("" when cluster-scoped) and name."""

    kind: str
    namespace: str
    name: str


def key_of(body: Mapping[str, Any]) -> ChildKey:
    """Key of an object as the API gives it."""
    metadata = body["metadata"]
    return ChildKey(body["kind"], metadata.get("namespace", ""), metadata["name"])


def child_name(name: str, uid: str) -> str:
    """Name shared by a detector's children; a DNS label that starts with a letter.

    Examples
    --------
    >>> child_name("pods.memory", "6a1f")
    'andet-pods-memory-692ac79f'
    >>> len(child_name("x" * 253, "6a1f"))
    50
    """
    digest = hashlib.sha256(uid.encode()).hexdigest()[:8]
    room = _NAME_LENGTH - len("andet--") - len(digest)
    stem = re.sub(r"[^a-z0-9-]", "-", name.lower())[:room].strip("-")
    return f"andet-{stem}-{digest}"


def label_value(text: str) -> str:
    """Text as a label value: as it is where it fits, else cut and told apart by a hash.

    Examples
    --------
    >>> label_value("payments"), len(label_value("x" * 253))
    ('payments', 63)
    """
    if len(text) <= _LABEL_LENGTH:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: _LABEL_LENGTH - 9].rstrip('-._')}-{digest}"


def selector_labels(uid: str) -> dict[str, str]:
    """Labels that choose a detector's pods; they can never change."""
    return {MANAGED_BY: FIELD_MANAGER, DETECTOR_UID: uid}


def child_labels(name: str, namespace: str, uid: str) -> dict[str, str]:
    """Labels on every child."""
    return {
        "app.kubernetes.io/name": "anomaly-worker",
        "app.kubernetes.io/part-of": "anomaly-operator",
        **selector_labels(uid),
        DETECTOR_NAME: label_value(name),
        DETECTOR_NAMESPACE: label_value(namespace),
    }
