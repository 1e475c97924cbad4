"""What the engine's tests build: settings, sets of series, and runs over a table of values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    Columns,
    DetectorSettings,
    Outcome,
    SeriesKey,
    SeriesSet,
    Side,
)
from anomaly_operator.engine.engine import Engine

QUARTER = 900.0
DAY = 96  # buckets of a quarter hour
MONDAY_S = 4 * 86400.0  # 5 January 1970

Floats = NDArray[np.float64]


def analysis(
    *,
    span_s: float = QUARTER,
    side: Side = Side.HIGH,
    metric: str = "network_in",
    **changes: object,
) -> AnalysisSettings:
    """One detector with everything else as given."""
    of_detector = {
        name: changes.pop(name)
        for name in tuple(changes)
        if name in DetectorSettings.__dataclass_fields__
    }
    detector = DetectorSettings(0, metric, "high_mean", side)
    detector = replace(detector, **of_detector)  # type: ignore[arg-type]
    built = AnalysisSettings(span_s=span_s, detectors=(detector,), influencers=("workload", "pod"))
    return replace(built, **changes)  # type: ignore[arg-type]


def lasting(count: int, *, partition: str = "") -> SeriesSet:
    """Series that never change hands."""
    return SeriesSet(
        tuple(SeriesKey(partition, f"w{i}") for i in range(count)),
        tuple({"workload": f"w{i}", "pod": f"w{i}"} for i in range(count)),
    )


def members(*names: str, family: str = "web") -> SeriesSet:
    """Pods of one workload."""
    return SeriesSet(
        tuple(SeriesKey("", family, name) for name in names),
        tuple({"workload": family, "pod": name} for name in names),
    )


def block(values: Floats, series: SeriesSet, *, first: int = 0, start_s: float = MONDAY_S) -> Block:
    """Buckets ``first`` and on of a table (T, S)."""
    table = np.asarray(values, dtype=np.float64)
    return Block(0, start_s + first * QUARTER, series, table, np.isfinite(table).astype(float))


def run(
    values: Floats,
    settings: AnalysisSettings | None = None,
    *,
    series: SeriesSet | None = None,
    cut: int = 192,
    engine: Engine | None = None,
    first: int = 0,
) -> tuple[Engine, Columns, list[Outcome]]:
    """An engine over (T, S) or (T,) values, ``cut`` buckets at a time."""
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    chosen = settings or analysis()
    engine = engine or Engine(chosen)
    series = series or lasting(table.shape[1])
    outcomes = []
    for begin in range(0, len(table), cut):
        part = table[begin : begin + cut]
        one = replace(block(part, series), start_s=MONDAY_S + (first + begin) * chosen.span_s)
        outcomes.append(engine.advance([one]))
    joined = {
        name: np.concatenate([getattr(each.columns[0], name) for each in outcomes])
        for name in Columns.__dataclass_fields__
    }
    return engine, Columns(**joined), outcomes


def noise(buckets: int, *, series: int = 1, seed: int = 0, share: float = 0.05) -> Floats:
    """A level of 100 with normal noise, (T, S)."""
    drawn = np.random.default_rng(seed).normal(size=(buckets, series))
    return 100.0 * (1.0 + share * drawn)


def days(buckets: int, *, weekend: float = 1.0) -> Floats:
    """The shape of days around 100, weekends scaled, (T,)."""
    t = np.arange(buckets)
    week = np.where(t // DAY % 7 >= 5, weekend, 1.0)
    return 100.0 * (1.0 + 0.5 * np.sin(2 * np.pi * t / DAY)) * week


def bytes_of(engine: Engine) -> dict[str, bytes]:
    """All state as bytes, to be compared."""
    return {name: array.tobytes() for name, array in engine.snapshot().items()}
