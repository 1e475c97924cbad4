"""What all rows of a detector make of a claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats

from anomaly_operator.engine.layout import CORE, OCTAVES, SINGLE_UP, VIEWS
from anomaly_operator.engine.records import (
    BULK,
    LN2,
    PLENTY,
    RECORD_MOST,
    UNIT,
    corrected_log_p,
    curve_of,
    halve_when_full,
    learn_record,
)


def recorded(surprises: np.ndarray) -> np.ndarray:
    """A record of these surprises, each in a bucket of its own."""
    record = np.zeros(OCTAVES, np.int64)
    for surprise in surprises:
        learn_record(np.zeros(CORE), record, SINGLE_UP, float(surprise), 1.0, 1.0)
    return record


def test_of_nothing_seen_a_claim_is_taken_as_it_is() -> None:
    curve = curve_of(np.zeros(OCTAVES, np.int64))
    assert curve == pytest.approx(-LN2 * np.arange(BULK + 1))
    assert corrected_log_p(30.0, curve) == pytest.approx(-30.0)


def test_claims_that_are_twice_as_large_as_they_should_be_count_half() -> None:
    surprises = 2.0 * np.random.default_rng(0).exponential(size=300_000)
    curve = curve_of(recorded(surprises))
    assert curve[8] == pytest.approx(-4.0 * LN2, rel=0.05)


def test_trouble_in_one_bucket_of_1000_does_not_lower_what_trouble_claims() -> None:
    """And claims that come less often than they say are still believed the more."""
    rng = np.random.default_rng(1)
    ordinary = rng.exponential(size=200_000)
    trouble = 6.0 + rng.exponential(10.0, size=200)
    calm, mixed = curve_of(recorded(ordinary)), curve_of(recorded(np.append(ordinary, trouble)))
    assert mixed[BULK] == pytest.approx(calm[PLENTY] - (BULK - PLENTY) * LN2, abs=0.8)
    careful = curve_of(recorded(0.8 * ordinary))
    assert careful[BULK] < -BULK * LN2 - 1.0


@settings(deadline=None)
@given(surprise=floats(0.0, 60.0), seed=floats(0.0, 1.0))
def test_it_is_the_interpolation_it_stands_for(surprise: float, seed: float) -> None:
    """Log-linear between octaves, slope one beyond the bulk."""
    record = np.round(1e6 * UNIT * (0.5 + 0.3 * seed) ** np.arange(OCTAVES)).astype(np.int64)
    curve = curve_of(record)
    expected = np.interp(surprise / LN2, np.arange(BULK + 1), curve)
    expected -= max(surprise - BULK * LN2, 0.0)
    assert corrected_log_p(surprise, curve) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_buckets_of_a_long_event_count_ever_less() -> None:
    row, record = np.zeros(CORE), np.zeros(OCTAVES, np.int64)
    for _ in range(1000):
        learn_record(row, record, SINGLE_UP, 30.0, 1.0, 1.0)
    assert record.sum() / UNIT == pytest.approx(12.0 * math.pi / 2.0, rel=0.1)


def test_sums_do_not_depend_on_the_order_of_rows() -> None:
    surprises = np.random.default_rng(2).exponential(size=5000) * 3.0
    assert np.array_equal(recorded(surprises), recorded(surprises[::-1]))


def test_a_full_record_forgets_half() -> None:
    records = np.zeros((VIEWS, OCTAVES), np.int64)
    records[1, 0] = RECORD_MOST + 1024
    halve_when_full(records)
    assert records[1, 0] == (RECORD_MOST + 1024) // 2
    assert records.sum() == records[1, 0]
