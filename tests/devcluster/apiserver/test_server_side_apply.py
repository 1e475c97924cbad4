"""Server-side apply: the rules of Kubernetes' documentation, one by one, on plain values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anomaly_operator.devcluster.apiserver.crd_schemas import schema_from_crd
from anomaly_operator.devcluster.apiserver.field_managers import (
    LAST_APPLIED,
    Owners,
    Writer,
    apply_changes,
    track_update,
)
from anomaly_operator.devcluster.apiserver.field_sets import from_fields_v1, to_fields_v1
from anomaly_operator.devcluster.apiserver.refusals import Refusal
from tests.support.apiservers import WIDGET_SCHEMA

SCHEMA = schema_from_crd(WIDGET_SCHEMA, top=True)
Document = dict[str, Any]


class Thing:
    """An object under several managers."""

    def __init__(self) -> None:
        self.document: Document = {"metadata": {"uid": "u"}}
        self.owners: Owners = {}

    def apply(self, manager: str, *, force: bool = False, **spec: Any) -> Document:
        """Apply a spec as a manager; returns the resulting spec."""
        self.document, self.owners = apply_changes(
            self.document,
            {"metadata": {}, "spec": spec} if spec else {"metadata": {}},
            SCHEMA,
            owners=self.owners,
            writer=Writer(manager, "example.com/v1"),
            force=force,
        )
        return dict(self.document.get("spec") or {})

    def update(self, manager: str, **spec: Any) -> None:
        """Replace the spec as a manager (PUT)."""
        new = {"metadata": {"uid": "u"}, "spec": spec}
        self.owners = track_update(
            self.document,
            new,
            SCHEMA,
            owners=self.owners,
            writer=Writer(manager, "example.com/v1"),
        )
        self.document = new

    def owned(self, manager: str) -> set[str]:
        """Return the paths a manager owns, as text."""
        return {
            "/".join(element.removeprefix("f:") for element in path)
            for identity, owned in self.owners.items()
            if identity.name == manager
            for path in owned.fields
        }


def test_an_applier_owns_what_it_applies() -> None:
    thing = Thing()
    thing.apply("one", color="red", parts=[{"name": "a", "count": 1}])
    key = 'spec/parts/k:{"name":"a"}'
    assert thing.owned("one") == {"spec/color", key, f"{key}/name", f"{key}/count"}


def test_a_field_no_longer_applied_is_removed() -> None:
    thing = Thing()
    thing.apply("one", color="red", limit=3)
    assert thing.apply("one", color="red") == {"color": "red"}


def test_a_field_another_applier_also_owns_stays() -> None:
    thing = Thing()
    thing.apply("one", color="red", limit=3)
    thing.apply("two", color="red")
    assert thing.apply("one", limit=3) == {"color": "red", "limit": 3}
    assert thing.owned("two") == {"spec/color"}


def test_a_field_an_updater_took_over_stays_when_no_longer_applied() -> None:
    thing = Thing()
    thing.apply("one", color="red", limit=3)
    thing.update("hpa", color="red", limit=5)
    assert "spec/limit" not in thing.owned("one")
    assert thing.apply("one", color="red") == {"color": "red", "limit": 5}


def test_changing_what_another_owns_is_a_conflict_that_names_owner_and_field() -> None:
    thing = Thing()
    thing.update("kubectl-edit", color="red")
    with pytest.raises(Refusal) as caught:
        thing.apply("one", color="green")
    assert caught.value.code == 409
    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using example.com/v1: '
        ".spec.color"
    )
    assert (caught.value.details or {})["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-edit" using example.com/v1',
            "field": ".spec.color",
        }
    ]


def test_several_conflicts_are_listed_by_manager() -> None:
    thing = Thing()
    thing.apply("a", color="red")
    thing.apply("b", limit=3)
    with pytest.raises(Refusal) as caught:
        thing.apply("c", color="green", limit=4)
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "a":\n- .spec.color\n'
        'conflicts with "b":\n- .spec.limit'
    )


def test_force_takes_the_field_from_its_owner() -> None:
    thing = Thing()
    thing.update("other", color="red", limit=1)
    assert thing.apply("one", force=True, color="green") == {"color": "green", "limit": 1}
    assert "spec/color" not in thing.owned("other")
    assert "spec/limit" in thing.owned("other")


def test_applying_the_same_value_shares_ownership_without_conflict() -> None:
    thing = Thing()
    thing.update("other", color="red")
    thing.apply("one", color="red")
    assert "spec/color" in thing.owned("one")
    assert "spec/color" in thing.owned("other")


def test_entries_of_a_keyed_list_have_owners_of_their_own() -> None:
    thing = Thing()
    thing.apply("one", parts=[{"name": "a", "count": 1}])
    thing.apply("two", parts=[{"name": "b", "count": 2}])
    merged = thing.apply("one", parts=[{"name": "c", "count": 3}])
    assert {part["name"]: part["count"] for part in merged["parts"]} == {"b": 2, "c": 3}


def test_a_field_within_an_entry_can_belong_to_another() -> None:
    thing = Thing()
    thing.apply("one", parts=[{"name": "a"}])
    thing.apply("two", parts=[{"name": "a", "count": 7}])
    assert thing.apply("one", parts=[{"name": "a"}])["parts"] == [{"name": "a", "count": 7}]
    assert thing.apply("one") == {"parts": [{"name": "a", "count": 7}]}


def test_sets_merge_by_value() -> None:
    thing = Thing()
    thing.apply("one", tags=["x", "y"])
    thing.apply("two", tags=["y", "z"])
    assert sorted(thing.apply("one", tags=["x"])["tags"]) == ["x", "y", "z"]
    assert sorted(thing.apply("two", tags=["z"])["tags"]) == ["x", "z"]


def test_free_form_maps_are_merged_by_field() -> None:
    thing = Thing()
    thing.apply("one", free={"a": 1})
    assert thing.apply("two", free={"b": [1, 2]}) == {"free": {"a": 1, "b": [1, 2]}}
    assert thing.apply("one") == {"free": {"b": [1, 2]}}


def test_kubectl_may_change_what_it_applied_from_the_client_before() -> None:
    def converted(manager: str, color: str) -> Thing:
        thing = Thing()
        applied = {"apiVersion": "example.com/v1", "spec": {"color": "red", "limit": 3}}
        thing.document["apiVersion"] = "example.com/v1"
        thing.document["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(applied)}
        thing.update("kubectl-client-side-apply", color=color, limit=3)
        thing.document["apiVersion"] = "example.com/v1"
        thing.document["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(applied)}
        thing.apply(manager, color="green", limit=3)
        return thing

    assert "spec/color" in converted("kubectl", "red").owned("kubectl")
    with pytest.raises(Refusal, match="kubectl-client-side-apply"):
        converted("other", "red")
    with pytest.raises(Refusal, match="kubectl-client-side-apply"):
        converted("kubectl", "changed since")


def test_an_object_made_without_apply_is_owned_by_what_was_before() -> None:
    thing = Thing()
    thing.document["spec"] = {"color": "red"}
    with pytest.raises(Refusal, match="before-first-apply"):
        thing.apply("one", color="green")


def test_applying_again_changes_neither_value_nor_owners() -> None:
    thing = Thing()
    thing.apply("one", color="red", parts=[{"name": "a"}])
    before = thing.document, thing.owners
    thing.apply("one", color="red", parts=[{"name": "a"}])
    assert (thing.document, thing.owners) == before


def test_field_sets_survive_their_json_form() -> None:
    fields = frozenset(
        {("f:a",), ("f:b", "f:c"), ("f:b",), ("f:l", 'k:{"n":"x"}'), ("f:l", 'k:{"n":"x"}', "f:n")}
    )
    assert from_fields_v1(to_fields_v1(fields)) == fields
    assert to_fields_v1(fields)["f:b"] == {".": {}, "f:c": {}}
