"""A bucket of far fewer samples than its series usually has claims less, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anomaly_operator.engine.contract import AnalysisSettings, Outcome, Record
from anomaly_operator.engine.engine import Engine
from anomaly_operator.engine.incomplete import SETTLING
from anomaly_operator.engine.layout import USUAL
from tests.engine.building import DAY, Floats, analysis, block, bytes_of, lasting, noise

USUALLY = 15.0
SERIES = lasting(1)
BOTH = analysis(side="both", function="mean")


def advance(
    engine: Engine,
    values: Floats,
    counts: Floats | float,
    *,
    first: int,
    parts: Floats | None = None,
) -> Outcome:
    one = block(values, SERIES, first=first)
    table = np.broadcast_to(np.asarray(counts, float), one.values.shape).copy()
    return engine.advance([replace(one, counts=table, parts=parts)])


def learnt(settings: AnalysisSettings = BOTH, usually: float = USUALLY) -> Engine:
    engine = Engine(settings)
    advance(engine, noise(DAY * 9, series=1), usually, first=0)
    return engine


def told(
    samples: float,
    *,
    times: float = 0.3,
    settings: AnalysisSettings = BOTH,
    usually: float = USUALLY,
) -> Record:
    """Record of a bucket that is ``times`` what it should be, made of so many samples."""
    values = noise(DAY * 9 + 1, series=1)[-1:] * times
    outcome = advance(learnt(settings, usually), values, samples, first=DAY * 9)
    (record,) = outcome.records
    return record


def test_with_a_third_of_the_samples_it_claims_a_third_at_most() -> None:
    """Below the mark of a record, other views' claims count less in turn (``place``)."""
    values = noise(DAY * 9 + 1, series=1)[-1:] * 0.8
    whole_p, few_p = (
        advance(learnt(), values, samples, first=DAY * 9).columns[0].log_p[0, 0]
        for samples in (USUALLY, USUALLY / 3)
    )
    assert whole_p < -3.0
    assert 1.1 * whole_p / 3 <= few_p < 0.0


def test_the_record_says_what_was_taken_off() -> None:
    whole, few = told(USUALLY), told(7.0)
    assert few.initial_record_score < whole.initial_record_score
    assert few.explanation.incomplete_bucket_penalty
    assert "far fewer samples than this series usually has" in few.explanation.sentence
    assert not whole.explanation.incomplete_bucket_penalty
    assert "samples" not in whole.explanation.sentence


@pytest.mark.parametrize("samples", [USUALLY / 2, USUALLY, USUALLY * 10])
def test_half_the_samples_and_more_say_what_all_of_them_do(samples: float) -> None:
    record, whole = told(samples), told(USUALLY)
    assert record == whole


@pytest.mark.parametrize(("usually", "samples"), [(1.0, 1.0), (2.0, 1.0)])
def test_one_sample_a_bucket_is_not_few(usually: float, samples: float) -> None:
    assert not told(samples, usually=usually).explanation.incomplete_bucket_penalty


@pytest.mark.parametrize(
    ("function", "times", "penalty"),
    [
        ("max", 0.3, True),
        ("max", 2.5, False),
        ("min", 0.3, False),
        ("min", 2.5, True),
        ("mean", 2.5, True),
    ],
)
def test_only_what_want_of_samples_explains_is_held_back(
    function: str, times: float, *, penalty: bool
) -> None:
    """The highest of seven samples is as rare as ever where it is high."""
    record = told(7.0, times=times, settings=analysis(side="both", function=function))
    assert record.explanation.incomplete_bucket_penalty == penalty


def test_a_series_that_is_scraped_more_seldom_is_taken_at_its_word() -> None:
    engine = learnt()
    ahead = noise(DAY, series=1, seed=5)
    ahead[-1] *= 0.7
    outcome = advance(engine, ahead, 3.0, first=DAY * 9)
    assert not outcome.records[-1].explanation.incomplete_bucket_penalty
    assert engine.models[0].state.core[0, USUAL] == pytest.approx(3.0, rel=0.1)


def test_a_partial_bucket_now_and_then_changes_little_of_what_is_usual() -> None:
    engine = learnt()
    counts = np.full((DAY, 1), USUALLY)
    counts[::20] = 1.0
    advance(engine, noise(DAY, series=1, seed=5), counts, first=DAY * 9)
    assert engine.models[0].state.core[0, USUAL] > USUALLY * (1.0 - 2.0 * SETTLING)


def test_a_workload_that_loses_pods_is_whole_in_what_is_left() -> None:
    """A tenth of the samples of a tenth of the pods: that is an outage, and no want of samples."""
    settings = BOTH
    engine = Engine(settings)
    values = noise(DAY * 9, series=1)
    ten = np.full(values.shape, 10.0)
    advance(engine, values, 150.0, first=0, parts=ten)
    outcome = advance(
        engine, values[-1:] * 0.1, 15.0, first=DAY * 9, parts=np.ones_like(values[-1:])
    )
    assert not outcome.records[0].explanation.incomplete_bucket_penalty


def test_history_and_live_agree_whatever_the_counts() -> None:
    values = noise(DAY * 3, series=1)
    counts = np.random.default_rng(3).integers(1, 16, values.shape).astype(float)
    at_once, one_by_one = Engine(BOTH), Engine(BOTH)
    whole = advance(at_once, values, counts, first=0)
    pieces = [
        record
        for t in range(len(values))
        for record in advance(one_by_one, values[t : t + 1], counts[t : t + 1], first=t).records
    ]
    assert bytes_of(at_once) == bytes_of(one_by_one)
    assert list(whole.records) == pieces


def test_counts_that_never_change_cost_nothing() -> None:
    values = noise(DAY * 3, series=1)
    ones, many = Engine(BOTH), Engine(BOTH)
    first, second = (advance(e, values, n, first=0) for e, n in ((ones, 1.0), (many, 60.0)))
    np.testing.assert_array_equal(first.columns[0].score, second.columns[0].score)
