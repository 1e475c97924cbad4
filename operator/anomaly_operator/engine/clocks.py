"""What the clock says of a bucket, and whether another clock says it better.

A row's tables are of one clock: UTC, moved by PHASE. In the days after clocks have changed
(``clock_changes``) the same tables are also read an hour off. Which of both readings holds is a
matter of evidence: the log likelihood ratio of what each foresaw, remembered for some hours. The
better one so far judges the bucket and is taught by it. So a nightly job is no news at either hour,
but it has to come at one of them: who was excused an hour ago by the other clock is held to it.
Evidence of more than a day moves the row's phase.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.changes import HOUR_S
from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.layout import (
    CLOCK_AGAINST,
    CLOCK_EVIDENCE,
    CLOCK_FROM,
    CLOCK_LATELY,
    CLOCK_WINDOW,
    DAY_S,
    DAYS_KNOWN,
    ERROR,
    PHASE,
    PHASE_EARLY,
    RATES,
    REF_SPREAD,
    SPREAD_LOW,
    SPREAD_UP,
    VISITS,
    WEEK_S,
    WEEK_UNIT,
    WEEKDAY,
    WEEKDAYS,
    WIDEN,
)
from anomaly_operator.engine.rhythm import (
    GAIN_FLOOR,
    JITTER,
    WEEK_DOUBT,
    WEEKLY_GAIN_FLOOR,
    proven,
    slot_edge,
    slot_spread,
    week_edge,
    week_value,
)
from anomaly_operator.engine.starting import start_daily
from anomaly_operator.engine.weekdays import weekday_of

NUDGE = 1e-9  # of a slot: a bucket that starts with its slot must not round into the one before
CERTAIN = 4.0  # spreads of a weekly departure that is no chance

# Where what read_clock answers stands.
USABLE: Final = 3
LOWEST: Final = 4
FACTOR: Final = 5
EDGE: Final = 6
WEEK_UNSURE: Final = 7
WINDOW_S = 8 * DAY_S  # after a change in which it may explain a series: a weekly job runs in it
FREEDOM = 4.0  # of the Student t both clocks are compared by: one odd bucket must not settle it
VOTE = 10.0  # nats that a bucket says at most ...
VOICE = 5.0  # ... and that the one at hand may say for itself
TELLING = 4.0  # nats from which on a bucket is one that stands out, as a job does ...
LATELY_S = 3.0 * HOUR_S  # ... and is remembered for these ...
LATELY_MOST = 20.0  # ... and as no more than this
MARGIN = 1.0  # nats by which the other clock must be ahead
LEANING = 0.2  # of the days' evidence counts beside, so that a clock once believed is kept ...
LEANING_MOST = 2.0  # ... but no more than these
QUARTER_S = 900.0  # of shorter buckets each is less evidence
CHANCE = 0.1  # nats a quarter of an hour that chance may say
BOTH = 20.0  # nats against, since clocks changed, that no row has which follows them in all
MOVED = 20.0  # nats of evidence that the clock of this row has changed ...
MOST = 80.0  # ... and what a night can add, so that the next can take it back
MOVED_S = 26.0 * HOUR_S  # the hour that started it must have come again
KNOWN_DAYS = 14.0  # lived through before a row's rhythm is worth the question
SETTLED_S = 100 * DAY_S  # after which the clock of a row that has moved may change again


@inlined
def read_clock(
    c: NDArray[np.float64],
    day: NDArray[np.float32],
    day_spread: NDArray[np.float32],
    week: NDArray[np.int16],
    at: float,
    per_day: float,
    bases: NDArray[np.float64],
) -> tuple[int, int, int, int, int, float, float, float]:
    """Look up the second ``at``; ``bases`` gets what each class of rhythm adds to the level.

    Answers the slots of day and week and the weekday, how many classes are usable and the lowest
    that has a say, how much wider than usual this time of day is, the step to its neighbours and
    the doubt about what the week adds.
    """
    day_slots = len(day)
    week_slots = len(week)
    d = 0
    w = 0
    usable = 1
    lowest = 0
    factor = 1.0
    edge = 0.0
    week_doubt = 0.0
    weekday = weekday_of(math.floor(at / DAY_S))
    if day_slots == 0:
        return d, w, weekday, usable, lowest, factor, edge, week_doubt
    day_slot_s = DAY_S / day_slots
    d = int((at - math.floor(at / DAY_S) * DAY_S) / day_slot_s + NUDGE)
    d = min(d, day_slots - 1)
    visits = c[VISITS] / per_day
    noise = 0.5 * (c[SPREAD_UP] + c[SPREAD_LOW])
    if visits >= 1.0 and not math.isnan(day[d]):
        usable = 2
        if c[ERROR + RATES] == 0.0:
            start_daily(c)
        bases[1] = proven(day[d], noise, min(visits, 1.0 / GAIN_FLOOR))
        factor = slot_spread(day_spread, d, visits)
        edge = JITTER * slot_edge(day, d)
    if week_slots > 0:
        week_slot_s = WEEK_S / week_slots
        w = int((at - math.floor(at / WEEK_S) * WEEK_S) / week_slot_s + NUDGE)
        w = min(w, week_slots - 1)
        if usable == 2 and c[DAYS_KNOWN] >= WEEKDAYS:
            usable = 3
            weeks = min(visits / 7.0, 1.0 / WEEKLY_GAIN_FLOOR)
            unit = c[WEEK_UNIT]
            wide = noise * max(factor, 1.0)
            more = proven(week_value(week, w, unit), wide, weeks)
            bases[2] = bases[1] + c[WEEKDAY + weekday] + more
            if abs(more) > CERTAIN * wide:
                lowest = 2  # a weekly job: what knows nothing of it has no say now
            week_doubt = max(WEEK_DOUBT * abs(more), JITTER * week_edge(week, w, unit))
    return d, w, weekday, usable, lowest, factor, edge, week_doubt


@inlined
def fit(
    c: NDArray[np.float64],
    off: float,
    spread: float,
    plain: float,
    read: tuple[int, int, int, int, int, float, float, float],
) -> float:
    """Log density, but for a constant, of a value so far ``off`` one reading of the clock.

    ``plain`` is the share of the forecast that knows nothing of the clock.
    """
    wide = read[FACTOR] * spread
    unsure = read[EDGE] * (1.0 - plain) + read[WEEK_UNSURE]
    square = wide * wide + unsure * unsure + c[WIDEN] * c[WIDEN] + 1e-24
    return -0.5 * math.log(square) - 0.5 * (FREEDOM + 1.0) * math.log1p(
        off * off / (FREEDOM * square)
    )


@inlined
def vote_of(
    c: NDArray[np.float64],
    y: float,
    kept_answer: NDArray[np.float64],
    kept: tuple[int, int, int, int, int, float, float, float],
    other_answer: NDArray[np.float64],
    other: tuple[int, int, int, int, int, float, float, float],
) -> tuple[float, bool]:
    """Nats by which the other clock foresaw ``y`` better, and whether its forecast was the nearer.

    They vote from the slow level: fast trackers follow a misfit, and then the wrong clock fits.
    """
    was = fit(c, y - kept_answer[1], c[REF_SPREAD], kept_answer[2], kept)
    would = fit(c, y - other_answer[1], c[REF_SPREAD], other_answer[2], other)
    spread = 0.5 * (c[SPREAD_UP] + c[SPREAD_LOW])
    nearer = fit(c, y - other_answer[0], spread, other_answer[2], other) >= fit(
        c, y - kept_answer[0], spread, kept_answer[2], kept
    )
    return min(max(would - was, -VOTE), VOTE), nearer


@inlined
def may_follow(c: NDArray[np.float64], began: float, days: float) -> bool:
    """Whether the change that ``began`` then may still explain this row, ``days`` old.

    Whenever clocks change somewhere it is open again whose they are: what the last hours said is
    forgotten, and all evidence where the change before was another way or long ago.
    """
    before = c[CLOCK_WINDOW]
    if before != began:
        c[CLOCK_WINDOW] = began
        c[CLOCK_LATELY] = 0.0
        c[CLOCK_AGAINST] = 0.0
        if before * began <= 0.0 or abs(began - before) > WINDOW_S:
            c[CLOCK_EVIDENCE] = 0.0
            c[CLOCK_FROM] = min(c[CLOCK_FROM], 0.0)
    settled = c[CLOCK_FROM] < 0.0 and abs(began) + c[CLOCK_FROM] < SETTLED_S
    if settled or days < KNOWN_DAYS:
        return False
    return bool(abs(c[PHASE] + math.copysign(HOUR_S, began)) <= HOUR_S)


@inlined
def faded(gap: float, span_s: float) -> float:
    """Share of what was said before ``gap`` buckets without a value that still counts."""
    return math.exp(-(gap + 1.0) * span_s / LATELY_S)


@inlined
def speaks(c: NDArray[np.float64], vote: float, nearer: bool, gap: float, span_s: float) -> bool:
    """Whether the other clock is the one to judge by, with the bucket at hand itself heard.

    It is held to what it has excused. What the days say counts only where its forecast is nearer.
    """
    told = c[CLOCK_LATELY] * faded(gap, span_s) + min(max(vote, -VOICE), VOICE)
    if c[CLOCK_LATELY] >= 0.0 and nearer:
        told += min(LEANING * c[CLOCK_EVIDENCE], LEANING_MOST)
    return bool(told > MARGIN)


@inlined
def of_both(c: NDArray[np.float64]) -> bool:
    """Whether a row follows both clocks: people at work by day, and jobs that know only UTC."""
    return bool(c[CLOCK_AGAINST] > BOTH)


@inlined
def learn_clock_change(
    c: NDArray[np.float64], vote: float, now_s: float, span_s: float, gap: float, weight: float
) -> bool:
    """Add a bucket's ``vote`` for the other clock; whether the row's phase has moved to it."""
    part = weight * min(span_s / QUARTER_S, 1.0)
    lately = c[CLOCK_LATELY] * faded(gap, span_s)
    if abs(vote) > TELLING:
        lately += part * vote
        c[CLOCK_AGAINST] += part * max(-vote, 0.0)
    c[CLOCK_LATELY] = min(max(lately, -LATELY_MOST), LATELY_MOST)
    had = c[CLOCK_EVIDENCE]
    chance = weight * CHANCE * span_s / QUARTER_S
    c[CLOCK_EVIDENCE] = min(max(had + part * vote - chance, 0.0), MOST)
    if had <= 0.0:
        c[CLOCK_FROM] = now_s
    since = max(c[CLOCK_FROM], abs(c[CLOCK_WINDOW]))
    if c[CLOCK_EVIDENCE] < MOVED or now_s - since < MOVED_S or of_both(c):
        return False
    c[PHASE] += math.copysign(HOUR_S, c[CLOCK_WINDOW])
    c[CLOCK_FROM] = -now_s
    for k in range(3):
        c[PHASE_EARLY + k] = 1.0
    return True
