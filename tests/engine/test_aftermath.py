"""What is over is over: the end of an anomaly is none, and one-sided means one-sided."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    DetectorSettings,
    Record,
    SeriesKey,
    SeriesSet,
    Side,
)
from anomaly_operator.engine.engine import Engine

SPAN_S = 900.0
DAY = 96
START_S = 1_700_006_400.0  # a multiple of the span


def records_after(side: Side, *, length: int, factor: float, seed: int) -> list[Record]:
    """Three weeks of an ordinary rhythmic series, a surge of ``length`` buckets, then a day."""
    rng = np.random.default_rng(seed)
    days, after = 21, DAY
    size = days * DAY + length + after
    time = np.arange(size)
    daily = 1.0 + 0.4 * np.sin(2 * np.pi * time / DAY)
    noise = np.exp(0.05 * rng.standard_normal((size, 4)))
    values = 1e6 * daily[:, None] * noise
    surge = slice(days * DAY, days * DAY + length)
    values[surge, 0] *= factor
    keys = tuple(SeriesKey("", f"workload-{i}", "pod") for i in range(4))
    series = SeriesSet(keys, tuple({"workload": key.family} for key in keys))
    settings = AnalysisSettings(
        span_s=SPAN_S,
        detectors=(DetectorSettings(0, "network_in", "mean", side),),
    )
    block = Block(0, START_S, series, values, np.ones_like(values))
    outcome = Engine(settings).advance([block])
    end_s = START_S + (days * DAY + length) * SPAN_S
    return [r for r in outcome.records if r.timestamp_s >= end_s and r.series == keys[0]]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("length", "factor"), [(3, 4.0), (8, 3.0), (24, 3.0)])
def test_ordinary_values_after_a_surge_are_quiet(length: int, factor: float, seed: int):
    """From the third bucket after the surge on, no ordinary value scores 50."""
    late = records_after(Side.BOTH, length=length, factor=factor, seed=seed)
    loud = [
        (round((r.timestamp_s - START_S) / SPAN_S) - 21 * DAY - length, round(r.record_score))
        for r in late
        if r.record_score >= 50
    ]
    assert [each for each in loud if each[0] >= 2] == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("length", "factor"), [(3, 4.0), (8, 3.0)])
def test_one_sided_detectors_never_speak_of_the_other_side(length: int, factor: float, seed: int):
    """A detector of high values reports no dip."""
    for record in records_after(Side.HIGH, length=length, factor=factor, seed=seed):
        assert record.explanation.anomaly_type == "spike", record
        assert "low" not in record.summary.lower(), record


def scores_of(values: np.ndarray) -> np.ndarray:
    """(T,) scores of the first of four series."""
    keys = tuple(SeriesKey("", f"workload-{i}", "pod") for i in range(4))
    series = SeriesSet(keys, tuple({"workload": key.family} for key in keys))
    settings = AnalysisSettings(
        span_s=SPAN_S, detectors=(DetectorSettings(0, "network_in", "mean", Side.BOTH),)
    )
    engine = Engine(settings)
    return (
        engine.advance([Block(0, START_S, series, values, np.ones_like(values))])
        .columns[0]
        .score[:, 0]
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_way_back_from_an_accepted_level_is_quiet(seed: int):
    """Half of what was lost comes back within a day, and stays: that is known ground."""
    rng = np.random.default_rng(seed)
    values = 1e6 * np.exp(0.05 * rng.standard_normal((24 * DAY, 4)))
    lost, back = 21 * DAY, 22 * DAY
    values[lost:, 0] *= 0.3
    values[back : back + DAY, 0] *= np.linspace(1.0, 2.2, DAY)
    values[back + DAY :, 0] *= 2.2
    scores = scores_of(values)
    assert scores[lost : lost + 8].max() >= 50, "the fall itself is told"
    assert scores[back:].max() < 50
