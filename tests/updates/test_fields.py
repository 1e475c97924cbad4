"""The table of fields, row by row: taken and refused, followed while opened and while closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anomaly_operator.api.crd import root_schema
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetector, AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.kinds import KINDS
from anomaly_operator.api.v1alpha1.updates import UPDATE_LAWS
from anomaly_operator.devtools.reference import fields
from anomaly_operator.errors import SpecError
from tests.api.asking import Server, speaks_of
from tests.api.cases import Update, detector
from tests.support.either_apiserver import either_apiserver
from tests.updates.conftest import MakeLab
from tests.updates.elsewhere import PARTS_SEEN_ELSEWHERE, SEEN_ELSEWHERE, SWITCHES, Switch
from tests.updates.fields import FIELDS, Field
from tests.updates.lab import EDIT_S, Lab

TABLE = pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.title)
ROWS = pytest.mark.parametrize("field", [*FIELDS, *SWITCHES], ids=lambda field: field.title)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run an API server with the CRDs: the stand-in, or a real one."""
    with either_apiserver(tmp_path_factory.mktemp("apiserver")) as kubeconfig:
        made = Server(kubeconfig)
        try:
            made.install()
            yield made
        finally:
            made.close()


def stored(field: Field | Switch) -> dict[str, Any]:
    """Detector as it is before the edit."""
    plain = {"partitionField": "namespace", "bucketSpan": "15m"}
    fixed = {"detectors": [{"metric": "memory_usage", "function": "max", "by": "pod"}]}
    return {**plain, **fixed, **field.old}


def problems(spec: dict[str, Any]) -> str:
    try:
        AnomalyDetector.parse(detector(**spec))
    except SpecError as error:
        return str(error)
    return ""


@ROWS
def test_a_valid_value_is_taken_and_another_refused_by_name_in_python(field: Field | Switch):
    assert problems({**stored(field), **field.spec}) == ""
    refused = field.refused
    said = problems({**stored(field), **refused.spec})
    assert said == f"{refused.path}: {refused.message}"


@ROWS
def test_a_valid_value_is_taken_and_another_refused_by_name_by_the_api_server(
    server: Server, field: Field | Switch
):
    old, refused = stored(field), field.refused
    taken = Update(field.title, detector(**old), detector(**{**old, **field.spec}))
    assert server.refusal_of_update(taken) == []
    update = Update(
        field.title,
        detector(**old),
        detector(**{**old, **refused.spec}),
        refused.path,
        refused.message,
        refused.server,
        refused.server_path,
    )
    causes = server.refusal_of_update(update)
    assert speaks_of(update, causes), causes


def prepared(field: Field, laboratory: MakeLab) -> Lab:
    chosen = laboratory(field.happens)
    if field.prepare is not None:
        field.prepare(chosen)
    return chosen


@TABLE
def test_without_the_edit_its_effect_is_not_there(field: Field, laboratory: MakeLab):
    untouched = prepared(field, laboratory)
    assert untouched.run(field.until_s, observe=field.observe) == field.before


@TABLE
def test_an_edit_while_opened_takes_effect(field: Field, laboratory: MakeLab):
    edited = prepared(field, laboratory)
    seen = edited.run(
        field.until_s,
        at={EDIT_S: lambda: edited.edit(**field.spec)},
        observe=field.observe,
    )
    assert seen == field.after
    assert edited.openings == int(field.reopens), "reopened where it must be, and only there"
    assert edited.status["appliedGeneration"] == edited.generation == 2


@TABLE
def test_an_edit_while_closed_takes_effect_at_the_next_open(field: Field, laboratory: MakeLab):
    edited = prepared(field, laboratory)
    edited.run(EDIT_S)
    edited.edit(**field.spec)
    assert edited.run(field.until_s, observe=field.observe) == field.after
    assert edited.openings == 0
    assert edited.status["appliedGeneration"] == 2


def test_every_field_that_can_be_updated_has_a_row():
    """What no law of the API holds fast can change, and a field without a row is not proved."""
    fixed = {law.field.partition(".")[0] for law in UPDATE_LAWS}
    spec = {field.alias or name for name, field in AnomalyDetectorSpec.model_fields.items()}
    mutable = (spec - fixed) | {
        "detectors[].description",
        "detectors[].customRules",
        "detectors[].minDeviation",
        "perPartitionCategorization.stopOnWarn",
    }
    rows = {field.name for field in FIELDS} | set(SEEN_ELSEWHERE)
    assert {name for name in mutable if not any(row.startswith(name) for row in rows)} == set()
    nested = {
        row
        for row in rows
        if not any(row == name or row.startswith(f"{name}.") for name in mutable)
    }
    assert nested == set(), "rows of fields that there are not"


def test_every_part_of_a_field_has_a_row_or_a_place():
    """Each leaf of the schema that no law holds fast: a window's time zone, a rule's operator."""
    (kind,) = (each for each in KINDS if each.name == "AnomalyDetector")
    paths = [path for path, _ in fields(root_schema(kind)["properties"]["spec"])]
    held = {law.field for law in UPDATE_LAWS} | {
        f"detectors[].{name}" for name in ("metric", "function", "by")
    }
    held -= {"detectors"}
    leaves = {
        path
        for path in paths
        if not any(other.startswith((f"{path}.", f"{path}[")) for other in paths)
        and not any(path == law or path.startswith((f"{law}.", f"{law}[")) for law in held)
    }
    covered = {each.name for each in (*FIELDS, *SWITCHES)}
    for each in FIELDS:
        covered |= {
            each.name + ("" if part.startswith("[") else ".") + part for part in each.covers
        }
    assert leaves - covered - set(PARTS_SEEN_ELSEWHERE) == set()
    assert set(PARTS_SEEN_ELSEWHERE) <= leaves


def test_every_switch_is_seen_elsewhere():
    assert {each.name for each in SWITCHES} == set(SEEN_ELSEWHERE)


PLACES = {*SEEN_ELSEWHERE.values(), *PARTS_SEEN_ELSEWHERE.values()}


@pytest.mark.parametrize("place", sorted(PLACES))
def test_what_is_seen_elsewhere_is_there(place: str):
    path, _, name = place.partition("::")
    text = (Path(__file__).parents[2] / path).read_text(encoding="utf-8")
    assert f"def {name}(" in text if name else text
