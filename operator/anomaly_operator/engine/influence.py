"""Which label values carry a bucket's anomaly.

A value's share is the evidence (-ln p beyond EVIDENCE_FLOOR) of the series that bear it, over the
evidence of all. The by-label of the most unusual series always carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anomaly_operator.engine.contract import InfluencerResult, Record
from anomaly_operator.engine.renormalising import Claim
from anomaly_operator.engine.scoring import LN10, score_of

LEAST_SHARE = 0.4
CROWD_LIFT = 0.5  # decades of return period per tenfold of series that bear the value


@dataclass(frozen=True, slots=True)
class Evidence:
    """One record's part in its bucket."""

    record: Record
    period: float  # log10 of days, as told
    claimed: float | None = None  # before history corrected it; None where nothing does

    def claim(self) -> Claim:
        """What rescoring must remember of it."""
        return Claim(
            self.record.timestamp_s,
            self.record.series,
            self.period if self.claimed is None else self.claimed,
            self.record.record_score,
        )


def influencers_of(
    timestamp_s: float, fields: Sequence[str], evidence: Sequence[Evidence]
) -> list[InfluencerResult]:
    """Label values that carry the records of one bucket, strongest first."""
    total = sum(-item.record.log_p for item in evidence)
    found: list[InfluencerResult] = []
    for field in fields:
        by_value: dict[str, list[Evidence]] = {}
        for item in evidence:
            value = item.record.labels.get(field)
            if value:
                by_value.setdefault(value, []).append(item)
        for value, items in by_value.items():
            weight = sum(-item.record.log_p for item in items)
            strongest = max(item.period for item in items)
            if weight < LEAST_SHARE * total and strongest < 0.0:
                continue
            lift = CROWD_LIFT * (len(items).bit_length() - 1) * 0.30103
            score = score_of(strongest + lift)
            found.append(
                InfluencerResult(
                    timestamp_s=timestamp_s,
                    field=field,
                    value=value,
                    log_p=min(item.record.log_p for item in items) - lift * LN10,
                    initial_influencer_score=score,
                    influencer_score=score,
                )
            )
    return sorted(found, key=lambda one: (-one.influencer_score, one.field, one.value))
