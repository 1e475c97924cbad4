"""Samples become the values that an obvious twin computes, in whatever order and batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly_operator.engine.bucketing import Bucketing, BucketingSettings
from anomaly_operator.engine.contract import Block
from tests.bucketing import oracle

SPAN_S = 10.0
times = st.one_of(
    st.integers(0, 99).map(float), st.floats(0, 99.9, allow_subnormal=False).map(lambda t: t)
)
values = st.one_of(
    st.integers(0, 1000).map(float),
    st.floats(-1e6, 1e6),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
sample_lists = st.lists(st.tuples(st.sampled_from("abc"), times, values), max_size=60)
functions = st.sampled_from(sorted(oracle.FUNCTIONS))


def settings(function: str = "mean", **more: object) -> BucketingSettings:
    return BucketingSettings(0, function, SPAN_S, "pod", retire_s=1e9, **more)  # type: ignore[arg-type]


def add(bucketing: Bucketing, samples: Sequence[oracle.Sample]) -> None:
    names = sorted({name for name, _, _ in samples})
    labels: tuple[Mapping[str, str], ...] = tuple({"series": name} for name in names)
    bucketing.add(
        labels,
        np.asarray([names.index(name) for name, _, _ in samples], np.int32),
        time_s=np.asarray([time_s for _, time_s, _ in samples], float),
        value=np.asarray([value for _, _, value in samples], float),
    )


def said(*blocks: Block | None) -> dict[tuple[str, int], tuple[float, int]]:
    found = {}
    for block in blocks:
        if block is None:
            continue
        for row, position in zip(*np.nonzero(block.counts), strict=True):
            where = (
                block.series.labels[position]["series"],
                round(block.start_s / SPAN_S) + int(row),
            )
            found[where] = (block.values[row, position], int(block.counts[row, position]))
        assert np.array_equal(np.isnan(block.values), block.counts == 0)
    return found


def agree(found: Mapping[tuple[str, int], tuple[float, int]], expected: object) -> None:
    assert isinstance(expected, Mapping)
    assert found.keys() == expected.keys()
    for where, (value, count) in expected.items():
        assert found[where][1] == count
        assert found[where][0] == pytest.approx(value, rel=1e-12, abs=1e-9)


@given(samples=sample_lists, function=functions)
def test_gauges_agree_with_the_obvious_twin(samples: list[oracle.Sample], function: str) -> None:
    bucketing = Bucketing(settings(function), 0.0)
    add(bucketing, samples)
    agree(said(bucketing.close(100.0)), oracle.buckets(samples, function, SPAN_S, 0.0))


@given(samples=sample_lists, function=functions, start_s=st.sampled_from([0.0, 30.0]))
def test_counters_agree_with_the_obvious_twin(
    samples: list[oracle.Sample], function: str, start_s: float
) -> None:
    bucketing = Bucketing(settings(function, counter=True, staleness_s=25.0), start_s)
    add(bucketing, samples)
    expected = oracle.buckets(samples, function, SPAN_S, start_s, counter=True, staleness_s=25.0)
    agree(said(bucketing.close(100.0)), expected)


@given(samples=sample_lists, function=functions, counter=st.booleans(), data=st.data())
def test_arrival_order_is_of_no_account_while_a_bucket_is_open(
    samples: list[oracle.Sample], function: str, *, counter: bool, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(samples))
    cut = data.draw(st.integers(0, len(samples)))
    one, other = (
        Bucketing(settings(function, counter=counter), 0.0),
        Bucketing(settings(function, counter=counter), 0.0),
    )
    add(one, samples)
    add(other, shuffled[:cut])
    add(other, shuffled[cut:])
    agree(said(other.close(100.0)), said(one.close(100.0)))
    assert (one.counts.accepted, one.counts.repeated) == (
        other.counts.accepted,
        other.counts.repeated,
    )


@given(samples=sample_lists, function=functions, counter=st.booleans(), data=st.data())
def test_bucket_by_bucket_equals_all_at_once_also_across_a_restart(
    samples: list[oracle.Sample], function: str, *, counter: bool, data: st.DataObject
) -> None:
    """Live and backfill are the same; and a snapshot at any bucket changes nothing."""
    whole = Bucketing(settings(function, counter=counter, staleness_s=25.0), 0.0)
    add(whole, samples)
    live = Bucketing(settings(function, counter=counter, staleness_s=25.0), 0.0)
    restart = data.draw(st.integers(1, 10))
    blocks = []
    for number in range(1, 11):
        add(live, [sample for sample in samples if (number - 1) * 10 <= sample[1] < number * 10])
        if number == restart:
            live = Bucketing.restore(live.settings, live.snapshot())
        blocks.append(live.close(number * SPAN_S))
    agree(said(*blocks), said(whole.close(100.0)))
    assert live.counts.accepted == whole.counts.accepted


@given(samples=sample_lists)
def test_the_same_calls_give_the_same_bytes(samples: list[oracle.Sample]) -> None:
    states = []
    for _ in range(2):
        bucketing = Bucketing(settings("mean", counter=True), 0.0)
        add(bucketing, samples)
        bucketing.close(50.0)
        states.append({name: array.tobytes() for name, array in bucketing.snapshot().items()})
    assert states[0] == states[1]
