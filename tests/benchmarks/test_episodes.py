"""Episodes are what a person gets to see: near flags are one alert, an event is found or not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.episodes import episodes, judge, recall_at_equal_false


def flagged(rows: int, *at: int) -> np.ndarray:
    flags = np.zeros(rows, bool)
    flags[list(at)] = True
    return flags


@pytest.mark.parametrize(
    ("at", "near", "expected"),
    [
        pytest.param((3, 4, 5), 0, [(3, 5)], id="a run is one"),
        pytest.param((3, 5), 0, [(3, 3), (5, 5)], id="apart without nearness"),
        pytest.param((3, 6), 2, [(3, 6)], id="two quiet rows between are near"),
        pytest.param((3, 7), 2, [(3, 3), (7, 7)], id="three are not"),
        pytest.param((), 2, [], id="none"),
        pytest.param((0, 9), 1, [(0, 0), (9, 9)], id="at the ends"),
    ],
)
def test_near_flags_are_one_episode(
    at: tuple[int, ...], near: int, expected: list[tuple[int, int]]
):
    assert episodes(flagged(10, *at), near=near) == expected


def test_an_event_is_found_at_its_first_flag_and_flags_elsewhere_are_false():
    scores = np.zeros(40)
    scores[[12, 14, 30, 31, 38]] = 1.0
    quiet = np.ones(40, bool)
    quiet[10:22] = False
    outcome = judge(scores, threshold=1.0, events=[(10, 19), (22, 25)], quiet=quiet, near=1)
    assert outcome.delays == (2, -1)
    assert (outcome.found, outcome.false_episodes) == (1, 2)


def test_equal_false_episodes_give_the_lowest_threshold_that_keeps_them():
    """False alerts peak at 5 and 3; the event at 4: one false alert allowed finds it."""
    scores = np.zeros(60)
    scores[[5, 25, 45]] = 5.0, 4.0, 3.0
    quiet = np.ones(60, bool)
    quiet[20:30] = False
    given = {"events": [[(20, 29)]], "quiet": [quiet], "near": 0}
    assert recall_at_equal_false([scores], **given, allowed=0)[0] == 0.0
    assert recall_at_equal_false([scores], **given, allowed=1) == (1.0, 4.0)
