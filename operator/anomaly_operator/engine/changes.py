"""Lasting changes: recognised, reported once, accepted within hours.

Evidence of a level shift grows by one with every bucket that lies well off the slow level on the
same side, and falls by two otherwise. When there is enough of it and the series stands still, the
slow trackers are set to where the level is now. A step has come most of its way within a few
buckets. What came slowly may be a leak: it needs four times the evidence and must have stopped, or
have gone on for so long that everybody knows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.lasting import forget_recent
from anomaly_operator.engine.layout import (
    BAND,
    BANDS,
    BOOST,
    CLASSES,
    COUNT,
    GATHERED_FEW,
    GATHERED_MANY,
    LEVEL,
    NEWEST,
    OLD_LEFT,
    OLD_SHIFT,
    PHASE,
    PHASE_EARLY,
    RATES,
    RECALLED,
    RECENT,
    RECENT_SIZE,
    REF_SPREAD,
    SCALE_SHIFT,
    SHIFT,
    SHIFT_ASKED,
    SHIFT_BEFORE,
    SHIFT_FROM,
    SHIFT_JUMP,
    SLOPE,
    SPREAD_LOW,
    SPREAD_UP,
    TRACKERS,
    WEEKDAY,
    WIDEN,
)

# Bits of a bucket's notes.
NOTE_SHIFT = 1
NOTE_ACCEPTED = 2
NOTE_RHYTHM_FOUND = 4
NOTE_RHYTHM_LOST = 8
NOTE_TIME_SHIFT = 16
NOTE_SCALE = 32
NOTE_VARIANCE = 64  # judged with a wider spread than usual at this time of day

HOUR_S = 3600.0
PHASE_LEAST = 24.0  # buckets over which a rhythm's fit is averaged, at least
PHASE_CLIP = 6.0  # spreads
PHASE_WORSE = 2.5  # variances by which the rhythm must fail as it stands ...
PHASE_BETTER = 0.4  # ... and share of that error an hour's shift must leave
SCALE_RATE = 1.0 / 48.0
SCALE_MEAN = 0.8  # mean |z| of an ordinary series
SCALE_ODD = 1.4  # mean |z| from which the spread has changed
OFF = 3.0  # spreads off the slow level that count as evidence
ONSET = 5.0  # buckets of evidence within which a sharp change has come ...
SHARP = 0.4  # ... this share of its way
SLOWLY = 4.0  # times the evidence that what came slowly needs: it may be a leak ...
STANDS = 1.0  # ... and spreads it may have moved since it was last asked
STILL = 2.0  # mean spreads of movement about the recent level that count as standing still
STANDS_SHARE = 0.05  # ... or share of the change itself, which is more where a series was constant
STILL_SHARE = 0.03
RECENT_RATE = 0.2
REMEMBERED = 400.0  # buckets an old level is remembered for
SAME_PLACE = 2.0  # spreads from what was foreseen within which a new pod goes on as the old one
OPENED_SHARE = 0.1
NO_NEWS = 1.0  # spreads that what lies between it and the present one counts as, at most


@inlined
def learn_shift(
    c: NDArray[np.float64],
    off: float,
    sigma: float,
    enough: float,
    longest: float,
    young: float,
    weight: float,
) -> int:
    """Collect evidence; 2 when a shift was accepted in this bucket, 1 when it has become likely.

    ``off`` is the distance from the slow level, ``sigma`` the spread at this time of day. Where the
    series is now is followed without clipping, and so is how much it moves about that. ``enough``
    and ``longest`` are buckets of evidence; ``young`` is the age in buckets up to which a level
    that was opened anew is still warming up.
    """
    before = c[RECENT]
    c[RECENT_SIZE] += RECENT_RATE * weight * (abs(off - before) - c[RECENT_SIZE])
    c[RECENT] += RECENT_RATE * weight * (off - before)
    held = c[SHIFT]
    if abs(off) > OFF * sigma:
        if held * off < 0.0:
            held = 0.0
        held += weight if off > 0.0 else -weight
    else:
        held -= math.copysign(min(2.0 * weight, abs(held)), held)
    had = abs(c[SHIFT])
    has = abs(held)
    c[SHIFT] = held
    if had < 1.0:
        c[SHIFT_BEFORE] = before
        c[SHIFT_FROM] = before
        c[SHIFT_JUMP] = 0.0
        c[SHIFT_ASKED] = 0.0
    if had < ONSET <= has:
        c[SHIFT_JUMP] = c[RECENT] - c[SHIFT_BEFORE]
    sharp = abs(c[SHIFT_JUMP]) >= SHARP * abs(c[RECENT] - c[SHIFT_BEFORE]) or c[BOOST] <= young
    if has >= max(c[SHIFT_ASKED], enough if sharp else SLOWLY * enough):
        size = abs(c[RECENT])
        drift = abs(c[RECENT] - c[SHIFT_FROM])
        stands = sharp or drift < max(STANDS * sigma, STANDS_SHARE * size)
        still = c[RECENT_SIZE] < max(STILL * sigma, STILL_SHARE * size)
        if (stands and still) or has >= longest:
            accept_level(c)
            return 2
        c[SHIFT_ASKED] = has + 0.5 * enough
        c[SHIFT_FROM] = c[RECENT]
    if had < 0.5 * enough <= has:
        return 1
    return 0


@inlined
def accept_level(c: NDArray[np.float64]) -> None:
    """Take the present level as the level: every tracker moves there at once."""
    moved = c[RECENT]
    c[OLD_SHIFT] = moved
    c[OLD_LEFT] = REMEMBERED
    for r in range(CLASSES):
        base = LEVEL + r * RATES
        level = c[base + RATES - 1] + moved
        for k in range(RATES):
            c[base + k] = level
        c[SLOPE + r] = 0.0
    for b in range(BANDS):
        c[BAND + b] = 0.0
    c[RECENT] = 0.0
    c[SHIFT] = 0.0
    forget_recent(c)


@inlined
def learn_phase(
    c: NDArray[np.float64],
    day: NDArray[np.float32],
    slot: int,
    hour_slots: int,
    y: float,
    weekday: int,
    usable: int,
    sigma: float,
    half_day: float,
    weight: float,
) -> int:
    """Ask whether the rhythm fits an hour early or late, as it does when clocks change.

    An hour's worth of noise with a memory fits an hour's shift as well now and then, half a day of
    it does not: errors are averaged over ``half_day`` buckets.
    """
    slots = len(day)
    level = c[LEVEL + (usable - 1) * RATES + RATES - 2] + (
        c[WEEKDAY + weekday] if usable == 3 else 0.0
    )
    best = 0
    rate = 1.0 / max(half_day, PHASE_LEAST)
    for k in range(3):
        other = day[(slot + (k - 1) * hour_slots + slots) % slots]
        if math.isnan(other):
            return 0
        e = min(abs(y - level - other), PHASE_CLIP * sigma) / sigma
        c[PHASE_EARLY + k] += weight * rate * (e * e - c[PHASE_EARLY + k])
        if c[PHASE_EARLY + k] < c[PHASE_EARLY + best]:
            best = k
    kept = c[PHASE_EARLY + 1]
    if best == 1 or kept < PHASE_WORSE or c[PHASE_EARLY + best] > PHASE_BETTER * kept:
        return 0
    if abs(c[PHASE] + (best - 1) * HOUR_S) > HOUR_S:
        return 0  # clocks change by an hour; what wants more is a rhythm badly learnt
    c[PHASE] += (best - 1) * HOUR_S
    for k in range(3):
        c[PHASE_EARLY + k] = 1.0
    return NOTE_TIME_SHIFT


@inlined
def learn_scale_change(c: NDArray[np.float64], z: float, weight: float) -> int:
    """Widen the spread at once when residuals have been larger for long, on both sides alike."""
    if c[SCALE_SHIFT] == 0.0:
        c[SCALE_SHIFT] = SCALE_MEAN
    c[SCALE_SHIFT] += weight * SCALE_RATE * (min(abs(z), 4.0) - c[SCALE_SHIFT])
    if c[SCALE_SHIFT] < SCALE_ODD or abs(c[SHIFT]) > 4.0:
        return 0
    wider = c[SCALE_SHIFT] / SCALE_MEAN
    c[SPREAD_UP] *= wider
    c[SPREAD_LOW] *= wider
    c[REF_SPREAD] *= wider
    c[SCALE_SHIFT] = SCALE_MEAN
    return NOTE_SCALE


@inlined
def keep_if_same(c: NDArray[np.float64], e: float, sigma: float) -> None:
    """Take an opening of the level back where the new pod goes on as the old one did.

    ``e`` is how far its first value is off what was foreseen, ``sigma`` the spread of such errors.
    Only for what does not fill up after a start: memory may pass the old level on its way.
    """
    if c[BOOST] <= 0.0 and c[BOOST] < c[COUNT] and abs(e) < SAME_PLACE * sigma:
        c[BOOST] = c[COUNT]
        c[WIDEN] = 0.0


@inlined
def share_of_week(c: NDArray[np.float64], settled: float) -> float:
    """Of a bucket, what it may teach the week's table: little while the level is open.

    A warm-up after a rollout is no weekly job, and the week takes at its word what it saw once.
    """
    opened = c[BOOST] < c[COUNT] and c[BOOST] < settled
    return OPENED_SHARE if opened else 1.0


@inlined
def between_levels(c: NDArray[np.float64], off: float, sigma: float) -> bool:
    """Whether a value ``off`` the slow level lies on the way to the one it was on before.

    ``sigma`` is the spread of that distance. Who refills a cache after a restart, or takes back
    half of a change, is on known ground.
    """
    back = -c[OLD_SHIFT]
    return bool(c[OLD_LEFT] > 0.0 and off * back > 0.0 and abs(off) < abs(back) + sigma)


@inlined
def move_levels(c: NDArray[np.float64], by: float) -> None:
    """Move every tracker; what was seen of the way is forgotten."""
    for i in range(TRACKERS):
        c[LEVEL + i] += by
    for b in range(BANDS):
        c[BAND + b] = 0.0
    c[RECENT] = 0.0
    c[SHIFT] = 0.0
    forget_recent(c)


@inlined
def go_back(c: NDArray[np.float64]) -> None:
    """Return every tracker to the level before the last accepted one."""
    move_levels(c, -c[OLD_SHIFT])
    c[OLD_LEFT] = 0.0  # going there once more is news again


def reopen(c: NDArray[np.float64], widen: float) -> None:
    """Let the level be learnt anew within a few buckets: a new pod in an old place, a restart."""
    c[BOOST] = np.minimum(c[BOOST], 0.0)
    c[WIDEN] = np.maximum(c[WIDEN], widen)
    c[NEWEST : NEWEST + RECALLED] = 0.0
    c[GATHERED_FEW] = 0.0
    c[GATHERED_MANY] = 0.0
    c[SHIFT] = 0.0
