"""Ranking measures agree with slow, obvious twins written from the papers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.datasets import Bools, Floats
from benchmarks.ranking import auc_pr, merged, soft_labels, stretches, vus_pr


def slow_auc_pr(truth: Bools, scores: Floats) -> float:
    """Sum over distinct thresholds of recall gained times precision."""
    area, recall = 0.0, 0.0
    for level in sorted(set(scores), reverse=True):
        flagged = scores >= level
        hits = int((flagged & truth).sum())
        area += (hits / truth.sum() - recall) * hits / flagged.sum()
        recall = hits / truth.sum()
    return area


def slow_vus_pr(truth: Bools, scores: Floats, *, longest: int, thresholds: int) -> float:
    """Go through every buffer, every threshold, every row."""
    rows, spans, volume = len(truth), stretches(truth), 0.0
    ordered = sorted(scores, reverse=True)
    for buffer in range(longest + 1):
        worth = truth.astype(float)
        for first, last in spans:
            for away in range(1, buffer // 2 + 1):
                for at in (first - away, last + away):
                    if 0 <= at < rows:
                        worth[at] += (1 - away / buffer) ** 0.5
        worth = np.minimum(worth, 1.0)
        grown = merged(spans, buffer // 2, rows)
        recall, precision = [0.0], [1.0]
        for rank in np.linspace(0, rows - 1, min(thresholds, rows)).astype(int):
            flagged = scores >= ordered[rank]
            gained = float(worth[flagged].sum())
            met = sum(flagged[a : b + 1].any() for a, b in grown) / len(grown)
            recall.append(min(gained / ((truth.sum() + worth.sum()) / 2), 1.0) * met)
            precision.append(gained / flagged.sum())
        for i in range(1, len(recall)):
            volume += (recall[i] - recall[i - 1]) * (precision[i] + precision[i - 1]) / 2
    return volume / (longest + 1)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Bools, Floats]:
    rows = draw(st.integers(20, 120))
    truth = np.zeros(rows, bool)
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, rows - 1))
        truth[first : first + draw(st.integers(1, 8))] = True
    scores = np.random.default_rng(draw(st.integers(0, 99))).normal(size=rows) + truth
    return truth, np.round(scores, draw(st.integers(0, 3)))


@settings(max_examples=25, deadline=None)
@given(labelled())
def test_auc_pr_agrees_with_every_threshold_tried(case: tuple[Bools, Floats]):
    truth, scores = case
    assert auc_pr(truth, scores) == pytest.approx(slow_auc_pr(truth, scores))


@settings(max_examples=15, deadline=None)
@given(labelled(), st.sampled_from([10, 40, 250]))
def test_vus_pr_agrees_with_every_buffer_and_threshold_tried(
    case: tuple[Bools, Floats], thresholds: int
):
    truth, scores = case
    fast = vus_pr(truth, scores, longest=7, thresholds=thresholds)
    assert fast == pytest.approx(slow_vus_pr(truth, scores, longest=7, thresholds=thresholds))


def test_without_a_buffer_and_with_perfect_order_the_volume_is_one():
    truth = np.zeros(200, bool)
    truth[50:60] = True
    assert vus_pr(truth, truth.astype(float), longest=0) == pytest.approx(1.0)


def test_few_thresholds_blur_a_rare_event_and_many_do_not():
    """One labelled row in 5000 is passed by the first rank step when there are 250 of them."""
    truth = np.zeros(5000, bool)
    truth[2500] = True
    scores = np.random.default_rng(0).random(5000)
    scores[2500] = np.sort(scores)[-4]  # the fifth highest, counting itself
    coarse = vus_pr(truth, scores, longest=0, thresholds=250)
    fine = vus_pr(truth, scores, longest=0, thresholds=5000)
    assert fine > 3 * coarse


def test_labels_fade_with_the_distance_up_to_half_the_buffer():
    truth = np.zeros(9, bool)
    truth[4] = True
    worth = soft_labels(truth, 4)
    expected = [0, 0, 0.5**0.5, 0.75**0.5, 1, 0.75**0.5, 0.5**0.5, 0, 0]
    assert worth.tolist() == pytest.approx(expected)


def test_the_area_of_a_series_without_labels_is_no_number():
    assert np.isnan(auc_pr(np.zeros(5, bool), np.arange(5.0)))
    assert np.isnan(vus_pr(np.zeros(5, bool), np.arange(5.0), longest=2))
