"""The record of surprises of all rows of a detector, and what it says of a claim.

Every view (single bucket above and below, what lasts above and below) counts in octaves of p how
often a surprise m = -ln p was claimed. If claims were exact, m >= j ln 2 would happen in 2^-j of
all buckets; what happens instead replaces the claim. Only the bulk may say so: beyond BULK octaves
buckets are rare enough to be mostly trouble, and trouble must not teach that it is ordinary, so
from there on a row's own tail has the word and the curve goes on as steeply as it claims. From
PLENTY octaves on trouble has a part already: rarer than claimed is believed, more frequent is not.

Counts are whole numbers of 1/UNIT bucket: sums do not depend on the order in which rows come.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import OCTAVES, VIEW_RUN

LN2 = math.log(2.0)
BULK = 12  # octaves that ordinary buckets decide
PLENTY = 10  # octaves from which they may only sharpen a claim: the rest is often trouble
UNIT = 1024.0  # parts of a bucket a count is in
PRIOR_BUCKETS = 2000.0  # exact ones the record starts from
RECORD_MOST = 1 << 42  # parts of buckets (4e9 buckets) after which a record is halved
ODD_SURPRISE = 5.0  # -ln p from which buckets one after the other are one event ...
ODD_RUN = 12.0  # ... and of which this many count half
YOUNG_WEIGHT = np.array([0.01, 0.04, 0.2, 1.0])  # of a row's bucket before each of GROWN_DAYS


@inlined
def count_surprise(record: NDArray[np.int64], surprise: float, kept: float) -> None:
    """Count ``kept`` of a bucket in its octave."""
    record[min(int(surprise / LN2), OCTAVES - 1)] += int(UNIT * kept + 0.5)


@inlined
def learn_record(
    c: NDArray[np.float64],
    record: NDArray[np.int64],
    view: int,
    surprise: float,
    weight: float,
    share: float,
) -> None:
    """Count ``share`` of a bucket's surprise in the view's ``record`` (OCTAVES,).

    The later buckets of a long event count little: what lasts must not become ordinary by lasting.
    """
    kept = weight * share
    if surprise > ODD_SURPRISE:
        lasted = c[VIEW_RUN + view] / ODD_RUN
        kept /= 1.0 + lasted * lasted
        c[VIEW_RUN + view] += weight
    else:
        c[VIEW_RUN + view] = max(c[VIEW_RUN + view] - 2.0 * weight, 0.0)
    count_surprise(record, surprise, kept)


@inlined
def corrected_log_p(surprise: float, curve: NDArray[np.float64]) -> float:
    """Log probability of a claim -ln p = ``surprise`` >= 0 by the detector's ``curve``.

    ``curve[j]`` is ln P(surprise >= j ln 2), j = 0..BULK; log-linear between, slope 1 beyond.
    """
    octave = surprise / LN2
    if octave >= BULK:
        return float(curve[BULK] - (surprise - BULK * LN2))
    j = int(octave)
    return float(curve[j] + (octave - j) * (curve[j + 1] - curve[j]))


def curve_of(record: NDArray[np.int64]) -> NDArray[np.float64]:
    """(BULK + 1,) ln P(surprise >= octave edge) from a view's record (OCTAVES,).

    Where one bucket in 500 and more is trouble, octaves beyond PLENTY are full of it.
    """
    above = np.cumsum(record[::-1])[::-1][: BULK + 1] / UNIT
    ideal = 0.5 ** np.arange(BULK + 1)
    share = (above + PRIOR_BUCKETS * ideal) / (above[0] + PRIOR_BUCKETS)
    fair = share[PLENTY] * ideal / ideal[PLENTY]
    share[PLENTY:] = np.minimum(share[PLENTY:], fair[PLENTY:])
    curve: NDArray[np.float64] = np.log(share)
    return curve


def halve_when_full(records: NDArray[np.int64]) -> None:
    """Let a long life forget slowly; ``records`` (VIEWS, OCTAVES) in place."""
    full = records.sum(axis=1) > RECORD_MOST
    records[full] >>= 1
