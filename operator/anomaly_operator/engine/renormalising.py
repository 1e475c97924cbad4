"""Ranking against a detector's own history: corrects scores where the model's tails prove wrong.

A return period is a promise: "once a week" should not come ten times a day. Each detector counts,
per decade of claimed return period, how many *episodes* its partitions had, and over how many
partition-days. Where an episode comes more than SLACK times as often as claimed, the claim is
lowered to what was observed; elsewhere nothing is touched, so a score stays what it was. Real
trouble now and then stays far below SLACK: this is for floods.

A correction that changes past scores of the window noticeably yields a ``Rescore`` with its
reason; the initial score stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import Rescore, SeriesKey
from anomaly_operator.engine.scoring import CLAIM_BINS, CLAIM_STEP, MINOR_AT, corrected, score_of

SLACK = 50.0  # times as often as claimed before a claim is lowered
LEAST_EPISODES = 20.0  # fewer say nothing
MEMORY_DAYS = 60.0  # after which the weight of history is halved
NOTICEABLE = 1.5  # points of score, or crossing a mark
MOST_KEPT = 4000  # past records a detector remembers for rescoring


@dataclass(slots=True)
class Claim:
    """One past record, as far as rescoring needs it."""

    timestamp_s: float
    series: SeriesKey
    period: float  # as the model claimed it
    score: float  # as told last


@dataclass(slots=True)
class Ranking:
    """What one detector's claims turned out to be worth."""

    episodes: NDArray[np.float64] = field(default_factory=lambda: np.zeros(CLAIM_BINS))
    buckets: int = 0  # judged, of all partitions
    correction: NDArray[np.float64] = field(default_factory=lambda: np.zeros(CLAIM_BINS))
    above: dict[int, float] = field(default_factory=dict)  # partition -> claim of its last bucket
    claims: list[Claim] = field(default_factory=list)
    settled: int = 0  # how many, when last refreshed

    def array_bytes(self) -> int:
        """Bytes of the arrays."""
        return self.episodes.nbytes + self.correction.nbytes

    def learn(self, periods: NDArray[np.float64], crowd: NDArray[np.float64]) -> None:
        """Count episodes of (T, P) claims; whole numbers, so that blocks may be cut anyhow.

        An episode at a decade begins where the partition's claim rises above it.
        """
        self.buckets += int((crowd > 0.0).sum())
        for k in range(periods.shape[1]):
            claims = np.floor((periods[:, k] - MINOR_AT) / CLAIM_STEP)
            claims = np.clip(claims, -1.0, CLAIM_BINS - 1.0)
            before = np.concatenate([[self.above.get(k, -1.0)], claims[:-1]])
            for t in np.flatnonzero(claims > before).tolist():
                self.episodes[int(before[t]) + 1 : int(claims[t]) + 1] += 1.0
            self.above[k] = float(claims[-1])

    def refresh(self, *, partitions: int, span_s: float, oldest_s: float) -> None:
        """Fade the past, drop claims older than ``oldest_s``, and set the correction anew."""
        days = self.buckets * span_s / 86400.0
        if days > MEMORY_DAYS * max(partitions, 1):
            self.episodes *= 0.5
            self.buckets //= 2
            days *= 0.5
        claimed = MINOR_AT + CLAIM_STEP * np.arange(CLAIM_BINS)
        observed = np.log10(max(days, 1e-9) / np.maximum(self.episodes, 1e-9))
        excess = claimed - observed - np.log10(SLACK)
        wrong = np.where(self.episodes >= LEAST_EPISODES, np.maximum(excess, 0.0), 0.0)
        # A record may claim more than its partition's bucket does, and so than was ever counted.
        wrong = np.maximum.accumulate(wrong)
        # A larger claim is corrected no less in what is left of it: order must not change.
        self.correction = np.minimum.accumulate((claimed - wrong)[::-1])[::-1]
        self.correction = np.maximum(claimed - self.correction, 0.0)
        keep = [claim for claim in self.claims if claim.timestamp_s >= oldest_s]
        self.claims = keep[-MOST_KEPT:]
        self.settled = len(self.claims)

    def rescores(self, detector_index: int) -> list[Rescore]:
        """Past scores that the present correction changes noticeably."""
        changed: list[Rescore] = []
        for claim in self.claims:
            score = score_of(corrected(claim.period, self.correction))
            crossed = int(score // 25.0) != int(claim.score // 25.0)
            if abs(score - claim.score) >= NOTICEABLE and (
                crossed or abs(score - claim.score) > 0.1 * claim.score
            ):
                way = "more" if score < claim.score else "less"
                changed.append(
                    Rescore(
                        claim.timestamp_s,
                        detector_index,
                        claim.series,
                        score,
                        f"episodes like this came {way} often than its probability said",
                    )
                )
                claim.score = score
        return changed
