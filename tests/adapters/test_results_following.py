"""Buckets and influencers in the store follow records that were rescored, and say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomaly_operator.adapters.results_query import Query, query_results
from anomaly_operator.adapters.results_store import ResultsStore
from anomaly_operator.engine.contract import (
    BucketResult,
    InfluencerResult,
    Outcome,
    Record,
    Rescore,
)
from anomaly_operator.engine.following import bucket_score, influencer_score, period_behind
from anomaly_operator.engine.scoring import SINGLE_REACH, score_of
from anomaly_operator.ports import Advance, PlotSettings
from tests.engine.building import DAY, analysis, noise, run
from tests.support.ports_conformance import CART, a_record, an_advance

WHY = "episodes like this came more often than its probability said"


def ask(store: ResultsStore, kind: str, **query: Any) -> list[dict[str, Any]]:
    return query_results(store, Query(kind, **query)).documents


def lifted(period: float) -> float:
    return SINGLE_REACH * period / (SINGLE_REACH + period)


def told(time_s: float, *records: Record, partition: str = "") -> Advance:
    """A bucket whose score is its best record's with some evidence that is common to all."""
    best = max((record.record_score for record in records), default=0.0)
    score = score_of(lifted(period_behind(best)) + 0.4)
    parts = ("", partition) if partition else ("",)
    buckets = tuple(
        BucketResult(time_s, 900.0, name, score, score, 4, len(records)) for name in parts
    )
    found = tuple(
        InfluencerResult(time_s, field, value, -20.0, best, best)
        for field, value in (("pod", "cart-1"), ("workload", "cart"))
    )
    return replace(an_advance(time_s), outcome=Outcome(buckets, records, found))


def rescored(score: float, time_s: float = 900.0) -> Advance:
    return an_advance(1800.0, rescores=(Rescore(time_s, 0, CART, score, WHY),))


def bucket_at(store: ResultsStore, time_s: float, partition: str = "") -> dict[str, Any]:
    (found,) = (
        one
        for one in ask(store, "buckets")
        if one["timestamp"] == time_s * 1000 and one["partition_field_value"] == partition
    )
    return found


def test_a_bucket_loses_what_its_best_record_lost_and_keeps_what_is_common(
    store: ResultsStore,
) -> None:
    first = told(900.0, a_record(900.0))
    initial = first.outcome.buckets[0].anomaly_score
    store.write(first)
    store.write(rescored(30.0))
    bucket = bucket_at(store, 900.0)
    expected = score_of(lifted(period_behind(30.0)) + 0.4)
    assert bucket["anomaly_score"] == pytest.approx(expected)
    assert bucket["initial_anomaly_score"] == initial
    assert bucket["score_reason"] == f"followed its records: {WHY}"
    assert bucket["severity"] == "minor"
    root, carried = bucket["bucket_influencers"][:2]
    assert root["anomaly_score"] == bucket["anomaly_score"]
    assert root["initial_anomaly_score"] == initial
    assert (carried["anomaly_score"], carried["initial_anomaly_score"]) == (
        pytest.approx(30.0),
        80.0,
    )
    other = bucket_at(store, 1800.0)
    assert (other["anomaly_score"], other["score_reason"]) == (10.0, None)


def test_an_influencer_follows_the_records_that_bear_it_alone(store: ResultsStore) -> None:
    store.write(told(900.0, a_record(900.0)))
    store.write(rescored(30.0))
    found = {one["influencer_field_name"]: one for one in ask(store, "influencers")}
    assert found["pod"]["influencer_score"] == pytest.approx(30.0)
    assert found["pod"]["initial_influencer_score"] == 80.0
    assert found["pod"]["score_reason"] == f"followed its records: {WHY}"
    assert found["workload"]["influencer_score"] == 80.0, "no record names it as its influencer"
    assert found["workload"]["score_reason"] is None


def test_a_bucket_with_a_better_record_stays_as_it_is(store: ResultsStore) -> None:
    other = replace(a_record(900.0), series=replace(CART, member="cart-2"), record_score=80.0)
    store.write(told(900.0, a_record(900.0), other))
    before = ask(store, "buckets")
    store.write(replace(rescored(30.0), outcome=replace(rescored(30.0).outcome, buckets=())))
    assert ask(store, "buckets") == before


def test_a_partition_follows_its_own_records_and_the_whole_its_partitions(
    store: ResultsStore,
) -> None:
    key = replace(CART, partition="shop")
    store.write(told(900.0, replace(a_record(900.0), series=key), partition="shop"))
    change = Rescore(900.0, 0, key, 30.0, WHY)
    store.write(an_advance(1800.0, rescores=(change,)))
    whole, part = bucket_at(store, 900.0), bucket_at(store, 900.0, "shop")
    assert whole["anomaly_score"] == part["anomaly_score"] < part["initial_anomaly_score"]


def test_scores_that_go_back_leave_no_reason_of_their_own_behind(store: ResultsStore) -> None:
    """History may clear a detector again: what a record gets back, its bucket gets back."""
    first = told(900.0, a_record(900.0))
    for advance in (first, rescored(30.0), rescored(80.0)):
        store.write(advance)
    bucket = bucket_at(store, 900.0)
    assert bucket["anomaly_score"] == bucket["initial_anomaly_score"]


def test_a_replay_ends_with_the_same_rows(store: ResultsStore) -> None:
    first, later = told(900.0, a_record(900.0)), rescored(30.0)
    for advance in (first, later):
        store.write(advance)
    once = [ask(store, kind) for kind in ("buckets", "influencers", "records")]
    for advance in (first, later, later):
        store.write(advance)
    assert [ask(store, kind) for kind in ("buckets", "influencers", "records")] == once


def test_another_workers_rows_are_its_own(tmp_path: Path) -> None:
    url = str(tmp_path / "shared.db")
    mine, theirs = (
        ResultsStore(url, job_id="shop/memory", shard=shard, now_s=lambda: 5e3) for shard in (0, 1)
    )
    mine.write(told(900.0, a_record(900.0)))
    theirs.write(told(900.0, replace(a_record(900.0), series=replace(CART, member="cart-2"))))
    mine.write(rescored(30.0))
    scores = sorted(one["anomaly_score"] for one in ask(mine, "buckets", end_s=1000.0))
    assert scores[0] < 60.0 < scores[1]
    mine.close()
    theirs.close()


def test_what_the_engine_rescores_is_seen_in_every_kind_of_result(store: ResultsStore) -> None:
    """One spike; then history turns out to have promised too much, as a flood would show."""
    values = noise(22 * DAY, series=3)
    values[21 * DAY, 0] = 500.0
    settings = analysis()
    engine, _, outcomes = run(values, settings)
    engine.models[0].ranking.episodes[:] = 1e5
    _, _, later = run(noise(130, series=3, seed=4), settings, engine=engine, first=22 * DAY)
    for outcome in (*outcomes, *later):
        begin, end = outcome.buckets[0].timestamp_s, outcome.buckets[-1].timestamp_s + 900.0
        store.write(
            Advance(settings, PlotSettings(), (), outcome, start_s=begin, end_s=end, live=True)
        )
    (best,) = ask(store, "records", sort="initial_record_score", limit=1)
    assert best["record_score"] < best["initial_record_score"] - 1.5
    at = best["timestamp"]
    (bucket,) = ask(store, "buckets", filters={"timestamp": str(at)})
    carriers = ask(store, "influencers", filters={"timestamp": str(at)})
    assert bucket["anomaly_score"] < bucket["initial_anomaly_score"] - 1.5
    assert {one["influencer_field_name"] for one in carriers} == {"workload", "pod"}
    for one in carriers:
        assert one["influencer_score"] == pytest.approx(best["record_score"])
        assert best["score_reason"] in one["score_reason"]


@pytest.mark.parametrize("score", [1e-12, 0.5, 3.0, 24.9, 25.0, 49.0, 50.0, 74.9, 75.0, 99.0])
def test_a_period_is_read_back_from_a_score(score: float) -> None:
    assert score_of(period_behind(score)) == pytest.approx(score, rel=1e-9)


def test_following_keeps_order_and_bounds() -> None:
    chance = np.random.default_rng(1)
    for _ in range(500):
        best, now = chance.uniform(3.0, 99.0, 2)
        initial = score_of(lifted(max(period_behind(best), 0.0)) + chance.uniform(0.0, 1.0))
        after = bucket_score(initial, best, now)
        assert 0.0 <= after <= 100.0
        assert (after <= initial + 1e-9) or now > best
        lift = score_of(period_behind(best) + 0.3)
        assert (influencer_score(lift, best, now) <= lift) == (now <= best)
