"""What the server knows of each kind it serves: names, scope, subresources, schema and columns.

Built-in kinds come from ``builtin_kinds``; kinds of custom resources are made by
``custom_resources`` from their definitions. Everything downstream treats the two alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anomaly_operator.devcluster.apiserver.printer_columns import Column
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

ALL_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the scale subresource of a kind finds its numbers; paths are field names."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] | None = ("spec", "selector")


@dataclass(frozen=True, slots=True)
class KindInfo:
    """One kind in one version, as discovery lists it and the registry needs it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    schema: SchemaNode
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    has_status: bool = False
    scale: ScalePaths | None = None
    has_generation: bool = False
    columns: tuple[Column, ...] = ()
    selectable_fields: tuple[str, ...] = ()
    storage_key: str = ""
    is_custom: bool = False
    storage_version: str = ""
    more_subresources: Mapping[str, str] = field(default_factory=dict)
    warning: str = ""

    @property
    def api_version(self) -> str:
        """Return ``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def store(self) -> str:
        """Return the key of the table its objects stand in; two kinds may share one (events)."""
        return self.storage_key or f"{self.group}/{self.plural}"

    @property
    def resource(self) -> str:
        """Return ``pods`` or ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """Return ``Pod`` or ``Deployment.apps``, as messages about invalid objects name it."""
        return f"{self.kind}.{self.group}" if self.group else self.kind
