"""Counts of categories: judged by what is usual, rare by how rare, blank where nobody watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from anomaly_operator.engine.categorizing import Categorizer
from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Condition,
    DetectorSettings,
    Record,
    Rule,
    RuleAction,
    Scope,
    Side,
    Window,
)
from anomaly_operator.engine.counts import Rows, blank, judge, learn, log_tails
from anomaly_operator.engine.event_buckets import EventBuckets, EventSettings
from anomaly_operator.engine.together import JointEngine

SPAN_S = 900.0
DAY = 96  # buckets
CRASH = "BackOff: Back-off restarting failed container app in pod pay-7d9f8b6c5-x2x4z_shop"
PROBE = "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503"

Told = Sequence[tuple[str, str, int]]  # namespace, message, times


class Watch:
    """Events through buckets into the engine, as the worker does it."""

    def __init__(
        self,
        *functions: str,
        rules: tuple[Rule, ...] = (),
        windows: tuple[Window, ...] = (),
        stop_on_warn: bool = False,
        side: Side = Side.BOTH,
    ) -> None:
        self.settings = AnalysisSettings(
            span_s=SPAN_S,
            detectors=tuple(
                DetectorSettings(
                    index, "events", function, side, by="category", partition_field="namespace",
                    rules=rules,
                )
                for index, function in enumerate(functions)
            ),
            influencers=("namespace", "workload"),
            windows=windows,
        )  # fmt: skip
        self.categorizer = Categorizer(per_partition=True, stop_on_warn=stop_on_warn)
        self.buckets = [
            EventBuckets(
                EventSettings(index, SPAN_S, "namespace", first=index == 0), 0.0, self.categorizer
            )
            for index in range(len(functions))
        ]
        self.engine = JointEngine.create(self.settings)
        self.at = 0

    def bucket(self, told: Told = (), *, watched: bool = True) -> list[Record]:
        series = [{}] * watched + [
            {"namespace": namespace, "workload": "pay", "message": message}
            for namespace, message, _ in told
        ]
        values = [1.0] * watched + [float(times) for _, _, times in told]
        for each in self.buckets:
            each.add(
                series,
                np.arange(len(series), dtype=np.int32),
                time_s=np.full(len(series), self.at * SPAN_S + 1.0),
                value=np.array(values),
            )
        self.at += 1
        self.blocks = [each.close(self.at * SPAN_S) for each in self.buckets]
        self.outcome = self.engine.advance(self.blocks)
        return list(self.outcome.records)

    def usual(self, buckets: int, *, seed: int = 0) -> list[Record]:
        """Let ordinary time pass: pulls all the time, a job every hour, a probe now and then."""
        chance = np.random.default_rng(seed)
        found = []
        for _ in range(buckets):
            told = [("shop", f"Pulled: Successfully pulled image in {chance.integers(900)}ms", 1)]
            told *= int(chance.poisson(4))
            if self.at % 4 == 0:
                told.append(("shop", "SuccessfulCreate: Created pod by the report job", 3))
            if chance.random() < 0.05:
                told.append(("shop", PROBE, 1))
            found += self.bucket(told)
        return found


@pytest.fixture(scope="module")
def settled() -> Callable[..., Watch]:
    """A watch after two weeks, each test its own copy through a snapshot."""
    kept: dict[tuple[str, ...], Watch] = {}

    def make(*functions: str, **changes: object) -> Watch:
        if functions not in kept:
            kept[functions] = Watch(*functions)
            kept[functions].usual(14 * DAY)
        source, copy = kept[functions], Watch(*functions, **changes)
        copy.at = source.at
        copy.buckets = [
            EventBuckets.restore(each.settings, each.snapshot(), copy.categorizer)
            for each in source.buckets
        ]
        copy.engine = JointEngine.restore(copy.settings, source.engine.snapshot())
        return copy

    return make


def test_tails_are_those_of_the_negative_binomial():
    values = np.array([0.0, 1.0, 3.0, 20.0, 400.0])
    mean, size = np.full(5, 2.5), np.full(5, 0.7)
    high, low = log_tails(values, mean, size)
    oracle = stats.nbinom(size, size / (size + mean))
    np.testing.assert_allclose(high, oracle.logsf(values - 1.0), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(low, oracle.logcdf(values), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("rate", [0.05, 5.0])
def test_probabilities_of_ordinary_counts_are_no_smaller_than_they_say(rate: float):
    chance = np.random.default_rng(1)
    rows: Rows = blank(200, 0.0, np.zeros(24), 0)
    at, found = np.arange(200), []
    for bucket in range(1500):
        values, hour = chance.poisson(rate, 200).astype(float), bucket // 4 % 24
        if bucket > 300:
            found.append(judge(rows, at, values, hour=hour, side=Side.HIGH).log_p)
        learn(
            rows, at, values, hour=hour, bucket=bucket, weight=np.ones(200), fade=np.exp(-1 / 1344)
        )
    p = np.exp(np.array(found))
    for level in (0.05, 0.01, 1e-3):
        assert np.mean(p < level) < 1.3 * level


def test_ordinary_time_has_no_records_that_matter(settled: Callable[..., Watch]):
    watch = settled("count", "rare")
    assert max((r.record_score for r in watch.usual(7 * DAY, seed=1)), default=0.0) < 25.0


def test_a_category_never_seen_before_is_a_record_of_both_functions(
    settled: Callable[..., Watch],
):
    watch = settled("count", "rare")
    counted, rare = watch.bucket([("shop", CRASH, 4)])
    assert counted.record_score > 75.0
    assert rare.record_score > 50.0
    assert counted.summary == rare.summary == "New category"
    assert "never seen before in 14 d" in rare.explanation.sentence
    assert "Back-off restarting failed container" in rare.explanation.sentence
    assert ("workload", "pay") in counted.influencers
    assert {each.value for each in watch.outcome.influencers} == {"shop", "pay"}
    whole = next(each for each in watch.outcome.buckets if not each.partition)
    assert (whole.record_count, whole.event_count) == (2, 8)


def test_a_rare_category_is_less_each_time_it_comes_up(settled: Callable[..., Watch]):
    watch, scores = settled("rare"), []
    for _ in range(4):
        scores += [r.record_score for r in watch.bucket([("shop", CRASH, 1)])]
        watch.usual(20, seed=3)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < scores[0] - 10.0


def test_an_unusual_rate_of_a_known_category_is_a_record(settled: Callable[..., Watch]):
    watch = settled("high_count", side=Side.HIGH)
    (record,) = watch.bucket([("shop", PROBE, 12)])
    assert record.record_score > 75.0
    assert record.actual == 12.0
    assert 0.0 < record.typical < 0.2


def test_silence_of_a_busy_category_is_a_record_unless_only_many_are_looked_for():
    low, high = Watch("low_count", side=Side.LOW), Watch("high_count", side=Side.HIGH)
    chance = np.random.default_rng(2)
    for _ in range(2 * DAY):
        told = [("shop", "Pulled: Successfully pulled image in 9ms", int(chance.poisson(40)))]
        low.bucket(told), high.bucket(told)
    (record,) = low.bucket()
    assert record.record_score > 75.0
    assert record.summary == "Unusual zero value"
    assert high.bucket() == []


def test_missing_means_zero_where_watched_and_nothing_where_not(settled: Callable[..., Watch]):
    watch = settled("count")
    watch.bucket()
    (block,) = watch.blocks
    assert np.array_equal(block.values, np.zeros_like(block.values))
    watch.bucket(watched=False)
    (block,) = watch.blocks
    assert np.isnan(block.values).all()
    assert not watch.outcome.records


def test_late_events_are_counted_and_change_nothing(settled: Callable[..., Watch]):
    watch = settled("count")
    before = watch.buckets[0].counts
    watch.buckets[0].add(
        [{"namespace": "shop", "message": CRASH}],
        np.zeros(1, np.int32),
        time_s=np.array([SPAN_S]),
        value=np.array([1.0]),
    )
    assert watch.buckets[0].counts == replace(before, late=before.late + 1)


def test_going_on_from_a_snapshot_is_going_on(settled: Callable[..., Watch]):
    one, other = settled("count", "rare"), settled("count", "rare")
    told: Told = [("shop", CRASH, 4), ("bank", PROBE, 2)]
    assert one.bucket(told) == other.bucket(told)
    again = Watch("count", "rare")
    again.at = one.at
    again.buckets = [
        EventBuckets.restore(each.settings, each.snapshot(), again.categorizer)
        for each in one.buckets
    ]
    again.engine = JointEngine.restore(one.settings, one.engine.snapshot())
    assert again.bucket(told) == other.bucket(told)
    ours, theirs = again.engine.snapshot(), other.engine.snapshot()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


RULES = {
    "a scope over the words": Rule(
        frozenset({RuleAction.SKIP_RESULT}), scopes=(Scope("category", ("*Back-off*",)),)
    ),
    "a scope over the partition": Rule(
        frozenset({RuleAction.SKIP_RESULT}), scopes=(Scope("namespace", ("sh*",)),)
    ),
    "a condition": Rule(
        frozenset({RuleAction.SKIP_RESULT}), conditions=(Condition("actual", "lt", 10.0),)
    ),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_withholds_a_category(settled: Callable[..., Watch], rule: Rule):
    watch = settled("count", rules=(rule,))
    assert watch.bucket([("shop", CRASH, 4)]) == []
    (muted,) = watch.outcome.muted
    assert muted.score > 75.0


def test_a_rule_for_other_words_withholds_nothing(settled: Callable[..., Watch]):
    other = Rule(frozenset({RuleAction.SKIP_RESULT}), scopes=(Scope("category", ("*Pulled*",)),))
    assert settled("count", rules=(other,)).bucket([("shop", CRASH, 4)])


def test_a_window_withholds_and_does_not_learn(settled: Callable[..., Watch]):
    start_s = 14 * DAY * SPAN_S
    window = Window("rollout", ((start_s, start_s + SPAN_S),), frozenset(RuleAction))
    watch = settled("count", windows=(window,))
    assert watch.bucket([("shop", CRASH, 4)]) == []
    assert watch.outcome.buckets[0].windows == ("rollout",)
    assert watch.outcome.muted[0].window == "rollout"
    (record,) = watch.bucket([("shop", CRASH, 4)])
    assert record.record_score > 75.0


def test_a_partition_that_was_stopped_is_a_gap(settled: Callable[..., Watch]):
    watch = settled("count", stop_on_warn=True)
    letters = "abcdefghijklmnopqrstuvwxyz"
    for one in letters:
        watch.bucket([("messy", f"{one}{two} {two}{one}{one} {one}{one}", 1) for two in letters])
    assert watch.categorizer.standing("messy").stopped
    watch.bucket([("messy", CRASH, 9), ("shop", PROBE, 1)])
    (block,) = watch.blocks
    partitions = [key.partition for key in block.series.keys]
    for column, partition in enumerate(partitions):
        assert np.isnan(block.values[0, column]) == (partition == "messy")
    assert "messy" not in {record.series.partition for record in watch.outcome.records}
