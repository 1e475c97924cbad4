"""The state of all series of one detector as arrays whose first axis is the row.

One row is one lasting series. ``core`` holds what must be exact, the tables what may be float32.
The names below are the columns of ``core``; the kernels index with them, so adding a number to the
state is: a name here, a kernel that keeps it, and a higher ``STATE_VERSION``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STATE_VERSION = 6  # raise whenever the meaning of any array changes

DAY_S = 86400.0
WEEK_S = 7 * DAY_S
MAX_DAILY_SLOTS = 288  # 5 minutes: finer rhythm is not worth its memory
MAX_WEEKLY_SLOTS = 672  # 15 minutes, on top of the day's own 5 or 15
UNVISITED = -32768  # of the weekly table, which is counted in units of WEEK_UNIT
OCTAVES = 16  # of probability the record of surprises reaches

CLASSES = 3  # without rhythm, daily, daily and weekly
RATES = 4  # fast to slow
TRACKERS = CLASSES * RATES
BANDS = 4
WEEKDAYS = 7
WINDOWS = 3  # of sustained evidence, each on two sides
RECALLED = 8  # distances kept: the longest window
VIEWS = 5  # what keeps a record of its surprises:
SINGLE_UP, SINGLE_LOW, LASTING_UP, LASTING_LOW, GATHERED = range(VIEWS)

COUNT = 0  # buckets learnt, by weight
SEEN = 1  # bucket index of the newest value; -1 before the first
WIDEN = 2  # extra spread of the level, metric's unit: new pod, gap
BOOST = 3  # buckets since the level was opened to be learnt anew; large = long ago
SPREAD_UP = 4  # robust standard deviation above typical
SPREAD_LOW = 5
REF_SPREAD = 6  # of the distance from the slow level
TAIL_UP = 7  # 1/degrees of freedom of the upper tail
TAIL_LOW = 8
TAIL_UP_N = 9  # exceedances the tail was learnt from
TAIL_LOW_N = 10
BOUND_UP = 11  # bounds in spreads
BOUND_LOW = 12
RUN = 13  # length of the anomaly under way, buckets
RUN_PEAK = 14  # its largest normal score
RUN_QUIET = 15  # quiet buckets since its last loud one
SHIFT = 16  # evidence of a lasting change, buckets, signed
PHASE = 17  # shift of the rhythm, seconds, e.g. daylight saving
PHASE_EARLY = 18  # squared error with the rhythm an hour early / as is / late
PHASE_KEPT = 19
PHASE_LATE = 20
RHYTHM = 21  # 0 none, 1 daily, 2 weekly: what was last announced
SLOPE = 22  # + class: growth of the slow level per bucket
LEVEL = 26  # + class * RATES + rate
ERROR = 38  # + class * RATES + rate: decayed squared error of that tracker
BAND = 50  # + band
BAND_SPREAD = 54  # + band
VISITS = 58  # buckets since the rhythm began to be learnt
FIRST = 59  # the first value: what the first day's shape is measured from
SCALE_SHIFT = 60  # evidence of a lasting change of spread
CLOCK_WINDOW = 61  # the change of clocks that CLOCK_* are about, as clock_changes tells it
LOGGED = 62  # 1 when the row is modelled on the logarithmic scale
CLOCK_LATELY = 63  # nats by which an hour off foresaw what stood out in the last hours better
OFFSET = 64  # what is added before the logarithm, metric's unit
LIKELIHOOD = 65  # decayed log likelihood ratio of the logarithmic over the plain scale
PLAIN_SIZE = 66  # mean |error|, metric's unit
SHARE_SIZE = 67  # mean |log error|
WEEK_UNIT = 68  # what one step of the weekly table is worth; 0 before it is first used
BAND_TAIL = 69  # + band: 1/degrees of freedom
BAND_TAIL_N = 73  # + band: exceedances it was learnt from
SHORT_EVENTS = 77  # decayed count of short anomalies
SHORT_SIZE = 78  # decayed sum of ln(peak / LOUD) of them
LONG_EVENTS = 79
LONG_SIZE = 80
RECENT = 81  # distance from the slow level, followed closely
RECENT_SIZE = 82  # and how much it moves about itself
GROWN = 83  # how many of GROWN_DAYS the row has lived through
OLD_SHIFT = 84  # from the level before the last accepted one to the present one
OLD_LEFT = 85  # buckets for which the way back there is no news
SHIFT_FROM = 86  # distance from the slow level when evidence of a change began
LAST_PEAK = 87  # largest recent surprise, slowly forgotten
LATELY = 88  # REF_SPREAD as the last days alone have it
CLASS_ERROR = 89  # + class: squared error of its slow tracker, long remembered
DAY_SUM = 92  # of today's values, later of their distance from the slow level
DAY_N = 93  # and of how many
TODAY = 94  # number of the day
DAYS_KNOWN = 95  # different weekdays whose level is known; WEEKDAYS once the week is
DAY_LEVEL = 96  # + weekday: mean of the last such day, until the week is known
WEEKDAY = 103  # + weekday: what that day adds to the level
LASTING_N = 110  # buckets the tails below were learnt from
LASTING_EDGE = 111  # + side * WINDOWS + window: weakest distance that few buckets exceed
LASTING_EXCESS = 117  # by how much, on average
LASTING_SQUARE = 123  # and the mean square of that, in squares of the average
NEWEST = 129  # + buckets ago: distance from the slow level, in its spreads
VIEW_RUN = 137  # + view: odd buckets one after the other
MOVES = 141  # buckets whose value was not just what was foreseen
SINGLE_EDGE = 142  # + side (0 above, 1 below): the same of a single bucket's distance
SINGLE_EXCESS = 144
SINGLE_SQUARE = 146
SHIFT_BEFORE = 148  # distance from the slow level just before evidence of a change began
SHIFT_JUMP = 149  # and how far it had come a few buckets later
SHIFT_ASKED = 150  # evidence at which to ask again whether the change is to be accepted
PENDING = 151  # + tail (2 single, then lasting): largest excess of the event under way
PENDING_N = 159  # + tail: and how many of its buckets were in excess
MEMBERS = 167  # of the workload, when the level was what it is
MEMBERS_NOW = 168
MEMBERS_LEFT = 169  # buckets for which a level in proportion to their number is no news
CLOCK_EVIDENCE = 170  # nats by which an hour off foresaw the last days better
CLOCK_FROM = 171  # since when there is such evidence, s; negative: when the row last moved
CLOCK_AGAINST = 172  # nats by which what stood out came by the clock the row knows
PLACE = 173  # where the values without their rhythm have been all the row's life
PLACE_SIZE = 174  # and how far from there they are on average, metric's unit
USUAL = 175  # samples that a bucket of the row usually has
RUN_NEWS = 176  # largest -ln p in the run of loud buckets under way
GATHERED_FEW = 177  # mean square of how odd the last few buckets were to all views
GATHERED_MANY = 178  # and the last many
CORE = 179


def slots_of(period_s: float, span_s: float, most: int) -> int:
    """How many slots a rhythm of ``period_s`` gets at this bucket span; 0 where it has none."""
    buckets = round(period_s / span_s)
    if buckets < 2 or abs(buckets * span_s - period_s) > 1e-6 * period_s:
        return most if period_s / span_s >= 2 and period_s / span_s > most else 0
    if buckets <= most:
        return buckets
    for slots in range(most, 1, -1):
        if buckets % slots == 0:
            return slots
    return 0


@dataclass(slots=True)
class RowState:
    """All rows of one detector. ``rows`` of them are in use; the rest is room to grow into."""

    core: NDArray[np.float64]  # (R, CORE)
    daily: NDArray[np.float32]  # (R, D) shape of the day around the level; NaN = never visited
    daily_spread: NDArray[np.float32]  # (R, D) spread of the slot over the row's spread
    weekly: NDArray[np.int16]  # (R, W) the week's departure from the day, in WEEK_UNIT

    @classmethod
    def empty(cls, rows: int, daily_slots: int, weekly_slots: int) -> RowState:
        """Room for ``rows`` series that have seen nothing."""
        core = np.zeros((rows, CORE))
        core[:, SEEN] = -1.0
        return cls(
            core=core,
            daily=np.full((rows, daily_slots), np.nan, np.float32),
            daily_spread=np.ones((rows, daily_slots), np.float32),
            weekly=np.full((rows, weekly_slots), UNVISITED, np.int16),
        )

    def arrays(self) -> tuple[Any, ...]:
        """The arrays in their fixed order, for copying, growing and measuring."""
        return (
            self.core,
            self.daily,
            self.daily_spread,
            self.weekly,
        )

    def row_bytes(self) -> int:
        """Bytes one row takes."""
        return sum(array[:1].nbytes for array in self.arrays())

    def grow(self, rows: int) -> None:
        """Make room for ``rows``; what is there stays as it is.

        Array by array, so that never more than one of them is there twice.
        """
        fresh = RowState.empty(1, self.daily.shape[1], self.weekly.shape[1])
        for name in ("core", "daily", "daily_spread", "weekly"):
            old = getattr(self, name)
            bigger = np.empty((rows, *old.shape[1:]), old.dtype)
            bigger[: len(old)] = old
            bigger[len(old) :] = getattr(fresh, name)
            setattr(self, name, bigger)

    def clear(self, row: int) -> None:
        """Forget a row."""
        fresh = RowState.empty(1, self.daily.shape[1], self.weekly.shape[1])
        for mine, other in zip(self.arrays(), fresh.arrays(), strict=True):
            mine[row] = other[0]

    def copy_row(self, source: int, target: int) -> None:
        """Give one row what another has learnt."""
        for array in self.arrays():
            array[target] = array[source]
