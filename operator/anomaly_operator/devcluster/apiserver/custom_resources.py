"""Follows CustomResourceDefinitions: serves what they define, sets their conditions, cleans up."""

from __future__ import annotations

from typing import Any

from anomaly_operator.devcluster.apiserver import jsonpath
from anomaly_operator.devcluster.apiserver.catalog import Catalog
from anomaly_operator.devcluster.apiserver.crd_schemas import schema_from_crd
from anomaly_operator.devcluster.apiserver.deleting import DeleteOptions, is_finished
from anomaly_operator.devcluster.apiserver.documents import (
    Document,
    clone,
    encode,
    look_up,
    now_text,
)
from anomaly_operator.devcluster.apiserver.kinds import KindInfo, ScalePaths
from anomaly_operator.devcluster.apiserver.printer_columns import AGE, NAME, Column, age
from anomaly_operator.devcluster.apiserver.registry import Registry
from anomaly_operator.devcluster.apiserver.storage import Change

DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


class CustomResources:
    """Keeps the catalog in step with the stored definitions."""

    def __init__(self, catalog: Catalog, registry: Registry) -> None:
        self._catalog = catalog
        self._registry = registry
        self._store = registry.store
        self._ending: dict[str, tuple[str, str]] = {}
        for key, stored in list(self._store.items(DEFINITIONS)):
            self._serve(key[1], stored.document)
        self._store.listen(self._on_change)

    def _on_change(self, table: str, change: Change) -> None:
        if table == DEFINITIONS:
            self._on_definition(change)
        elif change.type == "DELETED" and table in self._ending:
            self._finish(table)

    def _on_definition(self, change: Change) -> None:
        definition = change.stored.document
        if change.type == "DELETED":
            spec = definition["spec"]
            self._catalog.replace_group_resource(spec["group"], spec["names"]["plural"], ())
            self._store.drop_table(_table_of(definition))
            self._ending.pop(_table_of(definition), None)
            return
        self._serve(change.key[1], definition)

    def _serve(self, name: str, definition: Document) -> None:
        spec = definition["spec"]
        kinds = kinds_of(definition)
        self._catalog.replace_group_resource(spec["group"], spec["names"]["plural"], kinds)
        wanted = with_status(definition)
        if wanted != definition:
            self._store.put(DEFINITIONS, ("", name), document=wanted)
        elif definition["metadata"].get("deletionTimestamp"):
            self._clean_up(name, definition)

    def _clean_up(self, name: str, definition: Document) -> None:
        table = _table_of(definition)
        if table in self._ending:
            return
        self._ending[table] = ("", name)
        storage = next(
            kind for kind in kinds_of(definition) if kind.version == kind.storage_version
        )
        keys = [key for key, _ in self._store.items(table)]
        self._registry.delete_collection(storage, keys, options=DeleteOptions())
        self._finish(table)

    def _finish(self, table: str) -> None:
        if self._store.table(table).objects or table not in self._ending:
            return
        key = self._ending.pop(table)
        stored = self._store.get(DEFINITIONS, key)
        if stored is None:
            return
        definition = clone(stored.document)
        finalizers = definition["metadata"].get("finalizers") or []
        definition["metadata"]["finalizers"] = [each for each in finalizers if each != CLEANUP]
        if is_finished(definition):
            self._store.remove(DEFINITIONS, key)
        else:
            self._store.put(DEFINITIONS, key, document=definition)


def _table_of(definition: Document) -> str:
    spec = definition["spec"]
    return f"{spec['group']}/{spec['names']['plural']}"


def with_status(definition: Document) -> Document:
    """Return a definition as the server's controllers leave it: established and guarded."""
    made: Document = clone(definition)
    spec, metadata = made["spec"], made["metadata"]
    status = made.setdefault("status", {})
    ending = metadata.get("deletionTimestamp") is not None
    if not ending and CLEANUP not in (metadata.get("finalizers") or []):
        metadata["finalizers"] = [*(metadata.get("finalizers") or []), CLEANUP]
    status["acceptedNames"] = clone(spec["names"])
    storage = next(each["name"] for each in spec["versions"] if each.get("storage"))
    stored = status.setdefault("storedVersions", [])
    if storage not in stored:
        stored.append(storage)
    texts = {
        "NamesAccepted": ("NoConflicts", "no conflicts found"),
        "Established": ("InitialNamesAccepted", "the initial names have been accepted"),
    }
    if ending:
        texts["Terminating"] = (
            "InstanceDeletionInProgress",
            "CustomResource deletion is in progress",
        )
    conditions = status.setdefault("conditions", [])
    known = {each["type"] for each in conditions}
    for name, (reason, message) in texts.items():
        if name not in known:
            conditions.append(
                {
                    "lastTransitionTime": now_text(),
                    "message": message,
                    "reason": reason,
                    "status": "True",
                    "type": name,
                }
            )
    return made


def kinds_of(definition: Document) -> tuple[KindInfo, ...]:
    """Return a kind for each served version of a definition."""
    spec = definition["spec"]
    names = spec["names"]
    storage = next(each["name"] for each in spec["versions"] if each.get("storage"))
    kinds = []
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        kinds.append(
            KindInfo(
                group=spec["group"],
                version=version["name"],
                kind=names["kind"],
                plural=names["plural"],
                namespaced=spec["scope"] == "Namespaced",
                schema=schema_from_crd(
                    look_up(version, ("schema", "openAPIV3Schema")) or {}, top=True
                ),
                singular=names.get("singular") or names["kind"].lower(),
                list_kind=names.get("listKind") or f"{names['kind']}List",
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                has_status="status" in subresources,
                scale=_scale(subresources.get("scale")),
                has_generation=True,
                columns=_columns(version.get("additionalPrinterColumns")),
                selectable_fields=tuple(
                    str(each["jsonPath"]).removeprefix(".")
                    for each in version.get("selectableFields") or []
                ),
                is_custom=True,
                storage_version=storage,
                warning=_deprecation(spec, version) if version.get("deprecated") else "",
            )
        )
    return tuple(kinds)


def _deprecation(spec: Document, version: Document) -> str:
    plain = f"{spec['group']}/{version['name']} {spec['names']['kind']} is deprecated"
    return str(version.get("deprecationWarning") or plain)


def _path(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(".")))


def _scale(declared: Document | None) -> ScalePaths | None:
    if declared is None:
        return None
    selector = declared.get("labelSelectorPath")
    return ScalePaths(
        _path(declared["specReplicasPath"]),
        _path(declared["statusReplicasPath"]),
        _path(selector) if selector else None,
    )


def _columns(declared: list[Document] | None) -> tuple[Column, ...]:
    if not declared:
        return (NAME, AGE)
    return (NAME, *(_column(each) for each in declared))


def _column(declared: Document) -> Column:
    path, wanted = str(declared["jsonPath"]), str(declared["type"])

    def cell(document: Document) -> Any:
        found = jsonpath.find(document, path)
        return _cell_value(found[0] if len(found) == 1 else found or None, wanted=wanted)

    return Column(
        str(declared["name"]),
        cell,
        type=wanted,
        format=str(declared.get("format") or ""),
        description=str(
            declared.get("description")
            or f"Custom resource definition column (in JSONPath format): {path}"
        ),
        priority=int(declared.get("priority") or 0),
    )


def _cell_value(value: Any, *, wanted: str) -> Any:
    """Return what stands in the cell: dates as ages; a value of an undeclared type is null."""
    if value is None:
        return None
    if wanted == "date":
        return age(value) if isinstance(value, str) else "<unknown>"
    if wanted == "string":
        return value if isinstance(value, str) else encode(value).decode()
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted == "integer":
        return int(value) if number else None
    fits = {
        "number": number,
        "boolean": isinstance(value, bool),
    }
    return value if fits.get(wanted, True) else None
