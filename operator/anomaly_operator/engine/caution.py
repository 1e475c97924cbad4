"""How rare a young series may claim a bucket to be.

Ten values say nothing of one in a million, and before a whole day, a weekend and a second week were
seen a nightly or weekly job cannot be told from trouble. So -ln p is bent towards a cap that grows
with buckets and, where buckets are long enough for a clock to matter, with days. It is bent and not
cut: the order of two claims stays.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import COUNT, GROWN

FIRST_CAP = 0.5  # -ln p a series may claim at first ...
EARLY_CAP = 0.4  # ... and for every bucket it has seen
GROWN_DAYS = (2.0, 8.0, 15.0)  # days lived through after which surprise is learnt anew
YOUNG_CAP = (9.5, 11.5, 13.5)  # -ln p a series may claim before each of these ages
CLOCK_SPAN_S = 300.0  # bucket spans from which a series must have seen days to claim rarity


@inlined
def bent(surprise: float, cap: float) -> float:
    """Bend ``surprise`` towards ``cap``: unchanged up to its half, and never past it."""
    half = 0.5 * cap
    if surprise <= half:
        return surprise
    return cap - half * math.exp(-(surprise - half) / half)


@inlined
def cautious(c: NDArray[np.float64], surprise: float, by_the_clock: bool) -> float:
    """What a row may claim of ``surprise`` = -ln p at its age."""
    surprise = bent(surprise, FIRST_CAP + EARLY_CAP * c[COUNT])
    if by_the_clock and c[GROWN] < len(GROWN_DAYS):
        surprise = bent(surprise, YOUNG_CAP[int(c[GROWN])])
    return surprise
