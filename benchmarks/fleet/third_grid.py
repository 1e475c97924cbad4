"""Buckets of the third fleet and its clocks: when it begins, and how far local time is from UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from benchmarks.datasets import Floats
from benchmarks.fleet.model import Settings
from benchmarks.fleet.noise import DAY_S, HOUR_S

OFFSETS_H = (0, 1, 2, -5)  # of local time from UTC, where the clock does not change
CLOCK_CHANGE_S = datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()  # from one hour ahead to two


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """Buckets of a fleet; ``offset_s`` (T,) is what local time is ahead of UTC."""

    start_s: float
    rows: int
    span_s: float
    offset_s: Floats
    changes: bool  # whether the clock changes at CLOCK_CHANGE_S

    @property
    def times_s(self) -> Floats:
        """Start of every bucket, in UTC."""
        return self.start_s + self.span_s * np.arange(self.rows, dtype=np.float64)

    @property
    def local_s(self) -> Floats:
        """Start of every bucket by the local clock."""
        return self.times_s + self.offset_s

    @property
    def end_s(self) -> float:
        """End of the last bucket."""
        return float(self.times_s[-1] + self.span_s)

    def bucket(self, at_s: float) -> int:
        """Bucket that holds a moment; before the first it is 0, after the last ``rows``."""
        return int(np.clip((at_s - self.start_s) // self.span_s, 0, self.rows))

    def offset_at(self, at_s: float) -> float:
        """What local time is ahead of UTC at a moment."""
        return float(self.offset_s[min(self.bucket(at_s), self.rows - 1)])

    def covered(self, first_s: float, last_s: float) -> Floats:
        """Share 0..1 of every bucket that lies within an interval, (T,)."""
        return overlap(self.times_s, self.span_s, first_s=first_s, last_s=last_s)


def lay_out(rng: np.random.Generator, settings: Settings, *, clock_change: bool) -> Grid:
    """Choose where in 2026 a fleet begins and where on Earth its users are."""
    rows = int(settings.weeks * 7 * DAY_S / settings.span_s)
    month, day = (2, 20) if clock_change else (5, int(rng.integers(3, 24)))
    start_s = datetime(2026, month, day, tzinfo=UTC).timestamp()
    offset_s = np.full(rows, HOUR_S * rng.choice(OFFSETS_H))
    if clock_change:
        times_s = start_s + settings.span_s * np.arange(rows)
        offset_s = np.where(times_s >= CLOCK_CHANGE_S, HOUR_S * 2, HOUR_S)
    return Grid(start_s, rows, settings.span_s, offset_s, clock_change)


def overlap(times_s: Floats, span_s: float, *, first_s: float, last_s: float) -> Floats:
    """Share 0..1 of the buckets that begin at ``times_s`` within an interval."""
    both = np.minimum(times_s + span_s, last_s) - np.maximum(times_s, first_s)
    share: Floats = np.clip(both, 0, span_s) / span_s
    return share
