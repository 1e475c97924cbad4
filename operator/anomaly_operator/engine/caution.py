"""How rare a young series may claim a bucket to be.

Ten values say nothing of one in a million, and before a whole day, a weekend and a second week were
seen a nightly or weekly job cannot be told from trouble. So -ln p is bent towards a cap that grows
with buckets and, where buckets are long enough for a clock to matter, with days. It is bent and not
cut: the order of two claims stays.

The same goes for a level that was opened anew: a new pod warms up, and where it will settle is seen
only after hours.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import BOOST, COUNT, GROWN

FIRST_CAP = 0.5  # -ln p a series may claim at first ...
EARLY_CAP = 0.4  # ... and for every bucket it has seen
GROWN_DAYS = (2.0, 8.0, 15.0)  # days lived through after which surprise is learnt anew
YOUNG_CAP = (-1.2, 0.4, 2.9)  # -ln p it may claim before these ages, beyond once a week among 60
WEEKEND = (2, 3)  # as ``weekday_of`` counts
WEEKEND_CAP = -0.2  # ... and may on a first weekend, which is news to it and no trouble
WEEK_OF_SIXTY_S = 60.0 * 7.0 * 86400.0
SHORTEST_SPAN_S = 360.0  # ... of buckets this long: shorter ones know no more of weekends
UNBENT = 0.7  # share of a cap up to which nothing is bent
OPENED_CAP = 6.0  # -ln p that may be claimed just after a level was opened ...
OPENED_MORE = 0.2  # ... and more for every quarter of an hour since
CLOCK_SPAN_S = 300.0  # bucket spans from which a series must have seen days to claim rarity


@inlined
def bent(surprise: float, cap: float) -> float:
    """Bend ``surprise`` towards ``cap``: unchanged up to UNBENT of it, and never past it."""
    free = UNBENT * cap
    if surprise <= free:
        return surprise
    rest = cap - free
    return cap - rest * math.exp(-(surprise - free) / rest)


@inlined
def cautious(
    c: NDArray[np.float64],
    surprise: float,
    clock_span_s: float,
    weekday: int,
    settled: float,
    pace: float,
) -> float:
    """What a row may claim of ``surprise`` = -ln p at its age.

    ``clock_span_s`` is the bucket span, 0 where days do not matter, ``weekday`` that of the bucket.
    A level that was opened anew has settled after ``settled`` buckets, ``pace`` of which are a
    quarter of an hour.
    """
    if c[BOOST] < c[COUNT] and c[BOOST] < settled:
        surprise = bent(surprise, OPENED_CAP + OPENED_MORE * max(c[BOOST], 0.0) / pace)
    surprise = bent(surprise, FIRST_CAP + EARLY_CAP * c[COUNT])
    if clock_span_s > 0.0 and c[GROWN] < len(GROWN_DAYS):
        week = math.log(WEEK_OF_SIXTY_S / max(clock_span_s, SHORTEST_SPAN_S))
        more = YOUNG_CAP[int(c[GROWN])]
        if c[GROWN] == 1.0 and weekday in WEEKEND:
            more = WEEKEND_CAP
        surprise = bent(surprise, week + more)
    return surprise
