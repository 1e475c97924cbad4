"""What is compared: one protocol for our engine and every peer, and the adapter of ours.

A detector gets one series, rows oldest first, and answers a score per row; the score of a row may
depend on it and on earlier rows only. Higher is more anomalous; only the order matters, save for
our own scores, whose marks at 50 and 75 are promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    Columns,
    DetectorSettings,
    SeriesKey,
    SeriesSet,
    Side,
)
from anomaly_operator.engine.engine import Engine
from benchmarks.datasets import Floats

MAJOR = 50.0
CRITICAL = 75.0
BLOCK_BUCKETS = 96  # buckets handed over at once; must not matter, and a benchmark test looks


class Detector(Protocol):
    """Scores one series at a time, or a table of series on one time axis."""

    name: str
    version: str

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score of every row, (N,); NaN values are missing samples."""

    def score_table(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Scores of (T, S) values on a regular time axis, each series on its own."""


class EachColumn:
    """Gives a detector that knows single series only its ``score_table``."""

    def score_table(self: Detector, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score column by column, without the rows that have no sample."""
        scores = np.full(values.shape, -np.inf)
        for column in range(values.shape[1]):
            there = np.isfinite(values[:, column])
            if there.sum() > 1:
                scores[there, column] = self.score(times_s[there], values[there, column], side=side)
        return scores


@dataclass(frozen=True, slots=True)
class Ours:
    """The engine, driven as a worker drives it in backfill: block after block of closed buckets."""

    name: str = "anomaly-operator"
    version: str = "this tree"
    block_buckets: int = BLOCK_BUCKETS

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score of every row: that of the bucket the row lies in."""
        span_s = float(np.median(np.diff(times_s)))
        bucket = np.round((times_s - times_s[0]) / span_s).astype(int)
        rows = int(bucket[-1]) + 1
        total = np.bincount(bucket, np.nan_to_num(values), rows)
        count = np.bincount(bucket, np.isfinite(values), rows)
        grid = np.divide(total, count, out=np.full(rows, np.nan), where=count > 0)
        axis = times_s[0] + span_s * np.arange(rows)
        return self.score_table(axis, grid[:, None], side=side)[bucket, 0]

    def score_table(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Scores of a table whose series last and have nothing to do with each other."""
        return self.columns(times_s, values, side=side).score

    def columns(self, times_s: Floats, values: Floats, *, side: Side) -> Columns:
        """All the engine says of a table: typical, bounds, log p, impact, score."""
        span_s = float(times_s[1] - times_s[0])
        engine = Engine(settings(span_s, sides=(side,)))
        series = lasting(values.shape[1])
        parts = []
        for first in range(0, len(times_s), self.block_buckets):
            piece = np.ascontiguousarray(values[first : first + self.block_buckets])
            block = Block(
                detector_index=0,
                start_s=float(times_s[first]),
                series=series,
                values=piece,
                counts=np.isfinite(piece).astype(float),
            )
            parts.append(engine.advance([block]).columns[0])
        return joined(parts)


def settings(span_s: float, *, sides: Sequence[Side]) -> AnalysisSettings:
    """One detector per side, everything at its default, values of either sign."""
    return AnalysisSettings(
        span_s=span_s,
        detectors=tuple(
            DetectorSettings(
                index=index, metric="value", function="mean", side=side, non_negative=False
            )
            for index, side in enumerate(sides)
        ),
    )


def lasting(count: int) -> SeriesSet:
    """Series that never change pods."""
    return SeriesSet(
        keys=tuple(SeriesKey(partition="", family=f"series-{i}") for i in range(count)),
        labels=tuple({"series": str(i)} for i in range(count)),
    )


def joined(parts: Sequence[Columns]) -> Columns:
    """Put the answers for consecutive blocks below each other; what was not judged scores 0."""

    def rows(name: str) -> Floats:
        return np.concatenate([np.asarray(getattr(part, name)) for part in parts])

    return Columns(
        typical=rows("typical"),
        lower=rows("lower"),
        upper=rows("upper"),
        log_p=rows("log_p"),
        multi_bucket_impact=rows("multi_bucket_impact"),
        score=np.nan_to_num(rows("score"), nan=0.0),
    )
