"""How replicas move from old ReplicaSets to the newest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly_operator.devcluster.controllers.rollouts import (
    Limits,
    SetState,
    plan_recreate,
    plan_rolling,
    resolve_limits,
)


def ready(name: str, replicas: int, available: int | None = None) -> SetState:
    count = replicas if available is None else available
    return SetState(name, replicas, running=replicas, available=count)


def test_percentages_round_surge_up_and_unavailability_down() -> None:
    assert resolve_limits(10, max_surge="25%", max_unavailable="25%") == Limits(3, 2)
    assert resolve_limits(1, max_surge="25%", max_unavailable="25%") == Limits(1, 0)
    assert resolve_limits(4, max_surge=0, max_unavailable=0) == Limits(0, 1)


STEPS = {
    "a first rollout starts all at once": (3, ready("new", 0), [], {"new": 3}),
    "room for surge is used first": (4, ready("new", 0), [ready("old", 4)], {"new": 1, "old": 3}),
    "old pods wait for new ones to be available": (
        4,
        ready("new", 2, 0),
        [ready("old", 3)],
        {"new": 2, "old": 3},
    ),
    "old pods that serve nobody go first": (
        4,
        ready("new", 0),
        [ready("old", 4, 0)],
        {"new": 1, "old": 3},
    ),
    "scaled down without a change of template": (2, ready("new", 5), [], {"new": 2}),
}


@pytest.mark.parametrize(("wanted", "newest", "old", "plan"), STEPS.values(), ids=STEPS.keys())
def test_rolling_step(
    wanted: int, newest: SetState, old: list[SetState], plan: dict[str, int]
) -> None:
    assert plan_rolling(wanted, newest, old=old, limits=Limits(1, 1)) == plan


@given(
    wanted=st.integers(1, 12),
    before=st.integers(0, 12),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
)
def test_a_rollout_ends_and_never_exceeds_its_limits(
    wanted: int, before: int, surge: int, unavailable: int
) -> None:
    """With pods that become available at once, step after step, until nothing changes."""
    limits = resolve_limits(wanted, max_surge=surge, max_unavailable=unavailable)
    state = {"old": min(before, wanted), "new": 0}
    floor = min(state["old"], wanted - limits.unavailable)
    for _ in range(50):
        plan = plan_rolling(
            wanted, ready("new", state["new"]), old=[ready("old", state["old"])], limits=limits
        )
        assert sum(plan.values()) <= wanted + limits.surge
        # Those kept are available now; those added are not yet.
        assert plan["old"] + min(plan["new"], state["new"]) >= floor
        if plan == state:
            break
        state = plan
    assert state == {"old": 0, "new": wanted}


def test_recreate_ends_every_old_pod_before_the_first_new_one() -> None:
    old = SetState("old", replicas=2, running=2, available=2)
    assert plan_recreate(2, ready("new", 0), old=[old]) == {"old": 0, "new": 0}
    ending = SetState("old", replicas=0, running=1, available=0)
    assert plan_recreate(2, ready("new", 0), old=[ending]) == {"old": 0, "new": 0}
    gone = SetState("old", replicas=0, running=0, available=0)
    assert plan_recreate(2, ready("new", 0), old=[gone]) == {"old": 0, "new": 2}
