"""The memory status tells of refused series for as long as they are refused, and no longer."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly_operator.engine.contract import Block, SeriesKey, SeriesSet
from anomaly_operator.engine.engine import Engine
from anomaly_operator.engine.memory import MemoryLimit
from tests.engine.building import analysis

SPAN_S = 900.0
LIMIT = 740_000  # the next eighth of rows does not fit well below this


def block(bucket: int, pods: range) -> Block:
    """One bucket of pods that all have the same value."""
    keys = tuple(SeriesKey("", f"app-{pod}", "0") for pod in pods)
    values = np.full((1, len(keys)), 1e8)
    return Block(
        detector_index=0,
        start_s=bucket * SPAN_S,
        series=SeriesSet(keys, tuple({"pod": key.family} for key in keys)),
        values=values,
        counts=np.ones_like(values),
    )


def test_a_series_that_is_refused_in_every_bucket_is_told_of_in_every_bucket() -> None:
    engine = Engine(analysis(model_memory_limit_bytes=LIMIT))
    failures = []
    for bucket in range(20):
        engine.advance([block(bucket, range(400))])
        for size in (engine.model_size(), engine.model_size()):
            assert size.memory_status == "hard_limit"
        failures.append(engine.model_size().bucket_allocation_failures_count)
    assert engine.model_size().model_bytes < 0.95 * LIMIT, "else the size alone would tell"
    assert failures == list(range(1, 21)), "buckets, not series"


def test_it_ends_when_room_was_made_by_pruning() -> None:
    engine = Engine(analysis(model_memory_limit_bytes=LIMIT, prune_window_s=100 * SPAN_S))
    for bucket in range(20):
        engine.advance([block(bucket, range(400))])
    modelled = engine.model_size().series
    refused = range(400 - modelled // 2, 400)
    seen = []
    for bucket in range(20, 200):
        engine.advance([block(bucket, refused)])
        size = engine.model_size()
        seen.append((size.memory_status, size.pruned_series > 0))
    assert seen[0] == ("hard_limit", False)
    assert ("soft_limit", True) in seen
    assert ("hard_limit", True) not in seen
    assert not {status for status, pruned in seen if not pruned} - {"hard_limit"}


def test_it_survives_a_snapshot() -> None:
    settings = analysis(model_memory_limit_bytes=LIMIT)
    engine = Engine(settings)
    engine.advance([block(0, range(400))])
    again = Engine.restore(settings, engine.snapshot())
    assert again.model_size().memory_status == "hard_limit"


CASES = {
    "refused this round": ([(900, 200)], [900], "hard_limit"),
    "absent for a bucket, and still no room": ([(900, 200)], [900, 900, 900], "hard_limit"),
    "absent, and there is room again": ([(900, 200)], [900, 790], "soft_limit"),
}


@pytest.mark.parametrize(("asked", "held", "expected"), CASES.values(), ids=CASES)
def test_refusing_ends_with_a_round_in_which_there_is_room(
    asked: list[tuple[int, int]], held: list[int], expected: str
) -> None:
    limit = MemoryLimit(1000)
    assert [limit.admits(*each) for each in asked] == [False]
    for held_bytes in held:
        limit.note(held_bytes)
    assert limit.status(held[-1]) == expected
