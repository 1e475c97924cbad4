"""The generated CRDs: what the API server demands of a structural schema, and no drift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import Field

from anomaly_operator.api.crd import custom_resource_definition, root_schema
from anomaly_operator.api.group import GROUP
from anomaly_operator.api.model import ApiModel
from anomaly_operator.api.v1alpha1.kinds import KINDS, Kind
from anomaly_operator.devtools import generate

ROOT = Path(__file__).parents[2]
CRDS = {kind.name: custom_resource_definition(kind) for kind in KINDS}
BUDGET_OF_A_CLIENT_SIDE_APPLY = 262_144
"""kubectl keeps the whole object in an annotation, whose limit this is (bytes)."""


def nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every node of a schema with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


NODES = [
    pytest.param(node, id=f"{kind.name}{path}")
    for kind in KINDS
    for path, node in nodes(root_schema(kind))
    if path not in {".metadata", ".apiVersion", ".kind"}
]
SPEC_NODES = [param for param in NODES if ".status" not in str(param.id)]


def test_what_is_committed_is_what_the_models_say() -> None:
    """Run `make generate` when this fails."""
    assert generate.drifted(ROOT) == []


def test_drift_is_seen(tmp_path: Path) -> None:
    generate.write(tmp_path)
    assert generate.drifted(tmp_path) == []
    crd = tmp_path / "crds" / f"{KINDS[0].crd_name}.yaml"
    crd.write_text(crd.read_text(encoding="utf-8").replace("andet", "ad"), encoding="utf-8")
    (tmp_path / "crds" / f"leftovers.{GROUP}.yaml").write_text("", encoding="utf-8")
    assert generate.drifted(tmp_path) == [f"crds/{crd.name}", f"crds/leftovers.{GROUP}.yaml"]


@pytest.mark.parametrize("node", NODES)
def test_every_node_has_a_type_and_says_what_it_is_for(node: Mapping[str, Any]) -> None:
    assert "type" in node or node.get("x-kubernetes-int-or-string") is True
    assert not {"$ref", "anyOf", "title", "const", "uniqueItems", "prefixItems"} & set(node)
    assert node.get("additionalProperties") is not False
    assert None is not node.get("default", "")


@pytest.mark.parametrize("node", SPEC_NODES)
def test_what_a_person_writes_is_bounded_so_that_cel_keeps_to_its_budget(
    node: Mapping[str, Any],
) -> None:
    if node.get("type") == "string":
        assert "maxLength" in node or "enum" in node
    if node.get("type") == "array":
        assert "maxItems" in node
        assert node["x-kubernetes-list-type"] in {"atomic", "set", "map"}
    if isinstance(node.get("additionalProperties"), Mapping):
        assert "maxProperties" in node


def test_nothing_is_filled_in_where_a_list_is_replaced_whole() -> None:
    """What was applied would differ from what is stored, at every ``kubectl apply`` anew."""
    inside = {
        f"{kind.name}{path}": node
        for kind in KINDS
        for path, node in nodes(root_schema(kind))
        if path.startswith(".spec") and "[]" in path
    }
    assert len(inside) > 30
    assert [path for path, node in inside.items() if "default" in node] == []


@pytest.mark.parametrize("node", NODES)
def test_laws_name_fields_that_are_there(node: Mapping[str, Any]) -> None:
    """The API server refuses a CRD whose fieldPath leads nowhere."""
    for law in node.get("x-kubernetes-validations", ()):
        at: Any = node
        for part in law.get("fieldPath", "").split(".")[1:]:
            at = at["properties"][part]
        assert law["message"]
        assert "\n" not in law["rule"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_names_columns_and_subresources(kind: Kind) -> None:
    spec = CRDS[kind.name]["spec"]
    version = spec["versions"][0]
    assert spec["names"]["categories"] == ["anomaly"]
    assert spec["names"]["shortNames"] == [kind.short]
    assert version["subresources"] == {"status": {}}
    assert version["schema"]["openAPIV3Schema"]["required"] == ["spec"]
    assert "Age" in [column["name"] for column in version["additionalPrinterColumns"]]


def test_the_columns_of_a_detector_stand_in_the_order_of_the_design() -> None:
    columns = CRDS["AnomalyDetector"]["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column.get("priority")]
    assert [name.upper() for name in shown] == [
        "READY",
        "STATE",
        "ANOMALOUS",
        "SERIES",
        "CRITICAL",
        "MAJOR",
        "LAST ANOMALY",
        "MEMORY",
        "AGE",
    ]
    assert [c["name"] for c in columns if c.get("priority")] == [
        "Backfill %",
        "Groups",
        "Description",
        "Reason",
        "Message",
    ]


def test_printer_columns_and_selectable_fields_lead_somewhere() -> None:
    for kind in KINDS:
        schema = root_schema(kind)
        paths = [column.path for column in kind.columns] + list(kind.selectable)
        for path in (p for p in paths if not p.startswith(".metadata") and "[" not in p):
            at: Any = schema
            for part in path.split(".")[1:]:
                at = at["properties"][part]
            # A list in a column of type string is shown as JSON.
            assert at["type"] in {"string", "number", "integer", "boolean", "array"}


def test_a_crd_can_be_applied_by_every_kind_of_kubectl() -> None:
    for path in (ROOT / "crds").glob(f"*.{GROUP}.yaml"):
        assert path.stat().st_size < BUDGET_OF_A_CLIENT_SIDE_APPLY
        assert (
            yaml.safe_load(path.read_text(encoding="utf-8"))["kind"] == "CustomResourceDefinition"
        )


class _Union(ApiModel):
    spec: int | str


class _Pair(ApiModel):
    spec: tuple[int, str]


class _Strange(ApiModel):
    spec: set[str]


class _Whatever(ApiModel):
    spec: Any


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_Union, "_Union.spec: a CRD cannot hold a union of 2 types"),
        (_Pair, "_Pair.spec: a CRD cannot hold prefixItems"),
        (_Strange, "_Strange.spec: a CRD cannot hold uniqueItems"),
        (_Whatever, "_Whatever.spec: a CRD needs a type"),
    ],
)
def test_what_a_crd_cannot_hold_is_an_error_while_generating(
    model: type[ApiModel], message: str
) -> None:
    kind = Kind(model, plural="x", short="x", scope="Cluster", columns=())
    with pytest.raises(TypeError, match="^" + message):
        root_schema(kind)


class _Inner(ApiModel):
    above: float = Field(gt=0, lt=1)
    fixed: Literal["A"] = "A"
    maybe: int | None = None
    many: dict[str, int] = Field(default_factory=dict)


class _Outer(ApiModel):
    """What it is."""

    spec: _Inner
    """The inner one."""


def test_each_difference_between_pydantic_and_a_crd_is_bridged() -> None:
    kind = Kind(_Outer, plural="x", short="x", scope="Cluster", columns=())
    spec = root_schema(kind)["properties"]["spec"]
    assert spec == {
        "description": "The inner one.",
        "type": "object",
        "required": ["above"],
        "properties": {
            "above": {
                "type": "number",
                "format": "double",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 1,
                "exclusiveMaximum": True,
            },
            "fixed": {"type": "string", "enum": ["A"], "default": "A"},
            "maybe": {"type": "integer", "format": "int64"},
            "many": {
                "type": "object",
                "additionalProperties": {"type": "integer", "format": "int64"},
            },
        },
    }
