"""The tables of changes, against ``problems_of_update``."""

from __future__ import annotations

import pytest

from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetector, AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.status import AnomalyDetectorStatus, ModelSizeStats
from anomaly_operator.api.v1alpha1.updates import problems_of_update
from tests.api.cases import Update, detector
from tests.api.cases_updates import (
    ACCEPTED_UPDATES,
    IMMUTABLE_UPDATES,
    MANIFOLD_UPDATES,
    MEMORY_UPDATES,
)

UPDATES = (*IMMUTABLE_UPDATES, *ACCEPTED_UPDATES, *MEMORY_UPDATES)


def _problems(update: Update) -> list[str]:
    stats = ModelSizeStats(model_bytes=update.model_bytes)
    status = AnomalyDetectorStatus(model_size_stats=stats)
    old, new = (AnomalyDetector.parse(document) for document in (update.old, update.new))
    return [str(p) for p in problems_of_update(old, new, status)]


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.name)
def test_a_change_is_taken_or_refused_with_the_one_reason(update: Update) -> None:
    expected = [] if update.message is None else [f"{update.path}: {update.message}"]
    assert _problems(update) == expected


@pytest.mark.parametrize("update", MANIFOLD_UPDATES, ids=lambda update: update.name)
def test_a_change_of_several_things_names_each(update: Update) -> None:
    assert f"{update.path}: {update.message}" in _problems(update)


def test_every_field_of_the_spec_is_either_fixed_or_seen_to_change() -> None:
    """A field that is added to the spec needs its update cases too."""
    covered: set[str] = set()
    for update in (*UPDATES, *MANIFOLD_UPDATES):
        old, new = update.old["spec"], update.new["spec"]
        covered |= {name for name in {*old, *new} if old.get(name) != new.get(name)}
    fields = {field.alias for field in AnomalyDetectorSpec.model_fields.values()}
    assert fields - covered == set()


def test_a_change_of_nothing_has_no_problems() -> None:
    """Metadata and status may change freely."""
    one = AnomalyDetector.parse(detector())
    assert problems_of_update(one, one) == []
