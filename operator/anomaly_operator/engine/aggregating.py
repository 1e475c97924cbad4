"""One value from many: the functions over a bucket's samples, on columns.

Samples come grouped: ``starts`` are the positions where each group begins, and every group has at
least one sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import Floats

Positions = NDArray[np.intp]
LARGEST = float(np.finfo(np.float64).max)


def maximum(value: Floats, starts: Positions) -> Floats:
    """Largest sample of each group."""
    return np.maximum.reduceat(value, starts)


def minimum(value: Floats, starts: Positions) -> Floats:
    """Smallest sample of each group."""
    return np.minimum.reduceat(value, starts)


def total(value: Floats, starts: Positions) -> Floats:
    """Sum of each group; one that no float can hold becomes the largest float."""
    with np.errstate(over="ignore", invalid="ignore"):
        return finite(np.add.reduceat(value, starts))


def mean(value: Floats, starts: Positions) -> Floats:
    """Arithmetic mean of each group, also where the sum would overflow."""
    count = sizes(starts, len(value)).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.asarray(np.add.reduceat(value, starts) / count, np.float64)
        if np.all(np.isfinite(result)):
            return np.asarray(result)
        share = np.add.reduceat(value / np.repeat(count, count.astype(np.intp)), starts)
    return finite(np.where(np.isfinite(result), result, share))


def median(value: Floats, starts: Positions) -> Floats:
    """Middle sample of each group, or the mean of the middle two."""
    size = sizes(starts, len(value))
    group = np.repeat(np.arange(len(starts)), size)
    ordered = value[np.lexsort((value, group))]
    low: Floats = ordered[starts + (size - 1) // 2]
    high: Floats = ordered[starts + size // 2]
    return low / 2 + high / 2  # halves first: the sum of two huge values would overflow


FUNCTIONS: dict[str, Callable[[Floats, Positions], Floats]] = {
    "mean": mean,
    "max": maximum,
    "min": minimum,
    "sum": total,
    "median": median,
}


def sizes(starts: Positions, length: int) -> Positions:
    """Count the samples in each group."""
    return np.diff(starts, append=length)


def finite(value: Floats) -> Floats:
    """Clip to what a float can hold."""
    return np.clip(value, -LARGEST, LARGEST)


def group_starts(key: NDArray[np.int64]) -> Positions:
    """Find where each run of equal keys begins."""
    if not len(key):
        return np.empty(0, np.intp)
    return np.concatenate([[0], np.flatnonzero(key[1:] != key[:-1]) + 1])
