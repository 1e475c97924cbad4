"""CustomResourceDefinitions from the pydantic models.

pydantic speaks JSON Schema 2020; a CRD takes the structural subset of OpenAPI 3.0. Each difference
is one small step below. What a CRD cannot hold raises TypeError while generating, rather than being
dropped in silence and refused, or not, by some API server later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from anomaly_operator.api.group import CATEGORY, GROUP, VERSION
from anomaly_operator.api.v1alpha1.kinds import Kind

_Schema = dict[str, Any]

_KEPT = frozenset(
    {
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "required",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    }
)
_HANDLED = frozenset(
    {
        "title",
        "$defs",
        "additionalProperties",
        "patternProperties",
        "properties",
        "propertyNames",
    }
)
_HEADER = "# Generated from the API models by `make generate`; edit those instead.\n"
_IN_A_LIST = re.compile(r"^\w+\.spec\..*\[\]")
_FORMATS = {"integer": "int64", "number": "double"}


def custom_resource_definition(kind: Kind) -> dict[str, Any]:
    """Render the CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": kind.crd_name,
            "labels": {"app.kubernetes.io/part-of": "anomaly-operator"},
        },
        "spec": {
            "group": GROUP,
            "scope": kind.scope,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": [CATEGORY],
            },
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column.document() for column in kind.columns],
        **(
            {"selectableFields": [{"jsonPath": p} for p in kind.selectable]}
            if kind.selectable
            else {}
        ),
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": root_schema(kind)},
    }


def root_schema(kind: Kind) -> _Schema:
    """Structural schema of a whole object; metadata is the API server's own business."""
    schema = kind.model.model_json_schema(by_alias=True, mode="serialization")
    root = _structural(schema, schema.get("$defs", {}), path=kind.name)
    root["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        **{k: v for k, v in root["properties"].items() if k in {"spec", "status"}},
    }
    root["required"] = [name for name in root.get("required", ()) if name == "spec"]
    return root


def _structural(schema: Mapping[str, Any], defs: Mapping[str, Any], *, path: str) -> _Schema:
    node = _without_null(_inlined(schema, defs), defs, path=path)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    for limit, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if limit in node:
            node[bound] = node[limit]
    result = {key: value for key, value in node.items() if key in _KEPT}
    for limit in ("exclusiveMinimum", "exclusiveMaximum"):
        if limit in node:
            result[limit] = True
            node.pop(limit)
    strange = sorted(set(node) - _KEPT - _HANDLED)
    if strange:
        message = f"{path}: a CRD cannot hold {', '.join(strange)}"
        raise TypeError(message)
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    _tidy_default(result, path=path)
    if node.get("type") in _FORMATS:
        result.setdefault("format", _FORMATS[node["type"]])
    if node.get("type") == "object":
        result |= _object(node, defs, path=path)
    elif node.get("type") == "array":
        result["items"] = _structural(node["items"], defs, path=f"{path}[]")
        result.setdefault("x-kubernetes-list-type", "atomic")
    elif "type" not in node and "x-kubernetes-int-or-string" not in node:
        message = f"{path}: a CRD needs a type"
        raise TypeError(message)
    return result


def _tidy_default(node: _Schema, *, path: str) -> None:
    if _IN_A_LIST.search(path):
        # A list that a person writes is replaced whole. Filled in by the API server it would differ
        # from what was applied for ever: kubectl would say "configured" every time.
        node.pop("default", None)
    default = node.get("default", "")
    if isinstance(default, Mapping):
        # An API server refuses null inside a default where the field is not nullable.
        node["default"] = default = {k: v for k, v in default.items() if v is not None}
    if default in ([], {}, None):
        # An empty default only makes `-o yaml` longer: absent reads the same.
        del node["default"]


def _object(node: _Schema, defs: Mapping[str, Any], *, path: str) -> _Schema:
    if "properties" in node:
        properties = {
            name: _structural(child, defs, path=f"{path}.{name}")
            for name, child in node["properties"].items()
        }
        return {"properties": properties}
    by_pattern = list(node.get("patternProperties", {}).values())
    values = by_pattern[0] if len(by_pattern) == 1 else node.get("additionalProperties")
    if not isinstance(values, Mapping):
        message = f"{path}: an object needs properties, or a schema for its values"
        raise TypeError(message)
    extra: _Schema = {"additionalProperties": _structural(values, defs, path=f"{path}{{}}")}
    names = node.get("propertyNames", {}).get("enum")
    if names:
        # The key's own pattern has no place in a CRD, nor is a key's length known to the CEL
        # estimator; a closed set of names can be compared within the budget.
        rule = f"self.all(key, key in {names!r})"
        message = f"keys can only be {', '.join(names)}"
        extra["x-kubernetes-validations"] = [{"rule": rule, "message": message}]
    return extra


def _inlined(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> _Schema:
    node = dict(schema)
    while "$ref" in node:
        target = defs[node.pop("$ref").removeprefix("#/$defs/")]
        node = {**target, **node}
    return node


def _without_null(node: _Schema, defs: Mapping[str, Any], *, path: str) -> _Schema:
    """``T | None`` becomes T that may be absent; any other union raises."""
    choices = node.pop("anyOf", None)
    if choices is None:
        return node
    real = [choice for choice in choices if choice.get("type") != "null"]
    if len(real) != 1 or len(real) == len(choices):
        message = f"{path}: a CRD cannot hold a union of {len(real)} types"
        raise TypeError(message)
    return {**_inlined(real[0], defs), **node}


class _Dumper(yaml.SafeDumper):
    """YAML without anchors, lists indented as Kubernetes manifests have them."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def crd_yaml(document: Mapping[str, Any]) -> str:
    """Spell a CRD as it stands in ``crds/``."""
    return _HEADER + yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )
