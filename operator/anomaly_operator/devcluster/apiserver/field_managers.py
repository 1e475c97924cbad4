"""Who owns which field: managedFields through creates, updates and applies.

The rules are those of Kubernetes' server-side apply: an applier owns what it applies, loses what
it applies no longer, and may not change what another owns unless it forces; an updater owns what
it changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from anomaly_operator.devcluster.apiserver.documents import Document, now_text
from anomaly_operator.devcluster.apiserver.field_sets import (
    EMPTY,
    UNOWNED,
    FieldSet,
    fields_of,
    from_fields_v1,
    shown_path,
    to_fields_v1,
    with_named_parents,
)
from anomaly_operator.devcluster.apiserver.refusals import Refusal
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode
from anomaly_operator.devcluster.apiserver.typed_merging import (
    Comparison,
    compare,
    drop_below,
    merge,
    remove,
)

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class ManagerId:
    """What tells one entry of managedFields from another; appliers carry no version in it."""

    name: str
    operation: str
    subresource: str = ""
    api_version: str = ""


@dataclass(frozen=True, slots=True)
class Ownership:
    """What one manager owns, in which version it said so, and when."""

    fields: FieldSet
    api_version: str
    time: str


Owners = dict[ManagerId, Ownership]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, through which version and subresource; ``ignored`` fields do not count there."""

    name: str
    api_version: str
    subresource: str = ""
    ignored: FieldSet = field(default=EMPTY)

    def id_for(self, operation: str) -> ManagerId:
        """Return the identity of this writer's entry."""
        version = self.api_version if operation == "Update" else ""
        return ManagerId(self.name, operation, self.subresource, version)


def read_owners(document: Document) -> Owners:
    """Return the owners that stand in an object's managedFields."""
    owners: Owners = {}
    for entry in (document.get("metadata") or {}).get("managedFields") or []:
        if not isinstance(entry, dict) or not entry.get("operation"):
            continue
        operation = str(entry["operation"])
        version = str(entry.get("apiVersion") or "")
        identity = ManagerId(
            str(entry.get("manager") or ""),
            operation,
            str(entry.get("subresource") or ""),
            version if operation == "Update" else "",
        )
        owners[identity] = Ownership(
            from_fields_v1(entry.get("fieldsV1") or {}), version, str(entry.get("time") or "")
        )
    return owners


def write_owners(document: Document, owners: Owners) -> None:
    """Put the owners into an object, appliers first, then by time, as the server sorts them."""
    entries = []
    for identity, owned in owners.items():
        entry: Document = {
            "manager": identity.name,
            "operation": identity.operation,
            "apiVersion": owned.api_version,
        }
        if owned.time:
            entry["time"] = owned.time
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": to_fields_v1(owned.fields)}
        if identity.subresource:
            entry["subresource"] = identity.subresource
        entries.append(entry)
    entries.sort(
        key=lambda each: (each["operation"] != "Apply", each.get("time", ""), each["manager"])
    )
    metadata = document["metadata"]
    metadata.pop("managedFields", None)
    if entries:
        metadata["managedFields"] = entries


def bare(document: Document) -> Document:
    """Return a shallow copy without managedFields: the value whose fields are owned."""
    metadata = dict(document.get("metadata") or {})
    metadata.pop("managedFields", None)
    return document | {"metadata": metadata}


def track_update(
    live: Document, new: Document, schema: SchemaNode, *, owners: Owners, writer: Writer
) -> Owners:
    """Return the owners after a create, replace or patch: who changes a field owns it alone."""
    changes = compare(bare(live), bare(new), schema).minus(writer.ignored)
    identity = writer.id_for("Update")
    changed = (changes.added | changes.modified) - UNOWNED
    after = _lose(owners, changes, except_for=None)
    if changed:
        before = after.get(identity)
        mine = changed | (before.fields if before else EMPTY)
        earlier = owners.get(identity)
        same = earlier is not None and earlier.fields == mine
        time = earlier.time if same and earlier else now_text()
        after[identity] = Ownership(mine, writer.api_version, time)
    return after


def _lose(owners: Owners, changes: Comparison, *, except_for: ManagerId | None) -> Owners:
    gone = changes.added | changes.modified | changes.removed
    after: Owners = {}
    for identity, owned in owners.items():
        fields = owned.fields - (changes.removed if identity == except_for else gone)
        if fields:
            same = len(fields) == len(owned.fields)
            after[identity] = owned if same else replace(owned, fields=fields)
    return after


def apply_changes(
    live: Document,
    applied: Document,
    schema: SchemaNode,
    *,
    owners: Owners,
    writer: Writer,
    force: bool,
) -> tuple[Document, Owners]:
    """Return the object and owners after a server-side apply, or refuse with every conflict."""
    identity = writer.id_for("Apply")
    live, applied = bare(live), bare(applied)
    if not owners and live.get("metadata", {}).get("uid"):
        owners = _before_first_apply(live, schema, writer=writer)
    last = owners[identity].fields if identity in owners else EMPTY
    mine = drop_below(fields_of(applied, schema), writer.ignored) - UNOWNED
    held = dict(owners)
    held[identity] = Ownership(mine, writer.api_version, now_text())
    merged = _prune(merge(live, applied, schema), schema, owners=held, last=last)
    changes = compare(live, merged, schema).minus(writer.ignored)
    if not force:
        allowed = _applied_by_annotation(live, schema) if writer.name == "kubectl" else EMPTY
        _refuse_conflicts(owners, changes, mine=identity, allowed=allowed)
    after = _lose(held, changes, except_for=identity)
    if mine and identity in after:
        before = owners.get(identity)
        if not (changes.added or changes.modified or changes.removed):
            # Who only comes to own what is there already has changed nothing, at no time.
            after[identity] = replace(after[identity], time=before.time if before else "")
    return merged, after


def _before_first_apply(live: Document, schema: SchemaNode, *, writer: Writer) -> Owners:
    elder = Writer("before-first-apply", writer.api_version)
    return track_update({"metadata": {}}, live, schema, owners={}, writer=elder)


def _prune(merged: Any, schema: SchemaNode, *, owners: Owners, last: FieldSet) -> Any:
    """Take out what this applier applied last time and nobody holds now."""
    if not last:
        return merged
    # Metadata itself stays: its name and UID are nobody's.
    last = with_named_parents(last, schema) - UNOWNED
    pruned = remove(merged, last, schema)
    managed: FieldSet = frozenset().union(*(owned.fields for owned in owners.values()))
    whole = with_named_parents(fields_of(merged, schema), schema)
    kept = with_named_parents(fields_of(pruned, schema), schema)
    pruned = remove(merged, whole - (kept | with_named_parents(managed, schema)), schema)
    kept = with_named_parents(fields_of(pruned, schema), schema)
    return remove(merged, (whole - kept) & last, schema)


def _applied_by_annotation(live: Document, schema: SchemaNode) -> FieldSet:
    """Return the fields that ``kubectl apply`` wrote before it applied on the server.

    They are kubectl's though another manager's name stands beside them, as long as they are as it
    left them.
    """
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    try:
        before = orjson.loads(annotations.get(LAST_APPLIED) or "null")
    except orjson.JSONDecodeError:
        return EMPTY
    if not isinstance(before, dict) or before.get("apiVersion") != live.get("apiVersion"):
        return EMPTY
    changes = compare(before, live, schema)
    return fields_of(before, schema) - changes.added - changes.modified - changes.removed


def _refuse_conflicts(
    owners: Owners, changes: Comparison, *, mine: ManagerId, allowed: FieldSet
) -> None:
    touched = (changes.added | changes.modified) - allowed
    conflicts = [
        (identity, path)
        for identity, owned in owners.items()
        if identity != mine
        for path in sorted(owned.fields & touched)
    ]
    if conflicts:
        raise _conflict(conflicts)


def _shown_manager(identity: ManagerId) -> str:
    text = f'"{identity.name}"'
    if identity.subresource:
        text += f' with subresource "{identity.subresource}"'
    return f"{text} using {identity.api_version}" if identity.operation == "Update" else text


def _conflict(conflicts: Iterable[tuple[ManagerId, tuple[str, ...]]]) -> Refusal:
    shown = [(_shown_manager(identity), shown_path(path)) for identity, path in conflicts]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, path in shown
    ]
    if len(shown) == 1:
        manager, path = shown[0]
        message = f"Apply failed with 1 conflict: conflict with {manager}: {path}"
    else:
        lines = []
        for manager in sorted({manager for manager, _ in shown}):
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {path}" for each, path in shown if each == manager]
        message = f"Apply failed with {len(shown)} conflicts: " + "\n".join(lines)
    return Refusal(409, "Conflict", message=message, details={"causes": causes})
