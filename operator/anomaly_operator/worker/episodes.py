"""Anomalies as episodes: opened, worsened, ended; pure.

A leak gives a record every bucket for hours. People want to hear of it when it begins, when it gets
worse and when it is over, so the records of one series are folded into one episode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from anomaly_operator.api.v1alpha1.status import SEVERITY_FROM, Severity, severity_of
from anomaly_operator.engine.contract import Record, SeriesKey

OPENS_AT = SEVERITY_FROM["major"]  # what status.recentAnomalies lists, too
_QUIET_BELOW = SEVERITY_FROM["minor"]  # hysteresis: a score that hovers about 50 is one episode
_QUIET_BUCKETS = 2  # one quiet bucket inside an anomaly does not end it
_ORDER: tuple[Severity, ...] = tuple(SEVERITY_FROM)

EpisodeKey = tuple[int, str, str, str]  # detector index, partition, family, member


class Step(StrEnum):
    """What became of an episode."""

    OPENED = "opened"
    WORSENED = "worsened"
    ENDED = "ended"


@dataclass(slots=True)
class Episode:
    """One series' anomaly while it lasts."""

    opened_s: float
    last_s: float  # newest bucket at or above the quiet line
    severity: Severity
    worst: float
    labels: dict[str, str]
    quiet: int = 0


@dataclass(frozen=True, slots=True)
class EpisodeStep:
    """One thing worth telling; ``record`` is what caused it, None for an end."""

    step: Step
    key: EpisodeKey
    episode: Episode
    record: Record | None


class Episodes:
    """All open episodes of a shard."""

    def __init__(self) -> None:
        self._open: dict[EpisodeKey, Episode] = {}

    def advance(self, bucket_s: float, records: Sequence[Record]) -> list[EpisodeStep]:
        """Take one bucket's records, quiet buckets included; buckets must come in order."""
        steps = []
        scored: set[EpisodeKey] = set()
        for record in records:
            key = _key(record.detector_index, record.series)
            if record.record_score >= _QUIET_BELOW:
                scored.add(key)
            step = self._take(key, record, bucket_s)
            if step is not None:
                steps.append(step)
        for key in [key for key in self._open if key not in scored]:
            episode = self._open[key]
            episode.quiet += 1
            if episode.quiet >= _QUIET_BUCKETS:
                del self._open[key]
                steps.append(EpisodeStep(Step.ENDED, key, episode, None))
        return steps

    def __len__(self) -> int:
        return len(self._open)

    def _take(self, key: EpisodeKey, record: Record, bucket_s: float) -> EpisodeStep | None:
        score = record.record_score
        severity = severity_of(score)
        episode = self._open.get(key)
        if episode is None:
            if score < OPENS_AT or severity is None:
                return None
            episode = Episode(bucket_s, bucket_s, severity, score, dict(record.labels))
            self._open[key] = episode
            return EpisodeStep(Step.OPENED, key, episode, record)
        if score < _QUIET_BELOW or severity is None:
            return None
        episode.quiet = 0
        episode.last_s = bucket_s
        episode.labels = dict(record.labels)
        episode.worst = max(episode.worst, score)
        if _ORDER.index(severity) <= _ORDER.index(episode.severity):
            return None
        episode.severity = severity
        return EpisodeStep(Step.WORSENED, key, episode, record)

    def document(self) -> list[Any]:
        """Everything as JSON, for the snapshot."""
        return [[list(key), asdict(episode)] for key, episode in self._open.items()]

    @classmethod
    def from_document(cls, document: Sequence[tuple[Sequence[Any], Mapping[str, Any]]]) -> Self:
        """Continue from a snapshot."""
        episodes = cls()
        for key, values in document:
            episodes._open[(key[0], key[1], key[2], key[3])] = Episode(**values)
        return episodes


def _key(detector_index: int, series: SeriesKey) -> EpisodeKey:
    return (detector_index, series.partition, series.family, series.member)
