"""The two goals of every fleet can be reached, and each can be missed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fleet import second, third
from benchmarks.fleet.measure import measure
from benchmarks.fleet.model import Fleet, Settings
from benchmarks.sections.fleet_goals import found_and_false

HOURLY = Settings(seed=4, workloads=16, nodes=3, weeks=5.0, span_s=3600.0)


@pytest.fixture(scope="module", params=["second", "third"])
def fleet(request: pytest.FixtureRequest) -> Fleet:
    if request.param == "second":
        return second.generate(HOURLY)
    return third.fair(third.generate(HOURLY))


@pytest.mark.parametrize(
    ("knows", "found", "calm"),
    [
        pytest.param("labels", True, True, id="knows the labels: reaches both"),
        pytest.param("nothing", False, True, id="never speaks: misses what is to be found"),
        pytest.param("too much", True, False, id="always speaks: too many false episodes"),
    ],
)
def test_each_goal_can_be_missed(fleet: Fleet, knows: str, *, found: bool, calm: bool):
    trouble = np.isfinite(fleet.values) & ~fleet.quiet()
    flags = {
        "labels": trouble,
        "nothing": np.zeros_like(trouble),
        "too much": np.ones_like(trouble),
    }[knows]
    figures = measure(fleet, np.where(flags, 100.0, 0.0), threshold=50.0)
    assert [goal.ok for goal in found_and_false("a fleet", figures)] == [found, calm]
