"""The NAB scorer scores as NAB does: known detectors, and cases reckoned by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anomaly_operator.engine.contract import Side
from benchmarks import nab
from benchmarks.datasets import LabelledSeries, data_folder, read_set
from benchmarks.peers.windowed_gaussian import WindowedGaussian

STANDARD = nab.PROFILES[0]


def series(rows: int, *windows: tuple[int, int], name: str = "a/a.csv") -> LabelledSeries:
    times = np.arange(rows) * 300.0
    bounds = tuple((times[first], times[last]) for first, last in windows)
    return LabelledSeries(name, "a", times, np.zeros(rows), bounds, bounds)


def flags(rows: int, *at: int) -> np.ndarray:
    scores = np.zeros(rows)
    scores[list(at)] = 1.0
    return scores


CORPUS = [series(1000, (400, 449), (800, 819)), series(2000, (900, 999)), series(500)]


def test_a_silent_detector_scores_nothing_and_the_perfect_one_a_hundred():
    silent = nab.evaluate(CORPUS, [np.zeros(len(each.times_s)) for each in CORPUS])
    perfect = nab.evaluate(CORPUS, [flags(1000, 400, 800), flags(2000, 900), np.zeros(500)])
    assert [result.same for result in silent] == pytest.approx([0.0, 0.0, 0.0])
    assert [result.same for result in perfect] == pytest.approx([100.0, 100.0, 100.0])


def test_a_detection_is_worth_less_the_later_it_comes_and_only_the_best_one_counts():
    """A window of 50 rows, flagged at its 26th row: relative position -(25 + 0) / 50 = -0.5."""
    parts = [nab.steps(CORPUS[0], flags(1000, 425, 440), profile=STANDARD)]
    worth = (2 / (1 + math.exp(-2.5)) - 1) / (2 / (1 + math.exp(-5)) - 1)
    assert nab.raw_score(parts, 1.0) == pytest.approx(worth - 1.0)  # the second window is missed


def test_a_false_alert_costs_in_full_far_from_windows_and_less_right_behind_one():
    before = nab.raw_score([nab.steps(CORPUS[1], flags(2000, 500), profile=STANDARD)], 1.0)
    behind = nab.raw_score([nab.steps(CORPUS[1], flags(2000, 1009), profile=STANDARD)], 1.0)
    assert before == pytest.approx(-1.0 - 0.11)
    cost = 0.11 * (2 / (1 + math.exp(5 * 10 / 99)) - 1)  # ten rows behind a window of 100
    assert behind == pytest.approx(-1.0 + cost)


def test_the_probation_is_fifteen_percent_of_at_most_five_thousand_rows():
    assert [nab.probation_rows(rows) for rows in (1000, 4032, 5000, 22695)] == [150, 604, 750, 750]
    early = [nab.steps(series(1000), flags(1000, 149), profile=STANDARD)]
    assert nab.raw_score(early, 1.0) == 0.0


def test_the_threshold_is_the_one_with_the_highest_raw_score_over_all_thresholds():
    rng = np.random.default_rng(3)
    scores = [np.round(rng.random(len(each.times_s)), 2) for each in CORPUS]
    parts = [nab.steps(s, a, profile=STANDARD) for s, a in zip(CORPUS, scores, strict=True)]
    tried = {level: nab.raw_score(parts, level) for level in (*np.unique(scores[0]), 2.0)}
    threshold, raw = nab.best_threshold(parts)
    assert raw == pytest.approx(max(tried.values()))
    assert nab.raw_score(parts, threshold) == pytest.approx(raw)


def test_a_half_is_judged_under_the_other_halfs_threshold():
    """Two files whose right thresholds differ: fitted on the other one, both are missed."""
    corpus = [series(1000, (500, 549), name=f"a/{i}.csv") for i in range(2)]
    scores = [flags(1000, 500), flags(1000, 500) / 2]
    scores[1][100] = 0.0
    result = nab.evaluate(corpus, scores, halvings=6)[0]
    assert result.same == pytest.approx(100.0)
    assert result.other == pytest.approx(50.0)  # 0.5 finds both, 1.0 finds the first only


# Raw scores NAB publishes for its windowed Gaussian detector (results/windowedGaussian, commit
# ea702d7): file, threshold, standard and reward_low_FP_rate.
PUBLISHED = {
    "realAWSCloudwatch/elb_request_count_8c0756.csv": (-0.138449197924, -0.138449197924),
    "realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv": (-1.26667875935, -2.39490832077),
    "realKnownCause/cpu_utilization_asg_misconfiguration.csv": (-1.11, -1.22),
    "realKnownCause/machine_temperature_system_failure.csv": (-4.0, -4.0),
}


@pytest.mark.skipif(not (data_folder() / "nab").exists(), reason="../shared/data/nab is absent")
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_detector_with_a_published_result_gets_that_result(name: str):
    """NAB's windowed Gaussian, run by us and scored by us at its published threshold of 1.0."""
    each = next(one for one in read_set(data_folder() / "nab") if one.name == name)
    scores = WindowedGaussian().score(each.times_s, each.values, side=Side.BOTH)
    scores = np.where(scores >= 1.0 - 1e-12, 1.0, scores)  # published with twelve digits
    raw = [
        nab.raw_score([nab.steps(each, scores, profile=profile)], 1.0)
        for profile in nab.PROFILES[:2]
    ]
    assert raw == pytest.approx(PUBLISHED[name], abs=1e-9)
