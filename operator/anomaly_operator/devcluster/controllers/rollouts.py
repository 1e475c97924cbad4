"""How a Deployment's replicas are spread over old and new ReplicaSets: pure arithmetic.

The caller applies what comes out; both strategies end with every replica in the newest set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SetState:
    """One ReplicaSet as a rollout sees it."""

    name: str
    replicas: int  # asked for
    running: int  # pods that exist, terminating ones included
    available: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How many pods more, and how many fewer, than wanted a rollout may have."""

    surge: int
    unavailable: int


def resolve_limits(
    wanted: int, *, max_surge: int | str = "25%", max_unavailable: int | str = "25%"
) -> Limits:
    """Turn percentages into pods: surge rounds up, unavailability down, and not both are zero."""
    surge = math.ceil(_share(max_surge, wanted))
    unavailable = math.floor(_share(max_unavailable, wanted))
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(surge, unavailable)


def _share(value: int | str, whole: int) -> float:
    return value if isinstance(value, int) else int(value.rstrip("%")) * whole / 100


def plan_recreate(wanted: int, newest: SetState, *, old: Sequence[SetState]) -> dict[str, int]:
    """Replicas of each set: all old pods end before the first new one starts."""
    plan = {state.name: 0 for state in old}
    still_there = any(state.running for state in old)
    plan[newest.name] = newest.replicas if still_there else wanted
    return plan


def plan_rolling(
    wanted: int, newest: SetState, *, old: Sequence[SetState], limits: Limits
) -> dict[str, int]:
    """Replicas of each set: grow the newest as far as surge allows, shrink old ones as far as safe.

    Old pods that are not available go first: they serve nobody, and a broken old revision must not
    hold up its own repair.
    """
    total = newest.replicas + sum(state.replicas for state in old)
    plan = {state.name: state.replicas for state in old}
    if newest.replicas >= wanted:
        plan[newest.name] = wanted
    else:
        room = max(wanted + limits.surge - total, 0)
        plan[newest.name] = min(newest.replicas + room, wanted)
    available = newest.available + sum(state.available for state in old)
    unready_new = max(newest.replicas - newest.available, 0)
    removable = total - (wanted - limits.unavailable) - unready_new
    for state in old:
        idle = min(max(state.replicas - state.available, 0), max(removable, 0))
        plan[state.name] -= idle
        removable -= idle
    removable = min(removable, available - (wanted - limits.unavailable))
    for state in old:
        cut = min(plan[state.name], max(removable, 0))
        plan[state.name] -= cut
        removable -= cut
    return plan
