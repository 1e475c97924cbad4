"""Maintenance windows spelt out: cron schedules become absolute intervals over a horizon."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from anomaly_operator.api.v1alpha1.rules import MaintenanceWindow
from anomaly_operator.errors import Problem, SpecError

Interval = tuple[float, float]


def intervals(window: MaintenanceWindow, horizon_s: Interval) -> tuple[Interval, ...]:
    """Occurrences that touch the horizon: [start, end) in epoch seconds, in order, apart.

    A schedule is read in the window's time zone, so that "02:00" stays 02:00 across a change to
    daylight-saving time; the length is in real hours.

    Raises
    ------
    SpecError
        Where schedule or time zone cannot be read.
    """
    if window.schedule is None or window.duration is None:
        if window.start is None or window.end is None:
            return ()
        return clipped([(window.start.timestamp(), window.end.timestamp())], horizon_s)
    try:
        zone = ZoneInfo(window.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise bad_window(window, f"time zone '{window.timezone}' is not known") from error
    length_s = window.duration.total_seconds()
    # From before the horizon: a window that began earlier may still be open when it starts.
    before = datetime.fromtimestamp(horizon_s[0], zone) - window.duration - timedelta(minutes=1)
    try:
        occurrences = croniter(window.schedule, before)
        starts = list(
            takewhile(
                lambda start_s: start_s < horizon_s[1],
                (occurrences.get_next(float) for _ in iter(int, 1)),
            )
        )
    except CroniterBadDateError:
        starts = []  # a date that never comes, such as 30 February
    except (CroniterBadCronError, ValueError) as error:
        raise bad_window(window, f"schedule '{window.schedule}' cannot be read: {error}") from error
    return clipped([(start_s, start_s + length_s) for start_s in starts], horizon_s)


def clipped(found: list[Interval], horizon_s: Interval) -> tuple[Interval, ...]:
    """Drop what does not touch the horizon and join what overlaps; ``found`` is in order."""
    joined: list[Interval] = []
    for start_s, end_s in found:
        if end_s <= horizon_s[0] or start_s >= horizon_s[1]:
            continue
        if joined and start_s <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end_s, joined[-1][1]))
        else:
            joined.append((start_s, end_s))
    return tuple(joined)


def bad_window(window: MaintenanceWindow, message: str) -> SpecError:
    """Name the window in an error."""
    return SpecError([Problem(f"spec.maintenanceWindows[{window.name}]", message)])
