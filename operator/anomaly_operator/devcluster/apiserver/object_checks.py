"""What holds for every object whatever its kind: names, labels, metadata that may not change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from anomaly_operator.devcluster.apiserver import refusals
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.formats import is_dns_label, is_dns_subdomain
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.refusals import Cause
from anomaly_operator.devcluster.apiserver.schema_checks import json_type
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used "
    "for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_NAME_PART = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
# Kinds whose names are single labels; RBAC kinds take any path segment.
_LABEL_NAMED = {"/namespaces", "/services"}
_FREE_NAMED_GROUP = "rbac.authorization.k8s.io"
_OWNER_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
_TOTAL_ANNOTATION_BYTES = 256 * 1024


def metadata_causes(kind: KindInfo, document: Document) -> Iterator[Cause]:
    """Yield what is wrong with an object's name, labels and annotations."""
    metadata = document["metadata"]
    yield from _name_causes(kind, str(metadata.get("name") or ""))
    for key, value in (metadata.get("labels") or {}).items():
        yield from _qualified_causes("metadata.labels", key)
        if len(value) > 63 or not _LABEL_VALUE.match(value):
            text = _LABEL_VALUE_TEXT if len(value) <= 63 else "must be no more than 63 bytes"
            yield refusals.invalid_value("metadata.labels", value, text=text)
    size = 0
    for key, value in (metadata.get("annotations") or {}).items():
        yield from _qualified_causes("metadata.annotations", key.lower())
        size += len(key.encode()) + len(value.encode())
    if size > _TOTAL_ANNOTATION_BYTES:
        text = f"Too long: may not be more than {_TOTAL_ANNOTATION_BYTES} bytes"
        yield Cause("metadata.annotations", "FieldValueTooLong", text)
    yield from _owner_causes(metadata.get("ownerReferences") or [])


def _owner_causes(owners: list[Document]) -> Iterator[Cause]:
    for owner in owners:
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                yield refusals.invalid_value(
                    f"metadata.ownerReferences.{name}", "", text="must not be empty"
                )
    controllers = [f"{each['kind']}/{each['name']}" for each in owners if each.get("controller")]
    if len(controllers) > 1:
        shown = [
            {name: each[name] for name in _OWNER_FIELDS if each.get(name) is not None}
            for each in owners
        ]
        text = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}"
        )
        yield refusals.invalid_value("metadata.ownerReferences", shown, text=text)


def _name_causes(kind: KindInfo, name: str) -> Iterator[Cause]:
    if not name:
        yield refusals.required("metadata.name", "name or generateName is required")
    elif kind.group == _FREE_NAMED_GROUP:
        if name in {"", ".", ".."} or "/" in name or "%" in name:
            yield refusals.invalid_value("metadata.name", name, text="may not contain '/' or '%'")
    elif kind.store in _LABEL_NAMED:
        if not is_dns_label(name):
            yield refusals.invalid_value("metadata.name", name, text=LABEL_TEXT)
    elif not is_dns_subdomain(name):
        yield refusals.invalid_value("metadata.name", name, text=_SUBDOMAIN_TEXT)


def _qualified_causes(field: str, key: str) -> Iterator[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and not is_dns_subdomain(prefix):
        yield refusals.invalid_value(field, key, text=f"prefix part {_SUBDOMAIN_TEXT}")
    if not name:
        yield refusals.invalid_value(field, key, text="name part must be non-empty")
    if len(name) > 63 or not _NAME_PART.match(name):
        yield refusals.invalid_value(field, key, text=_QUALIFIED_TEXT)


_IMMUTABLE = ("uid", "creationTimestamp", "namespace")


def update_causes(new: Document, old: Document) -> Iterator[Cause]:
    """Yield metadata changes an update may not make."""
    before, after = old["metadata"], new["metadata"]
    if after.get("name") != before.get("name"):
        yield refusals.invalid_value("metadata.name", after.get("name"), text="field is immutable")
    for field in _IMMUTABLE:
        if after.get(field) != before.get(field):
            yield refusals.invalid_value(
                f"metadata.{field}", after.get(field), text="field is immutable"
            )
    if before.get("deletionTimestamp") is not None:
        fresh = set(after.get("finalizers") or []) - set(before.get("finalizers") or [])
        if fresh:
            shown = ", ".join(f'"{name}"' for name in sorted(fresh))
            yield refusals.forbidden_field(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{shown}}}",
            )


_GO_TYPES = {"string": "string", "integer": "int64", "boolean": "bool", "number": "float64"}


def decoding_problem(value: Any, schema: SchemaNode, *, path: str = "") -> str | None:
    """Return what Go's decoder says of the first value of a wrong type, or None.

    Built-in kinds, and the metadata of every kind, are decoded into Go structs, so a wrong type is
    a 400 with this wording rather than a validation error.
    """
    if value is None or schema.int_or_string:
        return None
    found = json_type(value)
    found = "number" if found == "integer" and schema.type == "number" else found
    if schema.type and found != schema.type:
        shown = {"integer": "number", "boolean": "bool"}.get(found, found)
        wanted = _GO_TYPES.get(schema.type, schema.type_label or schema.type)
        return f"json: cannot unmarshal {shown} into Go struct field {path} of type {wanted}"
    if isinstance(value, dict):
        for name, item in value.items():
            child = schema.child(name)
            if child is not None:
                # A key of a map is data, and no part of the path.
                place = f"{path}.{name}" if name in schema.properties else path
                problem = decoding_problem(item, child, path=place)
                if problem:
                    return problem
    if isinstance(value, list) and schema.items is not None:
        for item in value:
            problem = decoding_problem(item, schema.items, path=path)
            if problem:
                return problem
    return None
