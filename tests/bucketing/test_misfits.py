"""Samples that do not fit are counted and never raised; series that go leave, and may come back."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.bucketing import Bucketing, BucketingSettings
from anomaly_operator.engine.contract import SeriesKey
from anomaly_operator.engine.identity import place

A = {"namespace": "shop", "workload": "cart", "pod": "cart-1", "node": "n1"}
B = {"namespace": "shop", "workload": "cart", "pod": "cart-2", "node": "n1"}


def make(**more: object) -> Bucketing:
    given = {"function": "max", "by": "pod", "span_s": 10.0, **more}
    return Bucketing(BucketingSettings(0, **given), 0.0)  # type: ignore[arg-type]


def add(bucketing: Bucketing, labels: dict[str, str], *samples: tuple[float, float]) -> None:
    bucketing.add(
        (labels,),
        np.zeros(len(samples), np.int32),
        time_s=np.asarray([time_s for time_s, _ in samples]),
        value=np.asarray([value for _, value in samples]),
    )


def test_a_bucket_closes_when_it_is_complete_and_not_before() -> None:
    bucketing = make()
    add(bucketing, A, (1.0, 5.0), (11.0, 6.0))
    assert bucketing.close(9.999) is None
    block = bucketing.close(10.0)
    assert block is not None
    assert (block.start_s, block.values.tolist(), block.counts.tolist()) == (0.0, [[5.0]], [[1.0]])
    assert bucketing.next_start_s == 10.0


def test_a_late_sample_is_counted_and_changes_nothing() -> None:
    bucketing = make()
    add(bucketing, A, (5.0, 1.0))
    bucketing.close(10.0)
    add(bucketing, A, (7.0, 99.0), (5.0, 1.0), (12.0, 2.0))
    block = bucketing.close(20.0)
    assert block is not None
    assert block.values.tolist() == [[2.0]]
    assert (bucketing.counts.late, bucketing.counts.repeated) == (1, 1)


def test_nan_infinity_and_negative_counts_are_invalid() -> None:
    bucketing = make(counter=True)
    add(bucketing, A, (1.0, np.nan), (2.0, np.inf), (3.0, -1.0), (np.nan, 4.0), (5.0, 7.0))
    bucketing.close(10.0)
    assert (bucketing.counts.invalid, bucketing.counts.accepted) == (4, 1)


def test_a_clock_that_jumps_ahead_and_back_loses_only_its_own_samples() -> None:
    bucketing = make(counter=True, ahead_s=100.0)
    add(bucketing, A, (1.0, 10.0), (2.0, 20.0), (1e9, 30.0), (3.0, 30.0))
    block = bucketing.close(10.0)
    assert block is not None
    assert block.values.tolist() == [[10.0]]
    add(bucketing, A, (13.0, 130.0))
    after = bucketing.close(20.0)
    assert after is not None
    assert after.values.tolist() == [[10.0]]
    assert bucketing.counts.ahead == 1


RATES = {
    "a restart counts from zero": ([(0, 100), (5, 150), (10, 20)], {0.0: 10.0, 10.0: 4.0}),
    "the first sample says nothing": ([(10, 100)], {}),
    "a long gap says nothing": ([(0, 0), (400, 4000)], {}),
    "a rate across a bucket's edge belongs to its end": ([(8, 0), (12, 40)], {10.0: 10.0}),
    "a constant counter is a rate of zero": ([(0, 5), (5, 5), (10, 5)], {0.0: 0.0, 10.0: 0.0}),
    "the same time twice is one sample": ([(0, 0), (5, 50), (5, 50)], {0.0: 10.0}),
    "out of order is put in order": ([(5, 50), (0, 0), (10, 60)], {0.0: 10.0, 10.0: 2.0}),
}


@pytest.mark.parametrize("case", RATES)
def test_counters_become_rates(case: str) -> None:
    samples, expected = RATES[case]
    bucketing = make(counter=True)
    add(bucketing, A, *[(float(time_s), float(value)) for time_s, value in samples])
    block = bucketing.close(500.0)
    assert block is not None
    rows, positions = np.nonzero(block.counts)
    found = {
        row * 10.0: value
        for row, value in zip(rows.tolist(), block.values[rows, positions].tolist(), strict=True)
    }
    assert found == expected


def test_the_set_of_series_is_one_object_while_its_members_stay() -> None:
    bucketing = make()
    sets = []
    for number in range(3):
        add(bucketing, A, (number * 10.0, 1.0))
        block = bucketing.close(number * 10.0 + 10)
        assert block is not None
        sets.append(block.series)
    add(bucketing, B, (35.0, 1.0))
    block = bucketing.close(40.0)
    assert block is not None
    assert sets[0] is sets[1] is sets[2] is not block.series
    assert [key.member for key in block.series.keys] == ["cart-1", "cart-2"]
    assert np.isnan(block.values[0, 0])


def test_a_series_that_fell_silent_leaves_and_its_memory_is_freed() -> None:
    bucketing = make(retire_s=50.0)
    for number in range(3000):  # every pod lives for one bucket: churn without end
        add(bucketing, {**A, "pod": f"cart-{number}"}, (number * 10.0, 1.0))
        block = bucketing.close(number * 10.0 + 10)
    assert block is not None
    assert len(block.series.keys) <= 5 + 16 + 1
    assert len(bucketing._table.raw_labels) < 1100
    assert not np.isnan(block.values[0, [k.member for k in block.series.keys].index("cart-2999")])


def test_a_series_that_returns_is_told_of_again() -> None:
    bucketing = make(retire_s=20.0)
    for number in range(40):
        for pod in range(40):
            add(bucketing, {**A, "pod": f"p{pod}"}, (number * 10.0, 1.0))
            if pod == 0 and 5 < number < 38:
                break
        block = bucketing.close(number * 10.0 + 10)
        assert block is not None
        expected = 40 if number < 7 or number >= 38 else 1
        if number not in {7, 8}:
            assert len(block.series.keys) == expected, number


def test_the_parts_of_an_entity_are_added_up_and_samples_of_one_part_pooled() -> None:
    bucketing = make(by="workload")
    add(bucketing, A, (1.0, 5.0), (2.0, 7.0))
    add(bucketing, B, (1.0, 10.0))
    add(bucketing, {**B, "node": "n2"}, (3.0, 11.0))  # moved: still the same pod
    block = bucketing.close(10.0)
    assert block is not None
    assert block.series.keys == (SeriesKey("", "shop/cart"),)
    assert (block.values.tolist(), block.counts.tolist()) == ([[18.0]], [[4.0]])
    assert block.parts is not None
    assert block.parts.tolist() == [[2.0]]
    assert block.series.labels[0] == {"namespace": "shop", "workload": "cart"}


def test_huge_values_stay_finite() -> None:
    for function in ("mean", "sum", "median", "max", "min"):
        bucketing = make(function=function, by="workload")
        add(bucketing, A, (1.0, 1.7e308), (2.0, 1.7e308), (3.0, 1.7e308))
        add(bucketing, B, (1.0, 1.7e308))
        block = bucketing.close(10.0)
        assert block is not None
        assert np.all(np.isfinite(block.values))


@pytest.mark.parametrize(
    ("labels", "by", "expected"),
    [
        (A, "pod", ("shop/cart", "cart-1")),
        (A, "workload", ("shop/cart", "")),
        ({**A, "container": "app"}, "container", ("shop/cart/app", "cart-1")),
        (A, "node", ("n1", "")),
        ({"namespace": "shop", "pod": "lone"}, "pod", ("shop/lone", "")),
        ({**A, "interface": "eth1"}, "pod", ("shop/cart/interface=eth1", "cart-1")),
        ({"host": "h1"}, "pod", ("host=h1", "")),
        ({}, "pod", ("", "")),
    ],
)
def test_the_entity_that_by_makes(
    labels: dict[str, str], by: str, expected: tuple[str, str]
) -> None:
    key = place(labels, by).key
    assert (key.family, key.member) == expected


def test_a_partition_is_its_labels_value() -> None:
    assert place(A, "pod", "namespace").key.partition == "shop"
    assert place(A, "pod", "zone").key.partition == ""
