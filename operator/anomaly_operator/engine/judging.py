"""One pass over a block: every series through all its buckets, judged first, learnt after.

The outer loop is over series and the inner over buckets, so that a row's state stays in the
processor's first cache while history is read. The steps are one function each in the modules this
one imports; here is only their order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.announcing import NOTE_CLOCK, announce_rhythm, reason_of
from anomaly_operator.engine.anomalies import (
    LOUD,
    familiar_p,
    learn_event,
    learn_rest,
    rested,
)
from anomaly_operator.engine.caution import CLOCK_SPAN_S, GROWN_DAYS, cautious
from anomaly_operator.engine.changes import (
    NO_NEWS,
    NOTE_ACCEPTED,
    NOTE_VARIANCE,
    between_levels,
    go_back,
    learn_phase,
    learn_scale_change,
    learn_shift,
)
from anomaly_operator.engine.compiled import compiled
from anomaly_operator.engine.evidence import impact_of, learn_evidence
from anomaly_operator.engine.horizons import judge_bands, learn_bands
from anomaly_operator.engine.incomplete import NOTE_FEW, claim_share, learn_usual
from anomaly_operator.engine.lasting import (
    forget_recent,
    lasting_surprise,
    recall,
    weakest,
)
from anomaly_operator.engine.layout import (
    BANDS,
    BOOST,
    BOUND_LOW,
    BOUND_UP,
    CLASSES,
    COUNT,
    DAY_S,
    DAYS_KNOWN,
    ERROR,
    GROWN,
    LASTING_LOW,
    LASTING_UP,
    LEVEL,
    LOGGED,
    MOVES,
    OFFSET,
    OLD_LEFT,
    OLD_SHIFT,
    PHASE,
    RATES,
    RECENT,
    REF_SPREAD,
    RHYTHM,
    RUN,
    SEEN,
    SINGLE_LOW,
    SINGLE_UP,
    SPREAD_LOW,
    SPREAD_UP,
    TAIL_LOW,
    TAIL_LOW_N,
    TAIL_UP,
    TAIL_UP_N,
    VIEW_RUN,
    VISITS,
    WEEK_S,
    WEEK_UNIT,
    WEEKDAY,
    WEEKDAYS,
    WIDEN,
    WINDOWS,
)
from anomaly_operator.engine.levels import SLOW, forecast, learn_levels
from anomaly_operator.engine.records import corrected_log_p
from anomaly_operator.engine.rescaling import change_scale
from anomaly_operator.engine.rhythm import (
    GAIN_FLOOR,
    JITTER,
    WEEK_DOUBT,
    WEEKLY_GAIN_FLOOR,
    learn_clock,
    proven,
    slot_edge,
    slot_spread,
    week_edge,
    week_value,
)
from anomaly_operator.engine.rules import CUT_SHORT, rule_that_applies
from anomaly_operator.engine.scales import from_scale, learn_scale, to_scale
from anomaly_operator.engine.single import bent_size, home_distance, single_surprise
from anomaly_operator.engine.spreads import (
    grow_up,
    learn_bounds,
    learn_spreads,
)
from anomaly_operator.engine.starting import start_daily, start_row
from anomaly_operator.engine.tails import (
    LN2,
    forget_tails,
    learn_tail,
    log_sf,
    normal_score,
)
from anomaly_operator.engine.weekdays import learn_weekday, weekday_of

LARGEST = 1e30  # values beyond are taken as this: float32 tables and squares stay finite
COEFFICIENT_FLOOR = 1e-4  # variation below 0.01 % of the level is never anomalous
BACK = 0.3  # of the distance from the present level that may be left from the old one
NUDGE = 1e-9  # of a slot: a bucket that starts with its slot must not round into the one before
CERTAIN = 4.0  # spreads of a weekly departure that is no chance
WIDEN_KEPT = 0.88  # of the extra spread, from bucket to bucket
RESTART_SHARE = 0.35  # of typical: memory that falls below this at once has been restarted
TOLD_FROM = -6.6  # ln p of three spreads
UNMOVED = 0.01  # of the level: spread of a series that was never seen to move ...
MOVED = 20.0  # ... half of it after this many moves
VIEW_COST = LN2  # -ln p that choosing between two views costs
KEPT_CLIP = 4.0  # spreads from what was foreseen that a value may pull its day's mean ...
WEEKDAY_CLIP = 8.0  # ... and from the slow level, once the week is known
# An event lasts minutes or hours, not buckets: of shorter ones it has more, within these factors.
NORMAL_SPAN_S = 900.0
LEAST_PACE = 0.5
MOST_PACE = 4.0
ODD_RUN = 3.5  # such buckets of what lasts, after which what is slow is taught a half of it
WARM_DAYS = 2.0  # after a level was opened, in which a slow change is a warm-up
SETTLED_LEAST = 16.0  # buckets: half a day, within these, till what lasts is told again
SETTLED_MOST = 96.0
LONGEST_LEAST = 48.0  # buckets: a day, within these, till whatever lasts is accepted
LONGEST_MOST = 480.0


@compiled
def advance_rows(
    core: NDArray[np.float64],
    daily: NDArray[np.float32],
    daily_spread: NDArray[np.float32],
    weekly: NDArray[np.int16],
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    samples: NDArray[np.float64],
    few_side: int,
    first_index: int,
    span_s: float,
    offset_s: float,
    side: int,
    non_negative: bool,
    resolution: float,
    restarts: bool,
    accept: float,
    records: NDArray[np.int64],
    curves: NDArray[np.float64],
    scopes: NDArray[np.bool_],
    conditions: NDArray[np.float64],
    actions: NDArray[np.int64],
    window_scopes: NDArray[np.bool_],
    window_active: NDArray[np.bool_],
    window_actions: NDArray[np.int64],
    typical: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    log_p: NDArray[np.float64],
    impact: NDArray[np.float64],
    single: NDArray[np.float32],
    multi: NDArray[np.float32],
    habit: NDArray[np.float32],
    length: NDArray[np.float32],
    mute: NDArray[np.int16],
    notes: NDArray[np.int16],
    level: NDArray[np.float32],
) -> None:
    """Judge and learn ``values`` (T, S), each of so many ``samples``, with ``rows`` (S,), or -1.

    Writes every output (T, S): NaN and 0 where there is no value or no experience. ``level`` is
    where the series has gone to, only where a shift is noted; ``mute`` comes with its CUT_SHORT.
    """
    buckets, width = values.shape
    day_slots = daily.shape[1]
    week_slots = weekly.shape[1]
    per_day = DAY_S / span_s
    per_slot = max(per_day / day_slots, 1.0) if day_slots > 0 else 1.0
    per_week_slot = max(7.0 * per_day / week_slots, 1.0) if week_slots > 0 else 1.0
    error_rate = 1.0 / min(max(1.5 * per_day, 64.0), 400.0)
    class_rate = 1.0 / min(max(7.0 * per_day, 256.0), 2000.0)
    hour_slots = day_slots // 24 if day_slots % 24 == 0 else 0
    day_slot_s = DAY_S / max(day_slots, 1)
    week_slot_s = WEEK_S / max(week_slots, 1)
    pace = min(max(NORMAL_SPAN_S / span_s, LEAST_PACE), MOST_PACE)
    longest = min(max(per_day, LONGEST_LEAST), LONGEST_MOST)
    settled = min(max(0.5 * per_day, SETTLED_LEAST), SETTLED_MOST)
    clock_span_s = span_s if span_s >= CLOCK_SPAN_S and day_slots > 0 else 0.0
    bases = np.zeros(CLASSES)
    answer = np.zeros(2 + CLASSES)
    scores = np.zeros(BANDS)
    held = np.zeros(2 * WINDOWS)
    for s in range(width):
        row = rows[s]
        for t in range(buckets):
            typical[t, s] = lower[t, s] = upper[t, s] = np.nan
            log_p[t, s] = impact[t, s] = np.nan
            single[t, s] = multi[t, s] = habit[t, s] = length[t, s] = 0.0
            notes[t, s] = 0
        if row < 0:
            continue
        c = core[row]
        day = daily[row]
        day_spread = daily_spread[row]
        week = weekly[row]
        for t in range(buckets):
            y = values[t, s]
            if not math.isfinite(y):
                continue
            y = min(max(y, -LARGEST), LARGEST)
            index = float(first_index + t)
            if c[SEEN] < 0.0:
                start_row(c, y, index, resolution)
                continue
            value = y
            y = to_scale(c, value)
            logged = c[LOGGED] != 0.0
            n = c[COUNT]
            gap = index - c[SEEN] - 1.0

            # Where the clock stands, and what it says.
            at = index * span_s + offset_s + c[PHASE]
            d = 0
            w = 0
            visits = c[VISITS] / per_day
            usable = 1
            lowest = 0
            edge = 0.0
            week_doubt = 0.0
            day_number = math.floor(at / DAY_S)
            weekday = weekday_of(day_number)
            factor = 1.0
            if day_slots > 0:
                d = int((at - math.floor(at / DAY_S) * DAY_S) / day_slot_s + NUDGE)
                d = min(d, day_slots - 1)
                if visits >= 1.0 and not math.isnan(day[d]):
                    usable = 2
                    if c[ERROR + RATES] == 0.0:
                        start_daily(c)
                    noise = 0.5 * (c[SPREAD_UP] + c[SPREAD_LOW])
                    bases[1] = proven(day[d], noise, min(visits, 1.0 / GAIN_FLOOR))
                    factor = slot_spread(day_spread, d, visits)
                    edge = JITTER * slot_edge(day, d)
                if week_slots > 0:
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

            forecast(c, bases, lowest, usable, answer)
            expected = answer[0]
            reference = answer[1]
            if c[OLD_LEFT] > 0.0:
                if abs(y - expected + c[OLD_SHIFT]) < BACK * abs(y - expected):
                    expected -= c[OLD_SHIFT]
                    reference -= c[OLD_SHIFT]
                    go_back(c)
                c[OLD_LEFT] -= 1.0
            by_clock = 1.0 - answer[2] if usable > 1 else 0.0
            if non_negative and not logged:
                expected = max(expected, 0.0)
                reference = max(reference, 0.0)

            told = from_scale(c, expected)

            # How far off, in spreads of its side and time of day.
            e = y - expected
            sigma0 = c[SPREAD_UP] if e > 0.0 else c[SPREAD_LOW]
            floor = max(resolution, COEFFICIENT_FLOOR * abs(told))
            if logged:
                floor /= told + c[OFFSET]
            widen = c[WIDEN]
            if gap > 0.0:
                widen = max(widen, min(0.3 * math.log1p(gap), 3.0) * sigma0)
            edge = edge * by_clock + week_doubt
            sigma = math.sqrt(sigma0 * sigma0 * factor * factor + edge * edge + widen * widen)
            unmoved = UNMOVED * (1.0 if logged else abs(told)) / (1.0 + c[MOVES] / MOVED)
            sigma += 0.5 * floor + unmoved + 1e-12
            off = math.copysign(max(abs(e) - floor, 0.0), e)
            tail = c[TAIL_UP] if e > 0.0 else c[TAIL_LOW]
            z = normal_score(off / sigma, max(tail, 1.0 / (1.0 + 0.5 * n)))
            z = min(max(z, -1e6), 1e6)
            ref_off = y - reference
            ref_off = math.copysign(max(abs(ref_off) - floor, 0.0), ref_off)
            ref_sigma = c[REF_SPREAD] * factor + 0.5 * floor + unmoved + widen + edge + 1e-12
            ref = ref_off / ref_sigma
            near = home_distance(ref, expected - reference, e)
            if between_levels(c, ref_off, ref_sigma):
                near = min(near, NO_NEWS)
                ref = min(max(ref, -NO_NEWS), NO_NEWS)
            if near < abs(z):
                z = math.copysign(near, z)
            single_z = abs(z) if side == 0 else z * side
            multi_z = judge_bands(c, z, ref, side, scores)
            worst = single_z

            restarted = restarts and value < RESTART_SHARE * told and z < -LOUD
            if restarted and side != 1:
                worst = 0.0
            # How surprising that is, alone and with the buckets before, by their own records.
            double = LN2 if side == 0 else 0.0  # two sides make everything twice as likely
            below = 0 if e > 0.0 else 1
            size = bent_size(off / sigma, near)
            surprised = single_surprise(c, size, below) if worst > 0.0 else 0.0
            weakest(c, min(max(ref, -1e6), 1e6), held)
            slow = max(-LN2 - log_sf(multi_z), 0.0)
            lasts_up = max(lasting_surprise(c, held, 0, settled), slow) if side >= 0 else 0.0
            lasts_low = max(lasting_surprise(c, held, WINDOWS, settled), slow) if side <= 0 else 0.0
            if restarted and side != 1:
                lasts_up = 0.0
                lasts_low = 0.0
            above = SINGLE_UP if e > 0.0 else SINGLE_LOW
            lp = corrected_log_p(surprised, curves[above])
            lp = min(lp, corrected_log_p(lasts_up, curves[LASTING_UP]))
            lp = min(lp, corrected_log_p(lasts_low, curves[LASTING_LOW]))
            share = claim_share(c, samples[t, s], e, few_side)
            lp = min(lp + VIEW_COST + double, 0.0) * share
            model_lp = lp
            run = c[RUN]
            known = familiar_p(c, max(worst, multi_z) if worst > 0.0 else 0.0)
            if known > 0.0:
                lp = math.log(math.exp(lp) + known)
            known_lp = lp
            news = cautious(c, max(-lp, 0.0), clock_span_s, settled, pace)
            lp = -rested(c, news)
            note = reason_of(known_lp - model_lp, -news - known_lp, lp + news)

            # What is told.
            ls = -surprised
            lm = -max(lasts_up, lasts_low)
            shown = expected
            if lm < min(ls, TOLD_FROM):
                shown = reference  # what lasts is told from the slow level, not from itself
            low_edge = expected - c[BOUND_LOW] * (c[SPREAD_LOW] * factor + edge + widen) - floor
            high_edge = expected + c[BOUND_UP] * (c[SPREAD_UP] * factor + edge + widen) + floor
            inside = low_edge <= y <= high_edge
            above_edge = y > high_edge
            typical[t, s] = from_scale(c, shown)
            lower[t, s] = from_scale(c, low_edge + shown - expected)
            upper[t, s] = from_scale(c, high_edge + shown - expected)
            if non_negative and lower[t, s] < 0.0:  # the least of the three
                lower[t, s] = 0.0
                typical[t, s] = max(typical[t, s], 0.0)
                upper[t, s] = max(upper[t, s], 0.0)
            log_p[t, s] = lp
            impact[t, s] = impact_of(min(ls, -1e-3), min(lm, -1e-3))
            single[t, s] = ls
            multi[t, s] = lm
            habit[t, s] = lp - model_lp
            length[t, s] = run + 1.0

            # What the user said about it.
            mute[t, s], weight = rule_that_applies(
                s,
                t,
                value,
                typical[t, s],
                index * span_s + offset_s,
                scopes,
                conditions,
                actions,
                window_scopes,
                window_active,
                window_actions,
                mute[t, s] == CUT_SHORT,
                inside,
            )
            if c[RHYTHM] > 0.0 and usable > 1:
                note |= NOTE_CLOCK
            if factor > 1.5:
                note |= NOTE_VARIANCE
            note |= NOTE_FEW if share < 1.0 else 0

            # Learn. A value judged far out teaches little, and the spread less the longer it lasts.
            if weight > 0.0:
                if restarted:
                    c[BOOST] = 0.0
                    forget_recent(c)
                    widen = 1.0 if logged else 0.5 * abs(expected)
                calm = weight / (1.0 + 0.25 * run)
                odd = max(c[VIEW_RUN + LASTING_UP], c[VIEW_RUN + LASTING_LOW]) / (ODD_RUN * pace)
                still = calm / (1.0 + odd * odd)
                spread = 0.5 * (c[SPREAD_UP] + c[SPREAD_LOW]) + 0.5 * floor + 1e-12
                if widen < sigma0:
                    learn_spreads(c, e, sigma, ref_off, ref_sigma, factor, calm, still)
                    if n > 30.0 and run == 0.0:
                        if e > 0.0:
                            learn_tail(c, TAIL_UP, TAIL_UP_N, z, calm)
                        else:
                            learn_tail(c, TAIL_LOW, TAIL_LOW_N, z, calm)
                    learn_bounds(c, above_edge, not (inside or above_edge), calm)
                stage = int(c[GROWN]) if clock_span_s > 0.0 else len(GROWN_DAYS)
                learn_evidence(
                    c,
                    records,
                    size,
                    below,
                    held,
                    surprised,
                    lasts_up,
                    lasts_low,
                    abs(e) > floor,
                    stage,
                    pace,
                    calm,
                    still,
                    weight,
                )
                if weight > 0.5:
                    recall(c, min(max(ref, -1e6), 1e6))
                learn_rest(c, news)
                learn_event(c, max(worst, multi_z) if worst > 0.0 else worst, weight)
                learn_bands(c, z, ref, scores, calm)
                if day_slots > 0:
                    learn_clock(
                        c,
                        day,
                        day_spread,
                        week,
                        d,
                        w,
                        usable,
                        bases[2] - bases[1],
                        c[WEEKDAY + weekday],
                        y,
                        e,
                        spread,
                        factor,
                        visits,
                        worst >= LOUD,
                        per_slot,
                        per_week_slot,
                        weight,
                    )
                    c[VISITS] += weight
                if day_slots > 0 and week_slots > 0:
                    limit = KEPT_CLIP * max(sigma, spread)
                    kept = expected + min(max(e, -limit), limit)
                    off_slow = 0.0
                    if usable == 3:
                        off_slow = y - bases[2] - c[LEVEL + 2 * RATES + SLOW]
                        off_slow = min(max(off_slow, -WEEKDAY_CLIP * sigma), WEEKDAY_CLIP * sigma)
                    learn_weekday(c, day, week, day_number, kept, off_slow, per_day, weight)
                learn_levels(
                    c, y, bases, usable, max(sigma, spread), weight, error_rate, class_rate
                )
                shifted = learn_shift(
                    c,
                    y - reference,
                    spread * factor + edge + widen,
                    accept,
                    longest,
                    WARM_DAYS * per_day,
                    weight,
                )
                if shifted and c[REF_SPREAD] < 3.0 * spread:
                    note |= shifted
                    gone = c[OLD_SHIFT] if shifted & NOTE_ACCEPTED else c[RECENT]
                    level[t, s] = from_scale(c, reference + gone)
                note |= announce_rhythm(c, usable, visits)
                if learn_scale(c, value, told, weight):
                    change_scale(c, day, week)
                if usable > 1 and hour_slots > 0:
                    note |= learn_phase(c, day, d, hour_slots, y, spread * factor, weight)
                if widen < sigma0 and n > 200.0:
                    note |= learn_scale_change(c, z, weight)
                if c[GROWN] < len(GROWN_DAYS) and visits >= GROWN_DAYS[int(c[GROWN])]:
                    c[GROWN] += 1.0
                    forget_tails(c)
                    grow_up(c)
                learn_usual(c, samples[t, s])
                c[COUNT] = n + weight
                c[BOOST] += weight
                c[WIDEN] = WIDEN_KEPT * widen if widen > 0.05 * sigma0 else 0.0
            c[SEEN] = index
            notes[t, s] = note
