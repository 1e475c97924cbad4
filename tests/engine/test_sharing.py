"""Replicas share a workload's traffic: one more or one less is no trouble of the others."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.contract import Side
from anomaly_operator.engine.sharing import members_of, numbered
from tests.engine.building import DAY, Floats, analysis, bytes_of, days, members, noise, run

FOUND = 50.0
WEEKS = 21 * DAY
LATER = 2 * DAY
BOTH = analysis(side=Side.BOTH)


def workload(*, before: int, after: int, follows: bool = True, first: int = WEEKS) -> Floats:
    """Traffic of pods, (T, S); from bucket ``first`` on there are as many as ``after`` of them."""
    most = max(before, after)
    values = noise(WEEKS + LATER, series=most, seed=3) * days(WEEKS + LATER)[:, None]
    values[:first, before:] = np.nan
    values[first:, after:] = np.nan
    if follows:
        values[first:] *= before / after
    return values


def pods(values: Floats, **changes: object) -> Floats:
    """Scores of the pods that were there all the time, from the change on."""
    names = members(*(f"web-{i}" for i in range(values.shape[1])))
    settings = analysis(side=Side.BOTH, **changes)
    _, columns, _ = run(values, settings, series=names)
    stayed = np.isfinite(values).all(axis=0)
    return np.asarray(columns.score[WEEKS:, stayed])


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 2), (2, 5), (4, 1)])
def test_a_share_that_follows_the_number_of_replicas_is_no_trouble(before: int, after: int) -> None:
    values = workload(before=before, after=after)
    assert np.nanmax(pods(values)) < FOUND
    # As large a change is told of what nobody shares.
    assert np.nanmax(pods(values, metric="memory_usage")) >= FOUND


def test_who_comes_back_to_the_old_share_is_no_trouble_either() -> None:
    values = workload(before=2, after=3)
    back = WEEKS + DAY // 2
    values[back:, 2] = np.nan
    values[back:, :2] *= 3 / 2
    assert np.nanmax(pods(values)) < FOUND


def test_a_share_that_stays_is_ordinary() -> None:
    values = workload(before=2, after=3, follows=False)
    assert np.nanmax(pods(values)) < FOUND


@pytest.mark.parametrize("times", [0.2, 5.0])
def test_trouble_beside_a_scale_out_is_told(times: float) -> None:
    values = workload(before=2, after=3)
    values[WEEKS + 8 : WEEKS + 16, 0] *= times
    assert np.nanmax(pods(values)[8:16]) >= FOUND


def test_a_change_without_a_new_replica_is_told() -> None:
    values = workload(before=3, after=3)
    values[WEEKS:] *= 2 / 3
    assert np.nanmax(pods(values)) >= FOUND


def test_the_same_bytes_however_blocks_are_cut() -> None:
    values = workload(before=2, after=3)
    names = members("web-0", "web-1", "web-2")
    whole, _, _ = run(values, BOTH, series=names)
    for cut in (7, 64):
        other, _, _ = run(values, BOTH, series=names, cut=cut)
        assert bytes_of(other) == bytes_of(whole)


def test_members_are_counted_where_they_have_a_value() -> None:
    families = numbered([("", "b"), ("", "a"), ("", "b"), ("", "a"), ("x", "b")])
    values = np.array([[1, 1, 1, np.nan, np.nan], [np.nan, 1, 1, 1, 1]])
    counted = members_of(families, values, shared=True)
    assert counted.tolist() == [[2, 1, 2, 1, 0], [1, 2, 1, 2, 1]]
    assert not members_of(families, values, shared=False).any()
    assert members_of(families[:0], values[:, :0], shared=True).shape == (2, 0)
