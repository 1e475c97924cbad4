"""Replicas share a workload's traffic: one more, and the others have less.

When the number of a workload's members that report changes, the level of each may follow it in
inverse proportion, at once or within hours. Whether it does depends on the workload, so both are
foreseen: a value near the level in proportion is taken for that and the row goes there, one on the
way is no news, and one that stays where it was is ordinary.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.changes import move_levels
from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    LOGGED,
    MEMBERS,
    MEMBERS_LEFT,
    MEMBERS_NOW,
    OFFSET,
    OLD_LEFT,
    OLD_SHIFT,
)
from anomaly_operator.engine.rescaling import multiply

NEAR = 0.3  # of the distance from the present level that may be left from the one in proportion


@inlined
def others_came(c: NDArray[np.float64], members: int) -> bool:
    """Whether a workload's ``members`` are or were lately others than the level was learnt with."""
    return members > 0 and (members != c[MEMBERS] or c[MEMBERS_LEFT] > 0.0)


@inlined
def share_now(c: NDArray[np.float64], members: int, settled: float) -> float:
    """What part of the present level a row's share of the traffic may now be; 1 if it stays.

    ``members`` of the workload report in this bucket; a change is news for ``settled`` buckets.
    """
    if c[MEMBERS] == 0.0:
        c[MEMBERS] = members
        c[MEMBERS_NOW] = members
    if members != c[MEMBERS_NOW]:
        c[MEMBERS_NOW] = members
        c[MEMBERS_LEFT] = settled
    if c[MEMBERS_LEFT] <= 0.0:
        c[MEMBERS] = members
    else:
        c[MEMBERS_LEFT] -= 1.0
    return float(c[MEMBERS] / members)


@inlined
def follow_share(
    c: NDArray[np.float64],
    day: NDArray[np.float32],
    members: int,
    expected: float,
    e: float,
    settled: float,
) -> tuple[float, float, float]:
    """How far a row may go with its share of the traffic, and how it has just gone there.

    ``expected`` is what is foreseen and ``e`` how far the value lies off that. While the row has
    not followed, the first answer is its distance from there. Once a value is there, the model is:
    what it foresees is then the second answer times as much, and the third more.
    """
    part = share_now(c, members, settled)
    logged = c[LOGGED] != 0.0
    shift = math.log(part) if logged else expected * (part - 1.0)
    if part == 1.0 or abs(e - shift) >= NEAR * abs(e):
        return shift, 1.0, 0.0
    c[MEMBERS] = c[MEMBERS_NOW]
    if logged:
        move_levels(c, shift)
        c[OFFSET] *= part
        c[OLD_SHIFT] = shift  # some share traffic and some do not: the way back is known, too
        c[OLD_LEFT] = settled
        return 0.0, 1.0, shift
    move_levels(c, 0.0)
    multiply(c, day, part)
    return 0.0, part, 0.0


@inlined
def on_the_way(shift: float, off: float, sigma: float) -> bool:
    """Whether a value ``off`` the slow level lies between it and ``shift``."""
    return off * shift > 0.0 and abs(off) < abs(shift) + sigma


def numbered(names: Iterable[tuple[str, str]]) -> NDArray[np.int64]:
    """A number for every name, the same for the same one."""
    numbers: dict[tuple[str, str], int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def members_of(
    families: NDArray[np.int64], values: NDArray[np.float64], *, shared: bool
) -> NDArray[np.int32]:
    """How many of a column's family have a value, (T, S); 0 of what is not ``shared``, as memory.

    ``families`` (S,) are numbers of families, ``values`` (T, S) NaN where there is none.
    """
    if not shared or not len(families):
        return np.zeros(values.shape, np.int32)
    order = np.argsort(families, kind="stable")
    ordered = families[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    place = np.empty(len(families), np.int64)
    place[order] = np.cumsum(begins) - 1
    there = np.isfinite(values)[:, order].astype(np.int32)
    counts = np.add.reduceat(there, np.flatnonzero(begins), axis=1)
    return np.ascontiguousarray(counts[:, place], dtype=np.int32)
