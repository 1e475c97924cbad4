"""What a reader is told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anomaly_operator.engine.explaining import (
    HeldBack,
    amount_words,
    clock_words,
    duration_words,
    period_words,
    sentence,
    summary,
)


@pytest.mark.parametrize(
    ("actual", "typical", "text"),
    [
        (30.0, 10.0, "3x higher"),
        (10.0, 30.0, "3x lower"),
        (13.0, 10.0, "1.3x higher"),
        (5000.0, 10.0, "More than 100x higher"),
        (0.0, 4.0, "Unusual zero value"),
        (4.0, 0.0, "Unexpected non-zero value"),
        (0.0, 0.0, "Unusual value"),
        (10.1, 10.0, "Unusually high"),
        (-5.0, 5.0, "Unusually low"),
    ],
)
def test_summary_is_elastics(actual: float, typical: float, text: str) -> None:
    assert summary(actual, typical) == text


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (35.0, "about once in 5 weeks"),
        (800.0, "about once in 2 years"),
        (92.0, "about once in 3 months"),
        (3.0, "about once in 3 days"),
        (1.1, "about once a day"),
        (0.25, "about once in 6 hours"),
        (0.04, "about once an hour"),
        (0.001, "often"),
        (1e9, "less than once in 100 years"),
    ],
)
def test_return_period_in_words(days: float, text: str) -> None:
    assert period_words(math.log10(days)) == text


def tell(actual: float, typical: float, **changes: object) -> str:
    """A sentence with everything else ordinary."""
    given: dict[str, object] = {
        "time_s": 1_700_056_800.0,
        "offset_s": 0.0,
        "by_clock": True,
        "slow": False,
        "length": 1,
        "span_s": 900.0,
        "held_back": HeldBack.NOTHING,
        "incomplete": False,
        "period": math.log10(35.0),
    }
    return sentence(actual, typical, **{**given, **changes})  # type: ignore[arg-type]


def test_one_sentence_says_how_far_when_and_how_rare() -> None:
    assert tell(32.0, 10.0) == (
        "3.2x higher than typical for a Wednesday 14:00 UTC; expected about once in 5 weeks"
    )


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"slow": True}, "a slow deviation over many buckets"),
        ({"length": 8}, "lasting 2 h so far"),
        ({"held_back": HeldBack.FAMILIAR}, "; less than its probability alone says"),
        ({"held_back": HeldBack.YOUNG}, "; told with caution"),
        ({"held_back": HeldBack.RESTED}, "a rarer one was told lately"),
    ],
)
def test_the_sentence_names_what_else_weighed(changes: dict[str, object], part: str) -> None:
    assert part in tell(32.0, 10.0, **changes)


@pytest.mark.parametrize(
    ("actual", "typical", "part"),
    [
        (0.0, 5.0, "zero where that is not typical"),
        (5000.0, 1.0, "more than 100x higher than typical"),
        (1.0, -1.0, "unusually high"),
        (-1.0, 1.0, "unusually low"),
        (4.0, 0.0, "above zero where zero is typical"),
        (-4.0, 0.0, "below zero where zero is typical"),
        (0.0, 0.0, "unusually low"),
        (99.9, 1.0, "100x higher than typical"),
        (9.99, 1.0, "10x higher than typical"),
        (106.4, 100.0, "6.4 % higher than typical"),
        (80.0, 100.0, "1.2x lower than typical"),
        (90.0, 100.0, "10 % lower than typical"),
        (1e9 + 1.0, 1e9, "slightly higher than typical"),
        (-110.0, -100.0, "10 % lower than typical"),
        (1e300, 1e-300, "more than 100x higher than typical"),
        (5e-324, 1.0, "more than 100x lower than typical"),
    ],
)
def test_the_sentence_never_divides_by_nothing(actual: float, typical: float, part: str) -> None:
    assert tell(actual, typical, by_clock=False).startswith(part)


def test_clock_follows_the_offset() -> None:
    assert clock_words(0.0, 0.0) == "Thursday 00:00 UTC"
    assert clock_words(0.0, 5400.0) == "Thursday 01:30"


def test_durations_use_their_largest_unit() -> None:
    assert [duration_words(s) for s in (30, 300, 7200, 400_000)] == ["30 s", "5 min", "2 h", "5 d"]


@pytest.mark.parametrize("value", [1e-300, 0.5, 9999.6, 12345.6, 1e14, 1e15, -7e9])
def test_amounts_keep_four_digits(value: float) -> None:
    text = amount_words(value)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5e-4)
    assert ("e" in text) == (not 1e-4 <= abs(value) < 1e15)


def test_no_figure_is_ever_written_as_a_power() -> None:
    for exponent in np.linspace(-14.0, 14.0, 400):
        assert "e+" not in tell(10.0**exponent, 1.0)
        assert "e-" not in tell(1.0 + 10.0 ** (exponent - 13.0), 1.0)
