"""The days on which the world's clocks change: public knowledge, reckoned without a clock.

Jobs and people live by local time, rhythm is learnt in UTC. For some days after clocks have changed
somewhere a series may be an hour off, and nobody knows which clock it follows. Here is only when
that may be; what it means for a series stands in ``clocks``.

Decision: the rules as arithmetic instead of a time zone database. The engine reads no file and asks
no calendar: a journal replayed elsewhere must give the same bytes, whatever that machine knows of
time zones. A test holds the rules against ``zoneinfo``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.changes import HOUR_S
from anomaly_operator.engine.clocks import WINDOW_S
from anomaly_operator.engine.layout import DAY_S

LONGEST_SPAN_S = 0.5 * HOUR_S
YEAR_S = 365.2425 * DAY_S
EPOCH_YEAR = 1970
THURSDAY, FRIDAY, SUNDAY = 0, 1, 3  # of days since the epoch, modulo seven


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One change a year: the first such weekday from a day of a month on, or its last one."""

    places: str
    since: int  # the first year in which it is like that
    earlier: bool  # clocks go forward: what lives by them comes an hour earlier in UTC
    month: int
    weekday: int
    from_day: int  # 0: the last of the month
    hours: tuple[float, ...]  # UTC, of that day, when one place after the other changes

    def starts_s(self, year: int) -> list[float]:
        """When it takes effect, seconds since the epoch."""
        if self.from_day > 0:
            day = _day_number(year, self.month, self.from_day)
            day += (self.weekday - day) % 7
        else:
            day = _day_number(year, self.month + 1, 1) - 1
            day -= (day - self.weekday) % 7
        return [day * DAY_S + hour * HOUR_S for hour in self.hours]


# Left out: Morocco and Gaza (by the moon), Troll (two hours, six people), Lord Howe (half an hour).
RULES = (
    Rule(
        places="United States, Canada, Cuba",
        since=2007,
        earlier=True,
        month=3,
        weekday=SUNDAY,
        from_day=8,
        hours=(5.0, 5.5, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0),
    ),
    Rule(
        places="Israel",
        since=2013,
        earlier=True,
        month=3,
        weekday=SUNDAY,
        from_day=0,
        hours=(-48.0,),
    ),
    Rule(
        places="Europe, Greenland, Lebanon",
        since=1996,
        earlier=True,
        month=3,
        weekday=SUNDAY,
        from_day=0,
        hours=(-2.0, 0.0, 1.0),
    ),
    Rule(
        places="Australia, New Zealand",
        since=2008,
        earlier=False,
        month=4,
        weekday=SUNDAY,
        from_day=1,
        hours=(-10.0, -9.0, -8.0, -7.5),
    ),
    Rule(
        places="Chile",
        since=2023,
        earlier=False,
        month=4,
        weekday=SUNDAY,
        from_day=2,
        hours=(3.0,),
    ),
    Rule(
        places="Egypt",
        since=2023,
        earlier=True,
        month=4,
        weekday=FRIDAY,
        from_day=0,
        hours=(-2.0,),
    ),
    Rule(
        places="Chile",
        since=2023,
        earlier=True,
        month=9,
        weekday=SUNDAY,
        from_day=2,
        hours=(4.0,),
    ),
    Rule(
        places="New Zealand",
        since=2007,
        earlier=True,
        month=9,
        weekday=SUNDAY,
        from_day=0,
        hours=(-10.0,),
    ),
    Rule(
        places="Australia",
        since=2008,
        earlier=True,
        month=10,
        weekday=SUNDAY,
        from_day=1,
        hours=(-9.0, -8.0, -7.5),
    ),
    Rule(
        places="Europe, Greenland, Lebanon, Israel",
        since=1996,
        earlier=False,
        month=10,
        weekday=SUNDAY,
        from_day=0,
        hours=(-3.0, -1.0, 0.0, 1.0),
    ),
    Rule(
        places="Egypt",
        since=2023,
        earlier=False,
        month=10,
        weekday=THURSDAY,
        from_day=0,
        hours=(21.0,),
    ),
    Rule(
        places="United States, Canada, Cuba",
        since=2007,
        earlier=False,
        month=11,
        weekday=SUNDAY,
        from_day=1,
        hours=(4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0),
    ),
)


def clock_changes(starts_s: NDArray[np.float64], span_s: float) -> NDArray[np.float64]:
    """For buckets that start then: the newest change of the last days, 0 for none.

    Positive where things may come an hour earlier since, negative where an hour later. None for
    buckets of an hour: the next one's value is forgiven as a step anyway, and a job is a single
    bucket, too little to be held to.
    """
    found = np.zeros(len(starts_s))
    if len(starts_s) and span_s <= LONGEST_SPAN_S:
        for year in range(_year_of(starts_s[0]), _year_of(starts_s[-1]) + 1):
            changes = _changes(year)
            if not len(changes):
                continue
            begins = np.abs(changes)
            newest = np.searchsorted(begins, starts_s, side="right") - 1
            inside = (newest >= 0) & (starts_s < begins[newest] + WINDOW_S)
            found[inside] = changes[newest[inside]]
    return found


def _year_of(time_s: float) -> int:
    """The year, but for a day about New Year, when no clocks change."""
    return EPOCH_YEAR + int(time_s // YEAR_S)


@lru_cache(maxsize=64)
def _changes(year: int) -> NDArray[np.float64]:
    """When clocks change in a year, by time; negative where they go back."""
    changes = [
        start_s if rule.earlier else -start_s
        for rule in RULES
        if year >= rule.since
        for start_s in rule.starts_s(year)
    ]
    return np.array(sorted(changes, key=abs))


def _day_number(year: int, month: int, day: int) -> int:
    """Days from the epoch to a date of the Gregorian calendar."""
    shifted = year - 1 if month < 3 else year  # years that begin in March: leap days come last
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
    return days + (153 * ((month + 9) % 12) + 2) // 5 + day - 719469
