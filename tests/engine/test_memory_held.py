"""What the engine holds is what it says, and whoever only writes the models down copies nothing."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from anomaly_operator.engine.contract import Block, Outcome, SeriesKey, SeriesSet
from anomaly_operator.engine.engine import Engine
from tests.engine.building import MONDAY_S, QUARTER, analysis, noise, run

SERIES = 4000


def one_bucket(engine: Engine, series: SeriesSet, bucket: int = 0) -> Outcome:
    values = np.full((1, len(series.keys)), 1e6)
    return engine.advance(
        [Block(0, MONDAY_S + bucket * QUARTER, series, values, np.ones_like(values))]
    )


def pods(count: int) -> SeriesSet:
    return SeriesSet(
        tuple(SeriesKey("shop", f"shop/app-{i // 4}", f"app-{i}") for i in range(count)),
        tuple({} for _ in range(count)),
    )


def test_a_lent_snapshot_is_the_models_own_memory_and_cannot_be_changed() -> None:
    engine, _, _ = run(noise(200, series=3))
    kept, lent = engine.snapshot(), engine.snapshot(lent=True)
    assert {name: array.tobytes() for name, array in lent.items()} == {
        name: array.tobytes() for name, array in kept.items()
    }
    core = engine.models[0].state.core
    assert np.shares_memory(lent["0/core"], core)
    assert not np.shares_memory(kept["0/core"], core)
    with pytest.raises(ValueError, match="read-only"):
        lent["0/core"][0, 0] = 1.0


def test_an_engine_restored_from_a_lent_snapshot_stands_on_its_own() -> None:
    engine, _, _ = run(noise(200, series=3))
    before = engine.snapshot()
    other = Engine.restore(engine.settings, engine.snapshot(lent=True))
    run(noise(50, series=3), engine=other, first=200)
    after = engine.snapshot()
    assert {name: array.tobytes() for name, array in after.items()} == {
        name: array.tobytes() for name, array in before.items()
    }


def test_lending_a_snapshot_takes_no_memory_to_speak_of() -> None:
    series = pods(SERIES)
    engine = Engine(analysis())
    one_bucket(engine, series)
    held = engine.model_size().model_bytes
    tracemalloc.start()
    try:
        arrays = engine.snapshot(lent=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(array.nbytes for array in arrays.values()) > 0.7 * held
    assert peak < 0.3 * held  # the table of keys as text


def test_model_bytes_are_what_a_model_takes() -> None:
    one_bucket(Engine(analysis()), pods(2))  # whatever is made once, kernels above all
    tracemalloc.start()
    try:
        engine = Engine(analysis())
        series = pods(SERIES)
        one_bucket(engine, series)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert engine.model_size().series == SERIES
    assert engine.model_size().model_bytes == pytest.approx(taken, rel=0.1)
