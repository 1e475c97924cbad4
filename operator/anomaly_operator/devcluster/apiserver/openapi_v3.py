"""/openapi/v3: what ``kubectl explain`` and schema-aware clients read, from the schema trees."""

from __future__ import annotations

import hashlib
from typing import Any

from aiohttp import web

from anomaly_operator.devcluster.apiserver import answers
from anomaly_operator.devcluster.apiserver.catalog import Catalog
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.refusals import no_such_path
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode


def answer(catalog: Catalog, request: web.Request) -> web.Response:
    """Answer the index, or the document of one group and version."""
    path = request.path.removeprefix("/openapi/v3").strip("/")
    if not path:
        return answers.json_answer({"paths": _index(catalog)})
    parts = path.split("/")
    group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], (*parts, "")[2])
    kinds = catalog.kinds(group, version)
    if not kinds:
        raise no_such_path()
    return answers.json_answer(document_of(kinds))


def _index(catalog: Catalog) -> Document:
    paths: Document = {}
    for group in catalog.groups():
        for version in catalog.versions(group):
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            # The hash makes clients fetch anew after a definition changed.
            mark = f"{path}@{catalog.generation}"
            digest = hashlib.sha256(mark.encode()).hexdigest()[:32].upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return paths


def document_of(kinds: list[KindInfo]) -> Document:
    """Return the OpenAPI document of the kinds of one group and version."""
    schemas: Document = {}
    paths: Document = {}
    for kind in kinds:
        name = _component(kind)
        known: dict[int, str] = {}
        schemas[name] = _schema(kind.schema, schemas, known, root=True)
        schemas[name]["x-kubernetes-group-version-kind"] = [
            {"group": kind.group, "kind": kind.kind, "version": kind.version}
        ]
        base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        scope = "/namespaces/{namespace}" if kind.namespaced else ""
        paths[f"{base}{scope}/{kind.plural}/{{name}}"] = _operations(kind, name)
        paths[f"{base}{scope}/{kind.plural}"] = _operations(kind, name)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _component(kind: KindInfo) -> str:
    group = ".".join(reversed(kind.group.split("."))) if kind.group else "io.k8s.api.core"
    return f"{group}.{kind.version}.{kind.kind}"


def _operations(kind: KindInfo, name: str) -> Document:
    identity = {"group": kind.group, "kind": kind.kind, "version": kind.version}
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    answered = {"200": {"description": "OK", "content": content}}
    query = [
        {"name": option, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for option in ("fieldValidation", "dryRun", "fieldManager")
    ]
    return {
        method: {
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": identity,
            "parameters": query,
            "responses": answered,
        }
        for method, action in (("get", "get"), ("patch", "patch"), ("put", "put"), ("post", "post"))
    }


def _schema(
    node: SchemaNode, schemas: Document, known: dict[int, str], *, root: bool = False
) -> Document:
    """Return a node's schema; named types become components, which also ends recursion."""
    if not root and node.type_label and node.properties:
        return {"allOf": [{"$ref": _component_of(node, schemas, known)}]}
    shown: Document = {}
    if node.type:
        shown["type"] = node.type
    if node.description:
        shown["description"] = node.description
    if node.properties:
        shown["properties"] = {
            name: _described(child, _schema(child, schemas, known))
            for name, child in node.properties.items()
        }
    if node.items is not None:
        shown["items"] = _schema(node.items, schemas, known)
    if node.additional is not None:
        shown["additionalProperties"] = _schema(node.additional, schemas, known)
    if node.required:
        shown["required"] = list(node.required)
    if node.has_default:
        shown["default"] = node.default
    return shown | node.limits | _extensions(node)


def _described(child: SchemaNode, schema: Document) -> Document:
    return schema | {"description": child.description} if child.description else schema


def _component_of(node: SchemaNode, schemas: Document, known: dict[int, str]) -> str:
    name = known.get(id(node))
    if name is None:
        name = known[id(node)] = f"io.k8s.types.{node.type_label}"
        schemas[name] = {}
        schemas[name] = _schema(node, schemas, known, root=True)
    return f"#/components/schemas/{name}"


def _extensions(node: SchemaNode) -> Document:
    found: dict[str, Any] = {}
    if node.preserve:
        found["x-kubernetes-preserve-unknown-fields"] = True
    if node.int_or_string:
        found["x-kubernetes-int-or-string"] = True
    if node.type == "array" and node.list_type != "atomic":
        found["x-kubernetes-list-type"] = node.list_type
        if node.map_keys:
            found["x-kubernetes-list-map-keys"] = list(node.map_keys)
    if node.rules:
        found["x-kubernetes-validations"] = list(node.rules)
    return found
