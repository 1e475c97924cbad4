"""From what a detector over categories found to records, with words for why."""

from __future__ import annotations

import math
from dataclasses import dataclass

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    DetectorSettings,
    Explanation,
    Record,
)
from anomaly_operator.engine.event_buckets import DEFINITION
from anomaly_operator.engine.explaining import (
    HeldBack,
    duration_words,
    period_words,
    sentence,
    summary,
)
from anomaly_operator.engine.scoring import LN10

USUAL = 0.5  # typical count from which a number is compared with it


@dataclass(frozen=True, slots=True)
class Finding:
    """One category in one bucket that is worth a record."""

    column: int
    actual: float
    typical: float
    lower: float
    upper: float
    log_p: float
    period: float
    score: float
    new: bool  # never seen before
    present: float  # buckets with it before, faded
    watched: float  # buckets watched before, faded


def record_of(
    finding: Finding,
    block: Block,
    t: int,
    *,
    settings: DetectorSettings,
    analysis: AnalysisSettings,
) -> Record:
    """Write one finding down."""
    labels = block.series.labels[finding.column]
    time_s = block.start_s + t * analysis.span_s
    return Record(
        timestamp_s=time_s,
        span_s=analysis.span_s,
        detector_index=settings.index,
        series=block.series.keys[finding.column],
        labels=labels,
        actual=finding.actual,
        typical=finding.typical,
        log_p=finding.log_p,
        multi_bucket_impact=-5.0,
        initial_record_score=finding.score,
        record_score=finding.score,
        influencers=tuple((f, labels[f]) for f in analysis.influencers if labels.get(f)),
        explanation=Explanation(
            anomaly_type="spike" if finding.actual > finding.typical else "dip",
            anomaly_length=1,
            single_bucket_impact=round(-finding.log_p / LN10),
            multi_bucket_impact=0,
            anomaly_characteristics_impact=0,
            lower_confidence_bound=finding.lower,
            typical_value=finding.typical,
            upper_confidence_bound=finding.upper,
            high_variance_penalty=False,
            incomplete_bucket_penalty=False,
            sentence=f"{_why(finding, time_s, analysis)}: {labels.get(DEFINITION, '')}",
        ),
        summary=_short(finding),
    )


def _short(finding: Finding) -> str:
    if finding.new:
        return "New category"
    if finding.typical < USUAL <= finding.actual:
        return "Rare category"
    return summary(finding.actual, finding.typical)


def _why(finding: Finding, time_s: float, analysis: AnalysisSettings) -> str:
    often = f"expected {period_words(finding.period)}"
    times = f"{finding.actual:.0f} event{'s' if finding.actual > 1 else ''}"
    watched = duration_words(finding.watched * analysis.span_s)
    if finding.new:
        return f"{times} of a category never seen before in {watched}; {often}"
    if finding.typical < USUAL <= finding.actual:
        buckets = max(1, math.ceil(finding.present - 1e-9))
        return (
            f"{times} of a category seen in {buckets} of {finding.watched:.0f} buckets"
            f" before; {often}"
        )
    return sentence(
        finding.actual,
        finding.typical,
        time_s=time_s,
        offset_s=analysis.time_zone_offset_s,
        by_clock=analysis.span_s <= 86400.0,
        slow=False,
        length=1,
        span_s=analysis.span_s,
        held_back=HeldBack.NOTHING,
        incomplete=False,
        period=finding.period,
    )
