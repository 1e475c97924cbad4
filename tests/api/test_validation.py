"""The tables of cases, against pydantic: accepted, or refused with one message at one path."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from anomaly_operator.api.v1alpha1.analysis import Detector, Target
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetector, AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.consistency import filters_of
from anomaly_operator.api.v1alpha1.kinds import KINDS
from anomaly_operator.errors import SpecError
from tests.api import cases_analysis, cases_settings, cases_sources
from tests.api.cases import LOW_MEMORY, Case, detector, ruled

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


def test_unknown_fields_are_named_with_what_was_meant_at_every_depth() -> None:
    """In lists and maps too; where nothing is near, nothing is guessed."""
    document = ruled(conditions=[{**LOW_MEMORY, "Value": 1}], scope={"pod": {"filterid": "a"}})
    document["spec"]["zebra"] = 1
    with pytest.raises(SpecError) as refusal:
        AnomalyDetector.parse(document, path="cluster")
    rule = "cluster.spec.detectors[0].customRules[0]"
    assert {str(problem) for problem in refusal.value.problems} == {
        f"{rule}.conditions[0].Value: unknown field; did you mean value?",
        f"{rule}.scope.pod.filterid: unknown field; did you mean filterId?",
        "cluster.spec.zebra: unknown field",
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bucket_span": timedelta(milliseconds=1500)}, "is not in whole seconds from 0 on"),
        ({"bucket_span": timedelta(minutes=10)}, None),
        ({"start": datetime(2024, 5, 1, tzinfo=UTC)}, None),
        ({"start": 1714521600}, "is not an RFC 3339 time"),
    ],
)
def test_python_may_say_spans_and_times_in_its_own_types(
    fields: dict[str, object], message: str | None
) -> None:
    def build() -> AnomalyDetectorSpec:
        return AnomalyDetectorSpec(
            target=Target(kind="Pod"), detectors=(Detector(metric="memory_usage"),), **fields
        )

    if message is None:
        assert build()
    else:
        with pytest.raises(ValidationError, match=message):
            build()


def test_names_of_filters_are_found_with_the_place_of_their_first_use() -> None:
    spec = AnomalyDetector.parse(
        detector(
            detectors=[
                {"metric": metric, "customRules": [{"scope": {"pod": {"filterId": "noisy"}}}]}
                for metric in ("memory_usage", "network_in")
            ],
            maintenanceWindows=[
                {
                    "name": "backup",
                    "schedule": "0 2 * * *",
                    "duration": "1h",
                    "scope": {"workload": {"filterId": "backups"}, "node": {"values": ["n"]}},
                }
            ],
        )
    ).spec
    assert filters_of(spec) == {
        "noisy": "spec.detectors[0].customRules[0].scope.pod.filterId",
        "backups": "spec.maintenanceWindows[0].scope.workload.filterId",
    }
