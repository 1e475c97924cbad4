"""Buckets of far fewer samples than their series usually has, which may claim less.

A mean of n samples where N are usual has N/n times the variance, as far as it is made of its
samples. In a normal tail -ln p goes with the square of the distance over the variance, so a claim
of -ln p becomes one of n/N of it. A highest of few samples is low for want of samples and not high
because of it, and a lowest the other way round: there the penalty is on that side alone.

What is usual follows each series, so that one which is scraped more seldom from now on is taken at
its word after some twenty buckets. One sample a bucket, or always the same number, costs nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.contract import Block, Floats
from anomaly_operator.engine.layout import COUNT, USUAL

NOTE_FEW = 4096  # told with less, as the bucket has far fewer samples than usual
FEW = 0.5  # of the usual number: with less a bucket is incomplete
SETTLING = 1.0 / 16.0  # rate at which the usual number follows
_SIDES = {"max": -1, "min": 1}  # of the forecast that want of samples explains; else both


def explained_side(function: str) -> int:
    """Side on which few samples explain a distance: -1 low, 1 high, 0 both.

    >>> [explained_side(name) for name in ("high_max", "min", "low_mean")]
    [-1, 1, 0]
    """
    return _SIDES.get(function.removeprefix("high_").removeprefix("low_"), 0)


def samples_of(block: Block, begin: int, end: int) -> Floats:
    """Samples that a value of these buckets is made of; of several parts, of one on average.

    A workload that has lost half of its pods has half of the samples, and nothing is incomplete.
    """
    if block.parts is None:
        return block.counts[begin:end]
    return block.counts[begin:end] / np.maximum(block.parts[begin:end], 1.0)


@inlined
def claim_share(c: NDArray[np.float64], samples: float, off: float, side: int) -> float:
    """How much of its -ln p a bucket may claim that has ``samples`` and is ``off`` its forecast."""
    if not 0.0 < samples < FEW * c[USUAL] or off * side < 0.0:
        return 1.0
    return float(samples / c[USUAL])


@inlined
def learn_usual(c: NDArray[np.float64], samples: float) -> None:
    """Follow the number of samples; at first it is their mean."""
    if not math.isfinite(samples) or samples <= 0.0:
        return
    if c[USUAL] == 0.0:
        c[USUAL] = samples
    c[USUAL] += max(SETTLING, 1.0 / (c[COUNT] + 1.0)) * (samples - c[USUAL])
