"""The tables of cases, against pydantic: accepted, or refused with one message at one path."""

from __future__ import annotations

import pytest

from anomaly_operator.api.v1alpha1.kinds import KINDS
from anomaly_operator.errors import SpecError
from tests.api import cases_analysis, cases_settings, cases_sources
from tests.api.cases import Case

CASES = [
    case
    for module in (cases_analysis, cases_settings, cases_sources)
    for name, table in vars(module).items()
    if name.endswith("_CASES")
    for case in table
]
MODELS = {kind.name: kind.model for kind in KINDS}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_python_takes_what_is_sound_and_names_the_one_thing_that_is_not(case: Case) -> None:
    model = MODELS[case.document["kind"]]
    if case.message is None:
        assert model.parse(case.document)
        return
    with pytest.raises(SpecError) as refusal:
        model.parse(case.document)
    assert [str(p) for p in refusal.value.problems] == [f"{case.path}: {case.message}"]


@pytest.mark.parametrize("case", [c for c in CASES if c.message is None], ids=lambda c: c.name)
def test_what_was_read_is_written_so_that_it_reads_the_same(case: Case) -> None:
    model = MODELS[case.document["kind"]]
    once = model.parse(case.document)
    assert model.parse(once.document()) == once


def test_no_two_cases_share_a_name() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)
