"""What a row has to tell of itself: a rhythm found or lost, who took it over, why a score is less.

Nothing here decides how unusual a value is. A rhythm is announced by the squared errors of the
rhythm classes' slow trackers, which a week is remembered of: the shares of the forecast, which
follow every hour, would announce the same rhythm ten times a day.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.changes import NOTE_RHYTHM_FOUND, NOTE_RHYTHM_LOST
from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.contract import Annotation, SeriesKey
from anomaly_operator.engine.layout import CLASS_ERROR, RHYTHM

# Further bits of a bucket's notes.
NOTE_CLOCK = 128  # typical is that of this time of the day or week
NOTE_FAMILIAR = 256  # told with less, mostly because the row has done so before ...
NOTE_YOUNG = 512  # ... or because little of it is known yet ...
NOTE_RESTED = 1024  # ... or because as much was told shortly before
NOTE_WEEKLY = 2048  # the rhythm found or lost is the week's

FOUND = 1.5  # squared error without a rhythm over that with it, from which there is one ...
LOST = 1.25  # ... and below which there is none any more
DAYS = 3.0  # days lived through before a daily rhythm may be announced ...
WEEKS = 14.0  # ... and before a weekly one
TOLD = 2.302585092994046  # -ln p taken away that is worth a word: a tenfold


@inlined
def announce_rhythm(c: NDArray[np.float64], usable: int, days: float) -> int:
    """Note a rhythm found or lost, of ``usable`` classes after so many ``days``."""
    plain = c[CLASS_ERROR]
    daily = c[CLASS_ERROR + 1]
    weekly = c[CLASS_ERROR + 2]
    is_daily = usable > 1 and days >= DAYS and plain > FOUND * daily
    is_weekly = usable > 2 and days >= WEEKS and min(plain, daily) > FOUND * weekly
    announced = c[RHYTHM]
    if announced < 2.0 and is_weekly:
        c[RHYTHM] = 2.0
        return NOTE_RHYTHM_FOUND | NOTE_WEEKLY
    if announced == 0.0 and is_daily:
        c[RHYTHM] = 1.0
        return NOTE_RHYTHM_FOUND
    if announced == 1.0 and usable > 1 and plain < LOST * daily:
        c[RHYTHM] = 0.0
        return NOTE_RHYTHM_LOST
    if announced == 2.0 and usable > 2 and min(plain, daily) < LOST * weekly:
        c[RHYTHM] = 1.0 if is_daily else 0.0
        return NOTE_RHYTHM_LOST | NOTE_WEEKLY
    return 0


@inlined
def reason_of(familiar: float, young: float, rested: float) -> int:
    """Which of three took most of a surprise away, where that is worth a word; in -ln p."""
    if familiar + young + rested <= TOLD:
        return 0
    if familiar >= max(young, rested):
        return NOTE_FAMILIAR
    return NOTE_YOUNG if young >= rested else NOTE_RESTED


def rollout_of(
    key: SeriesKey, before: str, start_s: float, span_s: float, detector_index: int
) -> Annotation:
    """A pod ``key`` has taken over what the pod ``before`` had taught."""
    return Annotation(
        timestamp_s=start_s,
        end_timestamp_s=start_s + span_s,
        event="rollout",
        detector_index=detector_index,
        series=key,
        text=f"{key.family}: {key.member} took over from {before}; what was learnt goes on",
    )
