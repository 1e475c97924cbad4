"""Validation of CustomResourceDefinitions: names, versions, structural schemas, CEL rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anomaly_operator.devcluster.apiserver.cel.definition_rules import rule_definition_causes
from anomaly_operator.devcluster.apiserver.crd_schemas import schema_from_crd
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.refusals import (
    Cause,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from anomaly_operator.devcluster.apiserver.schema_checks import check

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_LOGICAL = ("allOf", "anyOf", "oneOf")
# Inside allOf, anyOf, oneOf and not only value validations may stand, no structure.
_STRUCTURAL_ONLY = (
    "type",
    "description",
    "default",
    "additionalProperties",
    "nullable",
    "x-kubernetes-preserve-unknown-fields",
)


def definition_causes(new: Document, old: Document | None) -> Iterator[Cause]:
    """Yield what is wrong with a definition."""
    spec = new.get("spec") or {}
    names = spec.get("names") or {}
    name, group = new["metadata"]["name"], spec.get("group") or ""
    if not group:
        yield required("spec.group")
    if name != f"{names.get('plural')}.{group}":
        yield invalid_value("metadata.name", name, text='must be spec.names.plural+"."+spec.group')
    if spec.get("scope") not in {"Cluster", "Namespaced"}:
        supported = ("Cluster", "Namespaced")
        yield not_supported("spec.scope", spec.get("scope"), supported=supported)
    for part in ("plural", "kind"):
        if not names.get(part):
            yield required(f"spec.names.{part}")
    if group.endswith((".k8s.io", ".kubernetes.io")) and "api-approved.kubernetes.io" not in (
        new["metadata"].get("annotations") or {}
    ):
        yield required(
            "metadata.annotations[api-approved.kubernetes.io]",
            "protected groups must have approval annotation "
            '"api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
        )
    yield from _version_causes(spec)
    if old is not None:
        before = old.get("spec") or {}
        for field in ("group", "scope"):
            if spec.get(field) != before.get(field):
                yield invalid_value(f"spec.{field}", spec.get(field), text="field is immutable")
        if names.get("kind") != (before.get("names") or {}).get("kind"):
            yield invalid_value("spec.names.kind", names.get("kind"), text="field is immutable")


def _version_causes(spec: Document) -> Iterator[Cause]:
    versions = spec.get("versions") or []
    if sum(1 for version in versions if version.get("storage")) != 1:
        yield invalid_value(
            "spec.versions",
            versions,
            text="must have exactly one version marked as storage version",
        )
    for index, version in enumerate(versions):
        # A schema that all versions share is looked at once, where older definitions had it.
        alone = len(versions) == 1
        place = "spec.validation" if alone else f"spec.versions[{index}].schema"
        path = f"{place}.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield required(path, "schemas are required")
            continue
        problems = list(structure_causes(schema, path=path, top=True))
        if not problems:
            problems = list(_default_causes(schema, path=path))
        yield from problems
        if not problems:
            yield from rule_definition_causes(schema, path=path)


def _default_causes(schema: Document, *, path: str) -> Iterator[Cause]:
    """Yield where a default would not pass the schema it stands in."""
    if "default" in schema:
        for cause in check(schema["default"], schema_from_crd(schema)):
            place = f"{path}.default{'.' if cause.field else ''}{cause.field}"
            yield Cause(place, cause.reason, cause.text.replace("<nil> in body", " in body"))
    for name, child in (schema.get("properties") or {}).items():
        yield from _default_causes(child, path=f"{path}.properties[{name}]")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _default_causes(schema[name], path=f"{path}.{name}")


def structure_causes(schema: Document, *, path: str, top: bool = False) -> Iterator[Cause]:
    """Yield where a schema is not structural, or uses what apiextensions/v1 forbids."""
    kind = schema.get("type")
    loose = schema.get("x-kubernetes-int-or-string") or schema.get(
        "x-kubernetes-preserve-unknown-fields"
    )
    if not kind and not loose:
        yield required(
            f"{path}.type",
            "must not be empty for specified object fields"
            if not top
            else "must not be empty at the root",
        )
    elif kind and kind not in _TYPES:
        yield not_supported(f"{path}.type", kind, supported=_TYPES)
    elif top and kind != "object":
        yield invalid_value(f"{path}.type", kind, text="must be object at the root")
    yield from _keyword_causes(schema, path=path)
    yield from _list_causes(schema, path=path)
    for name in _LOGICAL:
        for index, each in enumerate(schema.get(name) or []):
            yield from _logical_causes(each, path=f"{path}.{name}[{index}]")
    if schema.get("not"):
        yield from _logical_causes(schema["not"], path=f"{path}.not")
    for name, child in (schema.get("properties") or {}).items():
        if top and name == "metadata":
            continue
        yield from structure_causes(child, path=f"{path}.properties[{name}]")
    if isinstance(schema.get("items"), dict):
        yield from structure_causes(schema["items"], path=f"{path}.items")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from structure_causes(
            schema["additionalProperties"], path=f"{path}.additionalProperties"
        )


def _keyword_causes(schema: Document, *, path: str) -> Iterator[Cause]:
    if schema.get("$ref"):
        yield forbidden_field(f"{path}.$ref", "$ref is not supported")
    if schema.get("uniqueItems"):
        yield forbidden_field(
            f"{path}.uniqueItems",
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        )
    if schema.get("additionalProperties") and schema.get("properties"):
        yield forbidden_field(
            f"{path}.additionalProperties",
            "additionalProperties and properties are mutual exclusive",
        )
    for name in ("definitions", "dependencies", "patternProperties", "id", "additionalItems"):
        if schema.get(name):
            yield forbidden_field(f"{path}.{name}", f"{name} is not supported")
    if schema.get("type") == "array" and not schema.get("items"):
        yield required(f"{path}.items", "must be specified")


def _list_causes(schema: Document, *, path: str) -> Iterator[Cause]:
    list_type = schema.get("x-kubernetes-list-type")
    if list_type is None:
        return
    if list_type not in {"atomic", "set", "map"}:
        supported = ("atomic", "map", "set")
        yield not_supported(f"{path}.x-kubernetes-list-type", list_type, supported=supported)
    items: dict[str, Any] = schema.get("items") or {}
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if list_type != "map":
        return
    if not keys:
        yield required(
            f"{path}.x-kubernetes-list-map-keys",
            "must not be empty if x-kubernetes-list-type is map",
        )
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        place = f"{path}.x-kubernetes-list-map-keys[{index}]"
        if key not in properties:
            yield invalid_value(place, key, text="entries must all be names of item properties")
        elif key not in (items.get("required") or []) and "default" not in properties[key]:
            yield required(
                f"{path}.items.properties[{key}].default",
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a "
                "required property",
            )


def _logical_causes(schema: Document, *, path: str) -> Iterator[Cause]:
    for name in _STRUCTURAL_ONLY:
        # The one exception in the rules: int-or-string spells its types as anyOf.
        if name in schema and not (name == "type" and schema["type"] in {"integer", "string"}):
            yield forbidden_field(f"{path}.{name}", "must be empty to be structural")
    for name, child in (schema.get("properties") or {}).items():
        yield from _logical_causes(child, path=f"{path}.properties[{name}]")
