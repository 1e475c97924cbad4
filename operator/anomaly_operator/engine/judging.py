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
    SURELY,
    faded,
    familiar_p,
    learn_event,
    learn_rest,
    rested,
)
from anomaly_operator.engine.caution import CLOCK_SPAN_S, GROWN_DAYS, cautious
from anomaly_operator.engine.changes import (
    HOUR_S,
    NO_NEWS,
    NOTE_ACCEPTED,
    NOTE_TIME_SHIFT,
    NOTE_VARIANCE,
    between_levels,
    go_back,
    keep_if_same,
    learn_phase,
    learn_scale_change,
    learn_shift,
    share_of_week,
)
from anomaly_operator.engine.clocks import (
    LOWEST,
    TELLING,
    USABLE,
    learn_clock_change,
    may_follow,
    of_both,
    read_clock,
    speaks,
    vote_of,
)
from anomaly_operator.engine.compiled import compiled
from anomaly_operator.engine.evidence import impact_of, learn_evidence
from anomaly_operator.engine.gathering import gathered, learn_gathered, quietly
from anomaly_operator.engine.horizons import judge_bands, learn_bands
from anomaly_operator.engine.incomplete import NOTE_FEW, claim_share, learn_usual
from anomaly_operator.engine.lasting import forget_recent, lasting_surprise, recall, weakest
from anomaly_operator.engine.layout import (
    BANDS,
    BOOST,
    CLASSES,
    COUNT,
    DAY_S,
    GATHERED,
    GROWN,
    LASTING_LOW,
    LASTING_UP,
    LOGGED,
    MOVES,
    OFFSET,
    OLD_LEFT,
    OLD_SHIFT,
    PHASE,
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
    WEEKDAY,
    WIDEN,
    WINDOWS,
)
from anomaly_operator.engine.levels import forecast, learn_levels
from anomaly_operator.engine.pacing import longest_of, pace_of, settled_after
from anomaly_operator.engine.place import learn_place, place_surprise, without_rhythm
from anomaly_operator.engine.records import corrected_log_p
from anomaly_operator.engine.rescaling import change_scale
from anomaly_operator.engine.rhythm import learn_clock
from anomaly_operator.engine.rules import CUT_SHORT, rule_that_applies
from anomaly_operator.engine.scales import from_scale, learn_scale, to_scale
from anomaly_operator.engine.scoring import CRITICAL_AT, WARNING_AT, claim_at
from anomaly_operator.engine.sharing import follow_share, on_the_way, others_came
from anomaly_operator.engine.single import bent_size, home_distance, single_surprise
from anomaly_operator.engine.spreads import (
    edges,
    grow_up,
    learn_bounds,
    learn_spreads,
    widened,
)
from anomaly_operator.engine.starting import start_row
from anomaly_operator.engine.tails import (
    LN2,
    claimed_score,
    forget_tails,
    learn_tail,
    log_sf,
    normal_score,
)
from anomaly_operator.engine.weekdays import kept_value, learn_weekday, off_slow_level

LARGEST = 1e30  # values beyond are taken as this: float32 tables and squares stay finite
COEFFICIENT_FLOOR = 1e-4  # variation below 0.01 % of the level is never anomalous
BACK = 0.3  # of the distance from the present level that may be left from the old one
WIDEN_KEPT = 0.88  # of the extra spread, from bucket to bucket
RESTART_SHARE = 0.35  # of typical: memory that falls below this at once has been restarted
TOLD_FROM = -6.6  # ln p of three spreads
UNMOVED = 0.01  # of the level: spread of a series that was never seen to move ...
MOVED = 20.0  # ... half of it after this many moves
VIEW_COST = LN2  # -ln p that choosing between two views costs
ODD_RUN = 3.5  # such buckets of what lasts, after which what is slow is taught a half of it
WARM_DAYS = 2.0  # after a level was opened, in which a slow change is a warm-up


@compiled
def advance_rows(
    core: NDArray[np.float64],
    daily: NDArray[np.float32],
    daily_spread: NDArray[np.float32],
    weekly: NDArray[np.int16],
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    members: NDArray[np.int32],
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
    changing: NDArray[np.float64],
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
    surprise: NDArray[np.float64],
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

    Writes every output (T, S) where there are a value and experience, and nothing elsewhere.
    ``level`` is where the series has gone to, only where a shift is noted; ``mute`` comes with its
    CUT_SHORT.
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
    pace = pace_of(span_s)
    longest = longest_of(per_day)
    settled = settled_after(per_day)
    clock_span_s = span_s if span_s >= CLOCK_SPAN_S and day_slots > 0 else 0.0
    kept_bases = np.zeros(CLASSES)
    other_bases = np.zeros(CLASSES)
    kept_answer = np.zeros(2 + CLASSES)
    other_answer = np.zeros(2 + CLASSES)
    quiet = claim_at(WARNING_AT, span_s)
    certain = claim_at(CRITICAL_AT + SURELY, span_s)
    scores = np.zeros(BANDS)
    held = np.zeros(2 * WINDOWS)
    for s in range(width):
        row = rows[s]
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
            day_number = math.floor(at / DAY_S)
            visits = c[VISITS] / per_day
            read = read_clock(c, day, day_spread, week, at, per_day, kept_bases)
            usable = read[USABLE]
            forecast(c, kept_bases, read[LOWEST], usable, kept_answer)
            kept = read
            bases = kept_bases
            answer = kept_answer
            vote = 0.0
            unsettled = changing[t] != 0.0 and usable > 1 and hour_slots > 0
            unsettled = unsettled and may_follow(c, changing[t], visits)
            if unsettled:
                off_at = at + math.copysign(HOUR_S, changing[t])
                other = read_clock(c, day, day_spread, week, off_at, per_day, other_bases)
                forecast(c, other_bases, other[LOWEST], other[USABLE], other_answer)
                vote, nearer = vote_of(c, y, kept_answer, kept, other_answer, other)
                if other[USABLE] == usable and speaks(c, vote, nearer, gap, span_s):
                    read = other
                    bases = other_bases
                    answer = other_answer
            d, w, weekday, usable, _, factor, edge, week_doubt = read
            expected = answer[0]
            reference = answer[1]
            if c[OLD_LEFT] > 0.0:
                if abs(y - expected + c[OLD_SHIFT]) < BACK * abs(y - expected):
                    expected -= c[OLD_SHIFT]
                    reference -= c[OLD_SHIFT]
                    go_back(c)
                c[OLD_LEFT] -= 1.0
            share = 0.0
            if others_came(c, members[t, s]):
                off = y - expected
                share, times, more = follow_share(c, day, members[t, s], expected, off, settled)
                y = to_scale(c, value)
                expected = expected * times + more
                reference = reference * times + more
                edge *= times
                week_doubt *= times
                for k in range(CLASSES):
                    bases[k] *= times
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
            if not restarts:
                keep_if_same(c, e, sigma0 * factor)
            widen = widened(c, gap, sigma0)
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
            if between_levels(c, ref_off, ref_sigma) or on_the_way(share, ref_off, ref_sigma):
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
            loudest = max(worst, multi_z, claimed_score(surprised)) if worst > 0.0 else worst
            known = familiar_p(c, loudest)
            if known > 0.0:
                lp = math.log(math.exp(lp) + known)
            known_lp = lp
            news = cautious(c, max(-lp, 0.0), clock_span_s, weekday, settled, pace)
            lp = -faded(c, rested(c, news), certain)
            note = reason_of(known_lp - model_lp, -news - known_lp, lp + news)

            # What is told.
            ls = -surprised
            lm = -max(lasts_up, lasts_low)
            shown = expected
            if lm < min(ls, TOLD_FROM):
                shown = reference  # what lasts is told from the slow level, not from itself
            doubt = edge * edge + widen * widen
            low_edge, high_edge = edges(c, expected, factor, doubt, floor)
            inside = low_edge <= y <= high_edge
            above_edge = y > high_edge
            typical[t, s] = from_scale(c, shown)
            lower[t, s] = from_scale(c, low_edge + shown - expected)
            upper[t, s] = from_scale(c, high_edge + shown - expected)
            if non_negative and lower[t, s] < 0.0:  # the least of the three
                lower[t, s] = 0.0
                typical[t, s] = max(typical[t, s], 0.0)
                upper[t, s] = max(upper[t, s], 0.0)
            surprise[t, s] = -lp
            steady = without_rhythm(c, y, bases, answer, usable)
            placed = place_surprise(c, steady, told, side, settled)
            oddness = 0.5 * (placed * share - model_lp)
            lately = gathered(c, oddness)
            log_p[t, s] = -quietly(-lp, -corrected_log_p(lately, curves[GATHERED]), quiet)
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
                learn_event(c, loudest, weight)
                learn_rest(c, news)
                learn_place(c, steady, told, weight)
                learn_gathered(c, records[GATHERED], oddness, lately, stage, weight)
                learn_bands(c, z, ref, scores, calm)
                if day_slots > 0:
                    missed = e
                    if unsettled and vote < TELLING and of_both(c):
                        d, w, weekday = kept[0], kept[1], kept[2]
                        bases = kept_bases
                        missed += expected - kept_answer[0]
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
                        missed,
                        spread,
                        factor,
                        visits,
                        worst >= LOUD,
                        per_slot,
                        per_week_slot,
                        weight,
                        share_of_week(c, settled),
                    )
                    c[VISITS] += weight
                if day_slots > 0 and week_slots > 0:
                    of_day = kept_value(expected, e, max(sigma, spread))
                    off_slow = off_slow_level(c, y - bases[2], sigma) if usable == 3 else 0.0
                    learn_weekday(c, day, week, day_number, of_day, off_slow, per_day, weight)
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
                if unsettled:
                    if learn_clock_change(c, vote, index * span_s + offset_s, span_s, gap, weight):
                        note |= NOTE_TIME_SHIFT
                elif usable > 1 and hour_slots > 0:
                    note |= learn_phase(
                        c, day, d, hour_slots, y, weekday, usable, spread * factor, settled, weight
                    )
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
