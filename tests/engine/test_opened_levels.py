"""A new pod in an old one's place: what its first hours say, and what they must not teach."""

from __future__ import annotations

import numpy as np

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    DetectorSettings,
    Outcome,
    SeriesKey,
    SeriesSet,
    Side,
)
from anomaly_operator.engine.engine import Engine
from anomaly_operator.engine.layout import CLASSES, LEVEL, SLOPE
from anomaly_operator.engine.levels import SLOW

SPAN_S = 900.0
DAY = 96
START_S = 1_700_006_400.0  # a multiple of the span
PODS = 4
LOUD = 50.0


def pods(version: int) -> SeriesSet:
    """The workload's pods of one version."""
    keys = tuple(SeriesKey("", "shop", f"shop-{version}-{i}") for i in range(PODS))
    return SeriesSet(keys, tuple({"workload": key.family, "pod": key.member} for key in keys))


def rolled_out(metric: str, values: np.ndarray, rollout: int) -> tuple[Engine, Outcome]:
    """The engine after ``values`` (T, PODS), and what it concluded from a rollout on."""
    settings = AnalysisSettings(
        span_s=SPAN_S, detectors=(DetectorSettings(0, metric, "mean", Side.BOTH),)
    )
    engine = Engine(settings)
    for version, (begin, end) in enumerate(((0, rollout), (rollout, len(values)))):
        part = values[begin:end]
        start_s = START_S + begin * SPAN_S
        outcome = engine.advance([Block(0, start_s, pods(version), part, np.ones_like(part))])
    return engine, outcome


def steady(days: int, noise: float, seed: int = 3) -> np.ndarray:
    """Days of a level with noise, (T, PODS)."""
    rng = np.random.default_rng(seed)
    return 1e9 * np.exp(noise * rng.standard_normal((days * DAY, PODS)))


def warming_up(values: np.ndarray, start: int, *, buckets: float = 12.0) -> np.ndarray:
    """Memory that starts at half of its level and fills up in hours."""
    since = np.arange(len(values) - start)
    found = values.copy()
    found[start:] *= (1.0 - 0.5 * np.exp(-since / buckets))[:, None]
    return found


def test_a_warm_up_is_not_taken_for_growth() -> None:
    """Days later the slow level is where the values are, and does not go on climbing."""
    rollout = 12 * DAY
    values = warming_up(steady(19, 0.01), rollout, buckets=30.0)
    engine, _ = rolled_out("memory_usage", values, rollout)
    core = engine.models[0].state.core[:PODS]
    assert np.abs(core[:, LEVEL + SLOW] / 1e9 - 1.0).max() < 0.01
    assert np.abs(core[:, SLOPE : SLOPE + CLASSES] * DAY / 1e9).max() < 0.005


def test_a_warm_up_is_not_expected_again_a_week_later() -> None:
    rollout = 1 * DAY + 40
    values = warming_up(steady(10, 0.01), rollout)
    _, after = rolled_out("memory_usage", values, rollout)
    again = 7 * DAY
    typical = after.columns[0].typical[again - 4 : again + 24]
    assert np.abs(typical / 1e9 - 1.0).max() < 0.05


def test_trouble_is_told_at_once_where_traffic_went_on_through_a_rollout() -> None:
    """An hour after a rollout that nobody noticed, tenfold traffic is what it is at any time."""
    rollout = 21 * DAY + 30
    values = steady(22, 0.05)
    values[rollout + 4 : rollout + 8, 0] *= 10.0
    _, after = rolled_out("network_in", values, rollout)
    begin_s = START_S + (rollout + 4) * SPAN_S
    told = [r for r in after.records if r.timestamp_s == begin_s and r.record_score >= LOUD]
    assert [r.series.member for r in told] == ["shop-1-0"]


def test_what_fills_memory_after_a_rollout_is_known_only_after_hours() -> None:
    """A new version starts where the old one was and needs half as much again."""
    rollout = 21 * DAY + 30
    values = steady(22, 0.02)
    since = np.arange(len(values) - rollout)
    values[rollout:] *= (1.5 - 0.5 * np.exp(-since / 12.0))[:, None]
    _, after = rolled_out("memory_usage", values, rollout)
    assert [r for r in after.records if r.record_score >= LOUD] == []
