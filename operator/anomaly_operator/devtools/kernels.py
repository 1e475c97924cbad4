"""Compile the engine's kernels ahead of time, so that no worker's first bucket waits for it.

``make setup`` and the image's build call this. What is compiled stands beside the source, or where
``NUMBA_CACHE_DIR`` says; a changed kernel is compiled again by itself.
"""

from __future__ import annotations

import numpy as np

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    DetectorSettings,
    SeriesKey,
    SeriesSet,
    Side,
)
from anomaly_operator.engine.engine import Engine

DAYS, BUCKETS_A_DAY = 15, 96  # long enough for rhythm, tails and a spike's aftermath
SPAN_S = 900.0


def compile_kernels() -> None:
    """Judge two made-up weeks, then one live bucket, then all of it again after a restore."""
    size = DAYS * BUCKETS_A_DAY
    steps = np.arange(size)
    values = 1e9 * (10.0 + np.sin(2 * np.pi * steps / BUCKETS_A_DAY) + 0.1 * np.sin(steps))
    values[-100] *= 5.0
    series = SeriesSet((SeriesKey("", "node-1"),), ({"node": "node-1"},))
    detectors = tuple(
        DetectorSettings(index, f"metric-{index}", "mean", side) for index, side in enumerate(Side)
    )
    settings = AnalysisSettings(span_s=SPAN_S, detectors=detectors, influencers=("node",))
    engine = Engine(settings)

    def blocks(first: int, last: int) -> list[Block]:
        part = values[first:last, None]
        return [
            Block(each.index, first * SPAN_S, series, part, np.ones_like(part))
            for each in detectors
        ]

    engine.advance(blocks(0, size - 2))
    engine.advance(blocks(size - 2, size - 1))
    Engine.restore(settings, engine.snapshot()).advance(blocks(size - 1, size))


if __name__ == "__main__":
    compile_kernels()
