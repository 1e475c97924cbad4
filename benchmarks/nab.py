"""The Numenta Anomaly Benchmark's published scoring, written from its formula.

A detection in a labelled window earns more the earlier it comes; only the best one of a window
counts. A detection outside costs, less so shortly after a window. A window without detection
costs. The sum over the corpus is set on a scale where a detector that never alerts has 0 and one
that alerts on every window's first row, and nowhere else, has 100.

References
----------
.. [1] A. Lavin, S. Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly
   Benchmark", ICMLA 2015. arXiv:1510.03336
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import Floats, LabelledSeries

PROBATION_SHARE = 0.15
PROBATION_BASIS_ROWS = 5000  # the share is taken of at most that many rows
FAR_BEHIND = 3.0  # window widths after which a false positive costs in full
BEST = 2.0 / (1.0 + np.exp(-5.0)) - 1.0  # the sigmoid at a window's left edge
NOTHING = 1.1  # NAB's threshold that no score in 0..1 reaches


@dataclass(frozen=True, slots=True)
class Profile:
    """Weights of one application profile."""

    name: str
    true_positive: float
    false_positive: float
    false_negative: float


PROFILES = (
    Profile("standard", 1.0, 0.11, 1.0),
    Profile("reward_low_FP", 1.0, 0.22, 1.0),
    Profile("reward_low_FN", 1.0, 0.11, 2.0),
)


@dataclass(frozen=True, slots=True)
class Steps:
    """How a file's raw score changes as the threshold sinks past each row's anomaly score."""

    score: Floats
    change: Floats
    base: float  # raw score when nothing is flagged
    windows: int


def sigmoid_weight(position: Floats) -> Floats:
    """Worth of a detection at a relative position: -1 window's left edge, 0 its right edge."""
    position = np.asarray(position, float)
    worth = 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, FAR_BEHIND))) - 1.0
    return np.where(position >= FAR_BEHIND, -1.0, worth)


def probation_rows(rows: int) -> int:
    """Rows at a file's start that are not scored."""
    return int(min(np.floor(PROBATION_SHARE * rows), PROBATION_SHARE * PROBATION_BASIS_ROWS))


def window_rows(series: LabelledSeries) -> list[tuple[int, int]]:
    """First and last row of each labelled window."""
    bounds = []
    for start, end in series.windows:
        first = int(np.searchsorted(series.times_s, start, "left"))
        last = int(np.searchsorted(series.times_s, end, "right")) - 1
        if last >= first:
            bounds.append((first, last))
    return bounds


def steps(series: LabelledSeries, scores: Floats, *, profile: Profile) -> Steps:
    """Turn one file's anomaly scores into the steps of its raw score."""
    rows = len(scores)
    first_scored = probation_rows(rows)
    owner = np.full(rows, -1)
    position = np.full(rows, FAR_BEHIND)
    bounds = window_rows(series)
    for number, (first, last) in enumerate(bounds):
        inside = np.arange(first, last + 1)
        owner[inside] = number
        position[inside] = -(last - inside + 1) / (last - first + 1)
        behind = np.arange(last + 1, rows)
        position[behind] = (behind - last) / max(last - first, 1)
    worth = sigmoid_weight(position)
    at, change = [], []
    counted = 0
    scored = np.arange(rows) >= first_scored
    outside = scored & (owner < 0)
    at.append(scores[outside])
    change.append(worth[outside] * profile.false_positive)
    for number in range(len(bounds)):
        rows_in = np.flatnonzero(scored & (owner == number))
        if not len(rows_in):
            continue
        counted += 1
        order = rows_in[np.argsort(-scores[rows_in], kind="stable")]
        best = np.maximum.accumulate(worth[order] * profile.true_positive / BEST)
        at.append(scores[order])
        change.append(np.diff(best, prepend=-profile.false_negative))
    return Steps(
        score=np.concatenate(at),
        change=np.concatenate(change),
        base=-profile.false_negative * counted,
        windows=len(bounds),
    )


def best_threshold(parts: Sequence[Steps]) -> tuple[float, float]:
    """Threshold with the highest raw score over all parts, and that score; as NAB optimises."""
    score = np.concatenate([part.score for part in parts])
    change = np.concatenate([part.change for part in parts])
    base = sum(part.base for part in parts)
    order = np.argsort(-score, kind="stable")
    total = base + np.cumsum(change[order])
    ordered = score[order]
    last_of_value = np.append(ordered[1:] != ordered[:-1], True)
    thresholds = np.concatenate([[np.inf], ordered[last_of_value]])
    totals = np.concatenate([[base], total[last_of_value]])
    best = int(np.argmax(totals))
    return float(thresholds[best]), float(totals[best])


def raw_score(parts: Sequence[Steps], threshold: float) -> float:
    """Raw score of all parts at one threshold; a row is flagged at score >= threshold."""
    return float(
        sum(part.base + part.change[part.score >= threshold].sum() for part in parts),
    )


def normalised(raw: float, parts: Sequence[Steps], *, profile: Profile) -> float:
    """0 for the null detector, 100 for the perfect one."""
    null = sum(part.base for part in parts)
    perfect = sum(part.windows for part in parts) * profile.true_positive
    return 100.0 * (raw - null) / (perfect - null)


@dataclass(frozen=True, slots=True)
class NabResult:
    """One detector's scores for one profile on a corpus.

    ``same`` has the threshold fitted on the corpus itself; ``other`` is the mean over random
    halvings of the score of each half under the threshold of the other half.
    """

    profile: str
    same: float
    other: float
    other_spread: float
    threshold: float
    per_file: Mapping[str, float]


def evaluate(
    corpus: Sequence[LabelledSeries], scores: Sequence[Floats], *, halvings: int = 40
) -> list[NabResult]:
    """Score a detector over a corpus in all three profiles."""
    results = []
    for profile in PROFILES:
        parts = [steps(s, a, profile=profile) for s, a in zip(corpus, scores, strict=True)]
        threshold, raw = best_threshold(parts)
        crossed = [_crossed(parts, seed, profile=profile) for seed in range(halvings)]
        results.append(
            NabResult(
                profile=profile.name,
                same=normalised(raw, parts, profile=profile),
                other=float(np.mean(crossed)),
                other_spread=float(np.std(crossed)),
                threshold=threshold,
                per_file={
                    series.name: raw_score([part], threshold)
                    for series, part in zip(corpus, parts, strict=True)
                },
            )
        )
    return results


def _crossed(parts: Sequence[Steps], seed: int, *, profile: Profile) -> float:
    order = np.random.default_rng(seed).permutation(len(parts))
    halves = [[parts[i] for i in half] for half in np.array_split(order, 2)]
    raw = sum(
        raw_score(judged, best_threshold(fitted)[0])
        for fitted, judged in (halves, reversed(halves))
    )
    return normalised(raw, parts, profile=profile)
