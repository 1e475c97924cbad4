"""Records, influencers, bucket results, rules, windows, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anomaly_operator.engine.contract import (
    Condition,
    Outcome,
    Rule,
    RuleAction,
    Scope,
    SeriesSet,
    Side,
    Window,
)
from anomaly_operator.engine.engine import Engine
from anomaly_operator.engine.layout import COUNT
from anomaly_operator.engine.memory import MemoryLimit, roomy
from anomaly_operator.engine.rules import in_scope, matches
from tests.engine.building import DAY, MONDAY_S, analysis, block, lasting, members, noise, run

LAST = 16 * DAY
SKIP = frozenset({RuleAction.SKIP_RESULT})
SKIP_BOTH = frozenset({RuleAction.SKIP_RESULT, RuleAction.SKIP_MODEL_UPDATE})


def spiked(settings: object = None, *, series: SeriesSet | None = None) -> tuple[Engine, Outcome]:
    """Three series with a spike of the first in the last bucket."""
    values = noise(LAST + 1, series=3)
    values[-1, 0] = 500.0
    engine, _, outcomes = run(values, settings, series=series)  # type: ignore[arg-type]
    return engine, outcomes[-1]


def test_a_record_says_all_a_reader_needs() -> None:
    _, outcome = spiked()
    (record,) = (r for r in outcome.records if r.record_score >= 50)
    assert record.timestamp_s == MONDAY_S + LAST * 900.0
    assert record.series.family == "w0"
    assert record.initial_record_score == record.record_score
    assert record.typical == pytest.approx(100.0, rel=0.05)
    assert record.summary == "5x higher"
    assert record.influencers == (("workload", "w0"), ("pod", "w0"))
    told = record.explanation
    assert told.anomaly_type == "spike"
    assert told.single_bucket_impact > told.multi_bucket_impact
    assert told.lower_confidence_bound < told.typical_value < told.upper_confidence_bound
    assert told.sentence.startswith("5x higher than typical; expected ")


def test_every_bucket_has_a_result_and_the_odd_one_stands_out() -> None:
    _, outcome = spiked()
    assert [b.partition for b in outcome.buckets] == [""] * len(outcome.buckets)
    scores = [b.anomaly_score for b in outcome.buckets]
    assert scores[-1] == max(scores) >= 50
    assert outcome.buckets[-1].event_count == 3
    assert outcome.buckets[-1].record_count >= 1


def test_influencers_name_who_carries_the_bucket() -> None:
    _, outcome = spiked()
    last = [i for i in outcome.influencers if i.timestamp_s == outcome.buckets[-1].timestamp_s]
    assert (last[0].field, last[0].value) in {("workload", "w0"), ("pod", "w0")}
    assert last[0].influencer_score >= 50


def test_partitions_have_results_of_their_own() -> None:
    values = noise(LAST + 1, series=6)
    values[-1, 0] = 500.0
    labels = lasting(6).labels
    keys = tuple(replace(k, partition=f"ns{i % 2}") for i, k in enumerate(lasting(6).keys))
    _, _, outcomes = run(values, series=SeriesSet(keys, labels))
    last = [b for b in outcomes[-1].buckets if b.timestamp_s == MONDAY_S + LAST * 900.0]
    assert [b.partition for b in last if b.anomaly_score >= 50] == ["", "ns0"]


def condition(what: str, operator: str, value: float) -> Rule:
    return Rule(SKIP, (Condition(what, operator, value),))


@pytest.mark.parametrize(
    ("rule", "muted"),
    [
        (condition("actual", "gt", 400.0), True),
        (condition("actual", "gte", 500.0), True),
        (condition("actual", "lt", 400.0), False),
        (condition("typical", "lte", 150.0), True),
        (condition("diff_from_typical", "gt", 300.0), True),
        (condition("diff_from_typical", "gt", 450.0), False),
        (condition("ratio_to_typical", "gt", 4.0), True),
        (condition("time", "gte", MONDAY_S + LAST * 900.0), True),
        (condition("time", "lt", MONDAY_S), False),
        (Rule(SKIP, scopes=(Scope("workload", ("w0",)),)), True),
        (Rule(SKIP, scopes=(Scope("workload", ("w0",), exclude=True),)), False),
    ],
)
def test_rules_withhold_what_they_apply_to(rule: Rule, muted: bool) -> None:  # noqa: FBT001
    _, outcome = spiked(analysis(rules=(rule,)))
    assert bool([r for r in outcome.records if r.series.family == "w0"]) != muted
    assert bool([m for m in outcome.muted if m.series.family == "w0" and m.window == ""]) == muted


def test_a_bucket_does_not_hear_of_what_was_withheld() -> None:
    """Or else the anomaly score, and whoever alerts on it, would tell what a rule was to hide."""
    _, plain = spiked()
    _, ruled = spiked(analysis(rules=(condition("actual", "gt", 400.0),)))
    assert plain.buckets[-1].anomaly_score >= 50
    assert ruled.buckets[-1].anomaly_score < 3
    assert max(m.score for m in ruled.muted) >= 50


def test_a_window_over_all_leaves_a_quiet_bucket_that_was_counted() -> None:
    end = MONDAY_S + (LAST + 1) * 900.0
    _, outcome = spiked(analysis(windows=(Window("all", ((end - 900.0, end),), SKIP),)))
    last = outcome.buckets[-1]
    assert (last.record_count, last.event_count, last.windows) == (0, 3, ("all",))
    assert last.anomaly_score < 1e-9


def test_a_window_names_itself_and_keeps_its_values_from_the_model() -> None:
    end = MONDAY_S + (LAST + 1) * 900.0
    window = Window("patching", ((end - 900.0, end),), SKIP_BOTH, (Scope("pod", ("w*",)),))
    engine, outcome = spiked(analysis(windows=(window,)))
    plain, _ = spiked()
    assert [m.window for m in outcome.muted if m.timestamp_s == end - 900.0] == ["patching"]
    assert outcome.buckets[-1].windows == ("patching",)
    counts = engine.models[0].state.core[:3, COUNT]
    assert counts.tolist() == (plain.models[0].state.core[:3, COUNT] - 1.0).tolist()


def test_a_rule_leaves_a_little_weight_to_learn_from() -> None:
    rule = Rule(SKIP_BOTH, scopes=(Scope("workload", ("w0",)),))
    engine, _ = spiked(analysis(rules=(rule,)))
    counts = engine.models[0].state.core[:3, COUNT]
    assert counts[0] == pytest.approx(1.0 + 0.005 * LAST)
    assert counts[1] == LAST + 1


def test_rules_can_change_while_running() -> None:
    engine, _, _ = run(noise(LAST, series=3), series=(series := lasting(3)))
    engine.update(analysis(rules=(condition("actual", "gt", 400.0),)))
    values = noise(1, series=3)
    values[0, 0] = 500.0
    outcome = engine.advance([block(values, series, first=LAST)])
    assert [m.series.family for m in outcome.muted] == ["w0"]


@pytest.mark.parametrize(
    ("changes", "records"),
    [({}, 1), ({"min_deviation_absolute": 450.0}, 0), ({"min_deviation_relative": 5.0}, 0)],
)
def test_a_value_nearer_than_the_minimum_deviation_is_no_record(
    changes: dict[str, float], records: int
) -> None:
    _, outcome = spiked(analysis(**changes))
    assert len([r for r in outcome.records if r.record_score >= 50]) == records


def test_patterns_may_begin_and_end_with_a_star() -> None:
    assert matches("web-*", "web-1")
    assert matches("*-1", "web-1")
    assert matches("*eb*", "web-1")
    assert matches("web-1", "web-1")
    assert not matches("web", "web-1")
    assert matches("*", "anything")
    scope = Scope("pod", ("a-*", "b"))
    assert in_scope((scope,), members("a-1", "b", "c")).tolist() == [True, True, False]


def test_the_hard_limit_refuses_new_series_and_goes_on_with_the_old() -> None:
    settings = analysis(model_memory_limit_bytes=600_000)
    engine = Engine(settings)
    values = noise(100, series=400)
    _, columns, _ = run(values, settings, engine=engine)
    size = engine.model_size()
    assert size.memory_status == "hard_limit"
    assert size.bucket_allocation_failures_count > 0
    assert 0 < size.series < 400
    assert size.model_bytes <= size.model_bytes_limit
    assert np.isfinite(columns.score[-1]).sum() == size.series


def test_the_limit_says_when_it_comes_near() -> None:
    limit = MemoryLimit(1000)
    assert limit.status(500) == "ok"
    assert limit.status(700) == "soft_limit"
    assert limit.prune_share(500) == 1.0
    assert 1.0 / 16.0 <= limit.prune_share(990) < 0.1
    assert not limit.admits(900, 200)
    limit.weigh(980)
    limit.note(980)
    assert limit.status(980) == "hard_limit"
    limit.note(400)
    assert limit.status(400) == "ok"
    assert (limit.peak_bytes, limit.failures) == (980, 1)
    assert roomy(1000) < 1200


def test_state_is_small() -> None:
    engine, _, _ = run(noise(8, series=2000))
    assert engine.model_size().model_bytes / 2000 < 4096 + 650
    assert engine.models[0].state.row_bytes() <= 4096


def test_warm_up_counts_down() -> None:
    engine = Engine(analysis())
    assert engine.warm_up(0.0).percent == 0.0
    run(noise(20), engine=engine)
    early = engine.warm_up(MONDAY_S + 20 * 900.0)
    assert early.percent == 0.0
    assert early.remaining_s == pytest.approx(28 * 900.0)
    run(noise(60), engine=engine, first=20)
    assert engine.warm_up(MONDAY_S + 80 * 900.0) == replace(early, percent=100.0, remaining_s=0.0)


def test_nothing_in_gives_nothing_out() -> None:
    outcome = Engine(analysis()).advance([])
    assert (outcome.buckets, outcome.records) == ((), ())


def test_two_detectors_share_the_bucket() -> None:
    settings = analysis(side=Side.BOTH)
    second = replace(settings.detectors[0], index=1, metric="memory_usage", side=Side.HIGH)
    settings = replace(settings, detectors=(settings.detectors[0], second))
    engine, series = Engine(settings), lasting(2)
    values = noise(LAST, series=2)
    first = block(values, series)
    outcome = engine.advance([first, replace(first, detector_index=1)])
    assert set(outcome.columns) == {0, 1}
    assert len(outcome.buckets) == LAST
    assert outcome.buckets[0].event_count == 4
