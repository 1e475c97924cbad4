"""How rows and rhythms begin: the first value of a series, and a rhythm that has proved itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.horizons import band_spread_prior
from anomaly_operator.engine.lasting import start_lasting
from anomaly_operator.engine.layout import (
    BAND_SPREAD,
    BANDS,
    BOOST,
    BOUND_LOW,
    BOUND_UP,
    CLASS_ERROR,
    CLASSES,
    COUNT,
    ERROR,
    FIRST,
    LATELY,
    LEVEL,
    PLACE,
    PLACE_SIZE,
    RATES,
    REF_SPREAD,
    SEEN,
    SPREAD_LOW,
    SPREAD_UP,
    TAIL_LOW,
    TAIL_UP,
)
from anomaly_operator.engine.single import start_single
from anomaly_operator.engine.weekdays import start_weekdays

FIRST_SPREAD = 0.1  # of the level: what is assumed of a series after one value


@inlined
def start_row(c: NDArray[np.float64], y: float, index: float, resolution: float) -> None:
    """First value of a series: all that can be said is where it is."""
    spread = max(FIRST_SPREAD * abs(y), resolution, 1e-12)
    for k in range(RATES):
        c[LEVEL + k] = y
        c[ERROR + k] = spread * spread
    c[SPREAD_UP] = spread
    c[SPREAD_LOW] = spread
    c[REF_SPREAD] = spread
    c[LATELY] = spread
    c[TAIL_UP] = 0.1
    c[TAIL_LOW] = 0.1
    c[BOUND_UP] = 2.2
    c[BOUND_LOW] = 2.2
    c[FIRST] = y
    c[PLACE] = y
    c[PLACE_SIZE] = spread
    c[SEEN] = index
    c[COUNT] = 1.0
    c[BOOST] = 1.0
    start_single(c)
    start_lasting(c)
    start_weekdays(c)
    for r in range(CLASSES):
        c[CLASS_ERROR + r] = spread * spread
    for b in range(BANDS):
        c[BAND_SPREAD + b] = band_spread_prior(b)


@inlined
def start_daily(c: NDArray[np.float64]) -> None:
    """The day becomes usable: its trackers start with a little more than the proven error."""
    for k in range(RATES):
        c[LEVEL + RATES + k] = c[FIRST]
        c[ERROR + RATES + k] = 1.2 * c[ERROR + k]
