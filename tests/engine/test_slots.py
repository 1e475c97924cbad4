"""Replica slots: who holds which row when pods come and go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anomaly_operator.engine.contract import SeriesKey
from anomaly_operator.engine.engine import Engine
from anomaly_operator.engine.layout import COUNT, SEEN
from anomaly_operator.engine.slots import SlotTable
from tests.engine.building import (
    DAY,
    MONDAY_S,
    analysis,
    block,
    bytes_of,
    lasting,
    members,
    noise,
    run,
)


def rollout(at: int, *, overlap: int = 0, buckets: int = 8 * DAY) -> np.ndarray:
    """Two pods: the second begins at ``at``, the first ends ``overlap`` buckets later."""
    values = noise(buckets, series=2)
    values[at + overlap :, 0] = np.nan
    values[:at, 1] = np.nan
    return values


def test_a_pod_that_replaces_another_takes_over_its_row() -> None:
    engine, columns, outcomes = run(rollout(500), series=members("a-1", "a-2"))
    assert engine.model_size().series == 1
    assert engine.models[0].state.core[0, COUNT] > 700
    assert np.isfinite(columns.score[500, 1])
    events = [each for outcome in outcomes for each in outcome.annotations]
    assert [each.event for each in events if each.event == "rollout"] == ["rollout"]
    assert "a-2 took over from a-1" in next(e.text for e in events if e.event == "rollout")


def test_a_rollout_does_not_flood() -> None:
    values = rollout(500)
    values[500:, 1] *= 1.25  # the new version needs more
    _, columns, _ = run(values, series=members("a-1", "a-2"))
    assert np.sum(columns.score[500:, 1] >= 50.0) <= 1


def generations(replicas: int, overlap: int) -> tuple[list[tuple[int, str]], Engine, np.ndarray]:
    """Two rollouts, at 500 and 1000, whose new pods begin ``overlap`` buckets earlier."""
    values = noise(1500, series=3 * replicas)
    for g in range(3):
        mine = slice(g * replicas, (g + 1) * replicas)
        values[: max(g * 500 - (overlap if g else 0), 0), mine] = np.nan
        values[(g + 1) * 500 :, mine] = np.nan
    pods = members(*(f"v{g}-{i}" for g in range(3) for i in range(replicas)))
    engine, columns, outcomes = run(values, analysis(side="both"), series=pods, cut=17)
    told = [
        (round((each.timestamp_s - MONDAY_S) / 900.0), each.text)
        for one in outcomes
        for each in one.annotations
        if each.event == "rollout"
    ]
    return told, engine, columns.score


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("overlap", [0, 1, 3])
def test_every_rollout_is_told_whether_or_not_old_and_new_pods_meet(
    replicas: int, overlap: int
) -> None:
    """A rolling update's pods do meet: all of it happens within a bucket or two."""
    told, engine, score = generations(replicas, overlap)
    assert [at for at, _ in told] == [500 - overlap, 1000 - overlap]
    for (_, text), new, old in zip(told, ("v1", "v2"), ("v0", "v1"), strict=True):
        assert f"{new}-0 took over from {old}-" in text
    assert engine.model_size().series <= 2 * replicas
    assert np.nansum(score[490:] >= 25.0) == 0


@pytest.mark.parametrize("stop", [497, 500, 505])
def test_a_rollout_under_way_survives_a_restart(stop: int) -> None:
    values = rollout(497, overlap=3, buckets=600)
    pods = members("a-1", "a-2")
    through, _, whole = run(values, series=pods, cut=1)
    stopped, _, before = run(values[:stop], series=pods, cut=1)
    resumed = Engine.restore(stopped.settings, stopped.snapshot())
    _, _, after = run(values[stop:], series=pods, engine=resumed, first=stop, cut=64)
    assert bytes_of(resumed) == bytes_of(through)
    told = [each for one in whole for each in one.annotations if each.event == "rollout"]
    assert len(told) == 1
    parts = (each for one in (*before, *after) for each in one.annotations)
    assert [each for each in parts if each.event == "rollout"] == told


def test_scaling_out_is_no_rollout() -> None:
    values = noise(1000, series=2)
    values[:500, 1] = np.nan
    _, _, outcomes = run(values, series=members("a-1", "a-2"))
    assert not [a for one in outcomes for a in one.annotations if a.event == "rollout"]


def test_a_row_that_lay_idle_for_days_takes_what_the_others_have_learnt_since() -> None:
    """The level doubled after its pod had gone: what the row knew is no longer true."""
    values = noise(1500, series=3)
    values[800:] *= 2.0
    values[500:, 0] = np.nan
    values[:499, 1] = np.nan
    values[:1400, 2] = np.nan
    engine, columns, _ = run(values, analysis(side="both"), series=members("a", "b", "c"))
    assert engine.model_size().series == 2
    assert columns.typical[1400, 2] == pytest.approx(200.0, rel=0.1)


def test_one_more_pod_starts_from_what_the_workload_taught() -> None:
    engine, columns, _ = run(rollout(500, overlap=200), series=members("a-1", "a-2"))
    assert engine.model_size().series == 2
    first = columns.upper[502, 1] - columns.lower[502, 1]
    assert np.isfinite(first)
    assert engine.models[0].state.core[1, COUNT] > 200


def test_blocks_of_any_length_give_the_same_rows_and_bytes() -> None:
    values = rollout(500, overlap=3, buckets=700)
    series = members("a-1", "a-2")
    at_once, whole, _ = run(values, series=series, cut=700)
    piecewise, parts, _ = run(values, series=series, cut=7)
    assert bytes_of(at_once) == bytes_of(piecewise)
    np.testing.assert_array_equal(whole.score, parts.score)


def test_a_planned_end_is_silent() -> None:
    values = noise(DAY * 9, series=1)
    values[-1] = 1.0  # cut short in its last bucket
    settings = analysis(side="low")
    engine, _, _ = run(values[:-1], settings)
    series = lasting(1)
    last = block(values[-1:], series, first=len(values) - 1)
    spoken = Engine.restore(settings, engine.snapshot()).advance([last])
    silent = engine.advance([replace(last, ended=frozenset({(0, 0)}))])
    assert len(spoken.records) == 1
    assert silent.records == ()


def test_a_planned_end_silences_the_last_bucket_alone_and_its_bucket_too() -> None:
    """In a block of several stretches the last value of each is no end."""
    values = noise(DAY * 9, series=1)
    settings = analysis(side="low")
    engine, _, _ = run(values, settings)
    first = len(values)
    ahead = noise(100, series=1, seed=8)
    inside = 63 - (first + round(MONDAY_S / 900.0)) % 64  # the last bucket of a stretch
    ahead[inside] = ahead[-1] = 1.0
    ended = frozenset({(len(ahead) - 1, 0)})
    outcome = engine.advance([replace(block(ahead, lasting(1), first=first), ended=ended)])
    told = [round((r.timestamp_s - MONDAY_S) / 900.0) - first for r in outcome.records]
    assert inside in told
    assert len(ahead) - 1 not in told
    assert outcome.buckets[-1].anomaly_score < 3.0
    assert outcome.muted == ()


def test_a_pod_that_comes_back_is_one_more() -> None:
    values = noise(600, series=2)
    values[:300, 1] = np.nan
    values[250:400, 0] = np.nan  # gone when the other came, back later
    engine, columns, _ = run(values, series=members("a-1", "a-2"))
    assert engine.model_size().series == 2
    assert np.isfinite(columns.score[450]).all()


def test_rows_unseen_for_the_prune_window_are_used_again() -> None:
    settings = analysis(prune_window_s=DAY * 900.0)
    engine, _, _ = run(noise(200, series=3), settings)
    run(noise(3 * DAY, series=1), settings, engine=engine, first=200)
    size = engine.model_size()
    assert (size.series, size.pruned_series) == (1, 2)  # the first is still there


def test_table_survives_its_dump() -> None:
    table = SlotTable()
    keys = [SeriesKey("p", "f", str(i)) for i in range(4)]
    rows = [table.hold(key) for key in keys]
    table.release(rows[1])
    table.release(rows[1])  # nothing left to release
    table.hand_over(rows[2], SeriesKey("p", "f", "new"))
    loaded = SlotTable.load(table.dump())
    assert loaded.holders == table.holders
    assert loaded.rows == table.rows
    assert loaded.families == table.families
    assert loaded.free == table.free
    assert loaded.used() == 3


@pytest.mark.parametrize("times", [0.3, 3.0])
def test_what_a_planned_end_cut_short_is_not_told_and_teaches_nothing(times: float) -> None:
    values = noise(DAY * 9, series=1)
    engine, _, _ = run(values, analysis(side="both"))
    before = engine.models[0].state.core[0].copy()
    last = block(values[-1:] * times, lasting(1), first=len(values))
    outcome = engine.advance([replace(last, ended=frozenset({(0, 0)}))])
    assert (outcome.records, outcome.muted) == ((), ())
    changed = np.flatnonzero(engine.models[0].state.core[0] != before)
    assert changed.tolist() == [SEEN]


def test_a_planned_end_that_hardly_cut_anything_is_learnt() -> None:
    values = noise(DAY * 9, series=1)
    engine, columns, _ = run(values, analysis(side="both"))
    before = engine.models[0].state.core[0, COUNT]
    last = block(columns.typical[-1:], lasting(1), first=len(values))
    engine.advance([replace(last, ended=frozenset({(0, 0)}))])
    assert engine.models[0].state.core[0, COUNT] == before + 1.0


def test_a_pod_on_its_way_out_leaves_its_row_and_takes_no_other() -> None:
    """It goes on speaking for two buckets after its successor came."""
    values = rollout(500, overlap=3)
    series = members("a-1", "a-2")
    ended = frozenset((t, 0) for t in (500, 501, 502))
    whole = Engine(analysis())
    outcome = whole.advance([replace(block(values, series), ended=ended)])
    assert whole.model_size().series == 1
    assert [a.timestamp_s for a in outcome.annotations if a.event == "rollout"] == [
        MONDAY_S + 500 * 900.0
    ]
    one_by_one = Engine(analysis())
    for first in range(len(values)):
        now = frozenset((t - first, s) for t, s in ended if t == first)
        one_by_one.advance(
            [replace(block(values[first : first + 1], series, first=first), ended=now)]
        )
    assert bytes_of(one_by_one) == bytes_of(whole)
