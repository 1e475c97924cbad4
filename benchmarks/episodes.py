"""Events found and false episodes: what a person on call gets to see of a detector.

A flagged bucket alone is not an alert: consecutive or near flagged buckets are one episode. An
event is found when a bucket between its start and its end is flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import Bools, Floats
from benchmarks.ranking import stretches

LEVELS = 400  # thresholds tried when false episodes are made equal


@dataclass(frozen=True, slots=True)
class Found:
    """Outcome for one series at one threshold; ``delays`` in rows, -1 where an event was missed."""

    delays: tuple[int, ...]
    false_episodes: int

    @property
    def found(self) -> int:
        """Events that were flagged."""
        return sum(delay >= 0 for delay in self.delays)


def episodes(flags: Bools, *, near: int) -> list[tuple[int, int]]:
    """Runs of flagged rows; runs with at most ``near`` quiet rows between them are one."""
    joined: list[tuple[int, int]] = []
    for first, last in stretches(flags):
        if joined and first - joined[-1][1] - 1 <= near:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def judge(
    scores: Floats,
    *,
    threshold: float,
    events: Sequence[tuple[int, int]],
    quiet: Bools,
    near: int,
) -> Found:
    """Compare one series' flags with its events (first and last row) at one threshold.

    ``quiet`` marks the rows in which a flag is false; rows that are neither in an event nor quiet
    (an event's aftermath, say) count for nothing.
    """
    flags = scores >= threshold
    delays = []
    for first, last in events:
        hits = np.flatnonzero(flags[first : last + 1])
        delays.append(int(hits[0]) if len(hits) else -1)
    return Found(tuple(delays), len(episodes(flags & quiet, near=near)))


def recall_at_equal_false(
    scores: Sequence[Floats],
    *,
    events: Sequence[Sequence[tuple[int, int]]],
    quiet: Sequence[Bools],
    near: int,
    allowed: float,
) -> tuple[float, float]:
    """Share of events found at the lowest threshold that keeps false episodes within ``allowed``.

    One threshold for all series. Returns the share and the threshold.
    """
    total = sum(len(each) for each in events)
    if not total:
        return float("nan"), float("nan")
    pooled = np.concatenate([each[np.isfinite(each)] for each in scores])
    high = np.sort(np.unique(pooled))[::-1]
    # Fine at the top, where few false episodes are decided, coarse below.
    ranks = np.unique(np.geomspace(1, len(high), LEVELS).astype(int)) - 1
    best = (0.0, float("inf"))
    for level in high[ranks]:
        false, found = 0, 0
        for each, mine, still in zip(scores, events, quiet, strict=True):
            outcome = judge(each, threshold=level, events=mine, quiet=still, near=near)
            false += outcome.false_episodes
            found += outcome.found
        if false > allowed:
            break
        best = (found / total, float(level))
    return best
