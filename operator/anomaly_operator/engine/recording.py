"""From the arrays of a stretch to records, muted results and annotations: only where something is.

Nothing here runs for a quiet bucket; what does run is Python per record, and records are rare by
the scores' own meaning.
"""

from __future__ import annotations

import numpy as np

from anomaly_operator.engine.announcing import (
    NOTE_CLOCK,
    NOTE_FAMILIAR,
    NOTE_RESTED,
    NOTE_WEEKLY,
    NOTE_YOUNG,
)
from anomaly_operator.engine.changes import (
    NOTE_ACCEPTED,
    NOTE_RHYTHM_FOUND,
    NOTE_RHYTHM_LOST,
    NOTE_SCALE,
    NOTE_SHIFT,
    NOTE_TIME_SHIFT,
    NOTE_VARIANCE,
)
from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Annotation,
    Block,
    DetectorSettings,
    Explanation,
    Floats,
    Muted,
    Record,
)
from anomaly_operator.engine.detecting import Stretch
from anomaly_operator.engine.explaining import HeldBack, amount_words, sentence, summary
from anomaly_operator.engine.incomplete import NOTE_FEW
from anomaly_operator.engine.influence import Evidence
from anomaly_operator.engine.rules import CUT_SHORT
from anomaly_operator.engine.scoring import LN10, WARNING, corrected, period_of

RECORD_SCORE = WARNING
SLOW_IMPACT = 2.0  # multi-bucket impact from which the past weighs more than the present

_NOTES = (
    (NOTE_SHIFT, "level_shift", "Level shifted to about {level}"),
    (NOTE_ACCEPTED, "level_accepted", "New level of about {level} accepted as usual"),
    (NOTE_RHYTHM_FOUND, "seasonality_found", "Values follow the {clock}: a rhythm is now expected"),
    (NOTE_RHYTHM_LOST, "seasonality_lost", "Values no longer follow the {clock}"),
    (NOTE_TIME_SHIFT, "time_shift", "The rhythm moved by an hour, as clocks do"),
    (NOTE_SCALE, "scale_change", "Values vary more than before"),
)
_HELD_BACK = (
    (NOTE_FAMILIAR, HeldBack.FAMILIAR),
    (NOTE_YOUNG, HeldBack.YOUNG),
    (NOTE_RESTED, HeldBack.RESTED),
)


def mark_ends(out: Stretch, block: Block, *, begin: int) -> None:
    """Mark what planned ends have cut short: what such a bucket says is no news.

    ``begin`` is where the stretch begins in ``block``.
    """
    for t, s in block.ended:
        if begin <= t < begin + len(out.mute):
            out.mute[t - begin, s] = CUT_SHORT


def withheld(
    out: Stretch, block: Block, *, start_s: float, analysis: AnalysisSettings
) -> list[Muted]:
    """Take muted scores out of ``out`` and say which."""
    found: list[Muted] = []
    if out.mute.any():
        for t, s in np.argwhere((out.mute != 0) & ~np.isnan(out.score)).tolist():
            score = float(out.score[t, s])
            who = int(out.mute[t, s])
            out.score[t, s] = 0.0
            if score >= RECORD_SCORE and who != CUT_SHORT:
                name = analysis.windows[-who - 1].name if who < 0 else ""
                time_s = start_s + t * analysis.span_s
                found.append(Muted(time_s, block.detector_index, block.series.keys[s], name, score))
    return found


def records_of(
    out: Stretch,
    block: Block,
    values: Floats,
    partition: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    *,
    start_s: float,
    settings: DetectorSettings,
    correction: Floats,
    analysis: AnalysisSettings,
) -> list[tuple[int, Evidence]]:
    """(bucket within the stretch, evidence) of every record, in order of bucket and series."""
    found: list[tuple[int, Evidence]] = []
    for t, s in np.argwhere(out.score >= RECORD_SCORE).tolist():
        crowd = float(out.crowd[t, partition[s]])
        claimed = period_of(float(out.log_p[t, s]), crowd, analysis.span_s)
        period = corrected(claimed, correction)
        time_s = start_s + t * analysis.span_s
        labels = block.series.labels[s]
        actual, typical = float(values[t, s]), float(out.typical[t, s])
        impact = float(out.impact[t, s])
        length = int(out.length[t, s])
        explanation = Explanation(
            anomaly_type="spike" if actual > typical else "dip",
            anomaly_length=length,
            single_bucket_impact=round(-float(out.single[t, s]) / LN10),
            multi_bucket_impact=round(-float(out.multi[t, s]) / LN10),
            anomaly_characteristics_impact=round(-float(out.habit[t, s]) / LN10),
            lower_confidence_bound=float(out.lower[t, s]),
            typical_value=typical,
            upper_confidence_bound=float(out.upper[t, s]),
            high_variance_penalty=bool(out.notes[t, s] & NOTE_VARIANCE),
            incomplete_bucket_penalty=bool(out.notes[t, s] & NOTE_FEW),
            sentence=sentence(
                actual,
                typical,
                time_s=time_s,
                offset_s=analysis.time_zone_offset_s,
                by_clock=bool(out.notes[t, s] & NOTE_CLOCK),
                slow=impact >= SLOW_IMPACT,
                length=length,
                span_s=analysis.span_s,
                held_back=_held_back(int(out.notes[t, s])),
                incomplete=bool(out.notes[t, s] & NOTE_FEW),
                period=period,
            ),
        )
        score = float(out.score[t, s])
        record = Record(
            timestamp_s=time_s,
            span_s=analysis.span_s,
            detector_index=settings.index,
            series=block.series.keys[s],
            labels=labels,
            actual=actual,
            typical=typical,
            log_p=float(out.log_p[t, s]),
            multi_bucket_impact=impact,
            initial_record_score=score,
            record_score=score,
            influencers=tuple((f, labels[f]) for f in analysis.influencers if labels.get(f)),
            explanation=explanation,
            summary=summary(actual, typical),
        )
        found.append((t, Evidence(record, period, claimed)))
    return found


def _held_back(notes: int) -> HeldBack:
    return next((why for bit, why in _HELD_BACK if notes & bit), HeldBack.NOTHING)


def annotations_of(
    out: Stretch, block: Block, *, start_s: float, span_s: float
) -> list[Annotation]:
    """What the models noted."""
    told = NOTE_SHIFT | NOTE_ACCEPTED | NOTE_RHYTHM_FOUND | NOTE_RHYTHM_LOST
    told |= NOTE_TIME_SHIFT | NOTE_SCALE
    found: list[Annotation] = []
    noted = out.notes & told
    if not noted.any():
        return found
    for t, s in np.argwhere(noted).tolist():
        weekly = out.notes[t, s] & NOTE_WEEKLY
        for bit, event, text in _NOTES:
            if noted[t, s] & bit:
                time_s = start_s + t * span_s
                found.append(
                    Annotation(
                        timestamp_s=time_s,
                        end_timestamp_s=time_s + span_s,
                        event=event,
                        detector_index=block.detector_index,
                        series=block.series.keys[s],
                        text=text.format(
                            level=amount_words(float(out.level[t, s])),
                            clock="day of the week" if weekly else "time of day",
                        ),
                    )
                )
    return found
