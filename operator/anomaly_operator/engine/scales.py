"""Plain or logarithmic: in which units a series is modelled.

Traffic varies by a share of itself, memory by bytes. A series that is better predicted on the
logarithmic scale is modelled there altogether: levels, rhythm, spreads. Which is better is asked
all the time by the predictive likelihood of both (Laplace, so that outliers count little); what has
been learnt then changes over with it (``rescaling.py``).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    COUNT,
    LIKELIHOOD,
    LOGGED,
    OFFSET,
    PLAIN_SIZE,
    SHARE_SIZE,
)

OFFSET_SHARE = 0.2  # of the level: what is added before the logarithm, so that zero has one
LEAST_COUNT = 40.0
ENOUGH = 8.0  # log likelihood ratio that changes the scale
FORGET = 0.998
CLIP = 3.0  # log likelihood one bucket may contribute
NEVER = -1e9  # a value below zero was seen


@inlined
def to_scale(c: NDArray[np.float64], y: float) -> float:
    """A value in the units the row is modelled in."""
    if c[LOGGED] == 0.0:
        return y
    return math.log(max(y, 0.0) + c[OFFSET])


@inlined
def from_scale(c: NDArray[np.float64], u: float) -> float:
    """Inverse of ``to_scale``; stays finite."""
    if c[LOGGED] == 0.0:
        return u
    return float(math.exp(min(u, 80.0)) - c[OFFSET])


@inlined
def learn_scale(c: NDArray[np.float64], y: float, expected: float, weight: float) -> bool:
    """Compare both scales on this value; whether the row should change over now."""
    if y < 0.0:
        c[LIKELIHOOD] = NEVER
    offset = c[OFFSET] if c[LOGGED] != 0.0 else max(OFFSET_SHARE * expected, 1e-9)
    there = max(expected, 0.0) + offset
    here = max(y, 0.0) + offset
    plain = abs(y - expected)
    share = abs(math.log(here / there))
    rate = weight * max(1.0 / (c[COUNT] + 1.0), 0.003)
    plain_size = c[PLAIN_SIZE]
    share_size = c[SHARE_SIZE]
    if plain_size > 0.0 and share_size > 1e-6 and c[LIKELIHOOD] > 0.5 * NEVER:
        gain = plain / plain_size + math.log(plain_size)
        gain -= share / share_size + math.log(share_size) + math.log(here)
        gain = min(max(gain, -CLIP), CLIP)
        c[LIKELIHOOD] = FORGET * c[LIKELIHOOD] + weight * gain
    if plain_size > 0.0:
        plain = min(plain, 6.0 * plain_size)
    if share_size > 0.0:
        share = min(share, 6.0 * share_size)
    c[PLAIN_SIZE] = plain_size + rate * (plain - plain_size)
    c[SHARE_SIZE] = share_size + rate * (share - share_size)
    if c[COUNT] < LEAST_COUNT:
        return False
    if c[LOGGED] == 0.0:
        return bool(c[LIKELIHOOD] > ENOUGH)
    return bool(c[LIKELIHOOD] < -ENOUGH)


@inlined
def log_of(value: float, offset: float) -> float:
    """Logarithm as ``to_scale`` takes it, which never meets zero."""
    return math.log(max(value, 0.0) + offset)


@inlined
def plain_of(logged: float, offset: float) -> float:
    """Inverse of ``log_of``; stays finite."""
    return math.exp(min(logged, 80.0)) - offset
