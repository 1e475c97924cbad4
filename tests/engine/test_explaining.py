"""What a reader is told."""

from __future__ import annotations

import math

import pytest

from anomaly_operator.engine.explaining import (
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
        "habit": False,
        "period": math.log10(35.0),
    }
    return sentence(actual, typical, **{**given, **changes})  # type: ignore[arg-type]


def test_one_sentence_says_how_far_when_and_how_rare() -> None:
    assert tell(32.0, 10.0) == (
        "3.2x higher than typical for a Wednesday 14:00; expected about once in 5 weeks"
    )


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"slow": True}, "a slow deviation over many buckets"),
        ({"length": 8}, "lasting 2 h so far"),
        ({"habit": True}, "has done so before"),
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
    ],
)
def test_the_sentence_never_divides_by_nothing(actual: float, typical: float, part: str) -> None:
    assert tell(actual, typical, by_clock=False).startswith(part)


def test_clock_follows_the_offset() -> None:
    assert clock_words(0.0, 0.0) == "Thursday 00:00"
    assert clock_words(0.0, 5400.0) == "Thursday 01:30"


def test_durations_use_their_largest_unit() -> None:
    assert [duration_words(s) for s in (30, 300, 7200, 400_000)] == ["30 s", "5 min", "2 h", "5 d"]
