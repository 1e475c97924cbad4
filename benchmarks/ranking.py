"""Threshold-free ranking measures: AUC-PR and VUS-PR.

VUS-PR lets a score near a labelled stretch count in part: every stretch grows by a buffer on each
side with a worth that sinks with the distance, precision and recall are reckoned with those worths,
and the area is averaged over all buffer lengths up to a longest one.

References
----------
.. [1] J. Paparrizos et al., "Volume Under the Surface: A New Accuracy Evaluation Measure for
   Time-Series Anomaly Detection", PVLDB 15(11), 2022. doi:10.14778/3551793.3551830
"""

from __future__ import annotations

import numpy as np

from benchmarks.datasets import Bools, Floats

THRESHOLDS = 250  # the paper's


def stretches(flags: Bools) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.diff(np.concatenate([[0], np.asarray(flags, np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1, strict=True))


def auc_pr(truth: Bools, scores: Floats) -> float:
    """Average precision: the step-wise area under precision over recall; ties count together."""
    positives = int(truth.sum())
    if not positives:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    last_of_value = np.append(np.diff(scores[order]) != 0, True)
    found = hits[last_of_value]
    flagged = np.flatnonzero(last_of_value) + 1
    gained = np.diff(found, prepend=0)
    return float(np.sum(gained / positives * found / flagged))


def soft_labels(truth: Bools, buffer: int) -> Floats:
    """Worth of a flag at each row: 1 inside, sqrt(1 - d / buffer) up to half a buffer outside."""
    worth = truth.astype(float)
    if buffer < 2:
        return worth
    reach = np.arange(1, buffer // 2 + 1)
    fade = np.sqrt(1.0 - reach / buffer)
    for first, last in stretches(truth):
        after = last + reach
        before = first - reach
        worth[after[after < len(worth)]] += fade[after < len(worth)]
        worth[before[before >= 0]] += fade[before >= 0]
    return np.minimum(worth, 1.0)


def merged(spans: list[tuple[int, int]], reach: int, rows: int) -> list[tuple[int, int]]:
    """Stretches grown by ``reach`` on each side; those that meet become one."""
    grown: list[tuple[int, int]] = []
    for first, last in spans:
        low, high = max(first - reach, 0), min(last + reach, rows - 1)
        if grown and low <= grown[-1][1]:
            grown[-1] = (grown[-1][0], high)
        else:
            grown.append((low, high))
    return grown


def vus_pr(truth: Bools, scores: Floats, *, longest: int, thresholds: int = THRESHOLDS) -> float:
    """Volume under the precision-recall surface over buffers 0..longest.

    ``thresholds`` are taken at evenly spaced ranks; a set with very few labelled rows needs more of
    them than the paper's 250, else the first rank step already passes every labelled row.
    """
    if not truth.any():
        return float("nan")
    rows = len(scores)
    ordered = -np.sort(-scores)
    ranks = np.unique(np.linspace(0, rows - 1, min(thresholds, rows)).astype(int))
    levels = ordered[ranks]
    flagged = np.searchsorted(-ordered, -levels, "right")  # rows with score >= level
    order = np.argsort(-scores, kind="stable")
    spans = stretches(truth)
    labelled = float(truth.sum())
    volume = 0.0
    for buffer in range(longest + 1):
        worth = soft_labels(truth, buffer)
        gained = np.cumsum(worth[order])[flagged - 1]
        recall = np.minimum(gained / ((labelled + worth.sum()) / 2.0), 1.0)
        peaks = [scores[a : b + 1].max() for a, b in merged(spans, buffer // 2, rows)]
        met = np.searchsorted(np.sort(-np.array(peaks)), -levels, "right") / len(peaks)
        recall = np.concatenate([[0.0], recall * met])
        precision = np.concatenate([[1.0], gained / flagged])
        volume += float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2.0))
    return volume / (longest + 1)
