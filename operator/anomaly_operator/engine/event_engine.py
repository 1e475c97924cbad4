"""The engine of detectors over categories: the same verbs as ``engine``, with count models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    BucketResult,
    InfluencerResult,
    ModelSize,
    Outcome,
    Record,
    WarmUp,
)
from anomaly_operator.engine.event_model import EventModel, EventOutcome
from anomaly_operator.engine.event_records import record_of
from anomaly_operator.engine.influence import Evidence, influencers_of
from anomaly_operator.engine.memory import MemoryLimit
from anomaly_operator.engine.rules import windows_active
from anomaly_operator.engine.scoring import SINGLE_REACH, WARNING_AT, score_of
from anomaly_operator.errors import SnapshotRejected

WARM_BUCKETS = 48
STATE_VERSION = 1
_NOTHING = -400.0


class EventEngine:
    """Models of all detectors over categories of one AnomalyDetector."""

    def __init__(self, settings: AnalysisSettings) -> None:
        self.settings = settings
        self.limit = MemoryLimit(settings.model_memory_limit_bytes)
        self.models = {each.index: EventModel(each, settings) for each in settings.detectors}

    @classmethod
    def restore(
        cls, settings: AnalysisSettings, arrays: Mapping[str, NDArray[np.generic]]
    ) -> EventEngine:
        """Go on exactly where ``snapshot`` left off. Raises SnapshotRejected."""
        engine = cls(settings)
        try:
            about = json.loads(np.asarray(arrays["events/about"], np.uint8).tobytes())
            if about["version"] != STATE_VERSION:
                raise SnapshotRejected(
                    f"state of events: version {about['version']} is not this engine's "
                    f"{STATE_VERSION}; learning starts afresh"
                )
            limit = engine.limit
            limit.peak_bytes, limit.failures, limit.pruned, limit.refusing = about["limit"]
            for index, model in engine.models.items():
                prefix = f"events/{index}/"
                own = {
                    name.removeprefix(prefix): array
                    for name, array in arrays.items()
                    if name.startswith(prefix)
                }
                model.load(own, about["detectors"][str(index)])
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotRejected(
                f"state of events: torn or foreign ({error}); learning starts afresh"
            ) from error
        return engine

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Everything learnt, as plain arrays."""
        arrays: dict[str, NDArray[np.generic]] = {}
        detectors = {}
        for index, model in self.models.items():
            own, detectors[str(index)] = model.dump()
            arrays |= {f"events/{index}/{name}": array for name, array in own.items()}
        limit = self.limit
        about = {
            "version": STATE_VERSION,
            "limit": [limit.peak_bytes, limit.failures, limit.pruned, limit.refusing],
            "detectors": detectors,
        }
        text = json.dumps(about, separators=(",", ":")).encode()
        arrays["events/about"] = np.frombuffer(text, np.uint8).copy()
        return arrays

    def update(self, settings: AnalysisSettings) -> None:
        """Take over what may change while running."""
        self.settings = settings
        self.limit.limit_bytes = settings.model_memory_limit_bytes
        for each in settings.detectors:
            self.models[each.index].settings = each

    def advance(self, blocks: Sequence[Block], *, elsewhere: int = 0) -> Outcome:
        """Judge, score and learn; ``elsewhere`` is what other models hold of the limit."""
        outcomes: list[EventOutcome] = []
        for block in blocks:
            model = self.models[block.detector_index]
            share = self.limit.prune_share(self.held_bytes() + elsewhere)
            window = share * self.settings.prune_window_s / self.settings.span_s
            self.limit.pruned += model.prune(block.start_s / self.settings.span_s - window)
            others = self.held_bytes() - model.held_bytes() + elsewhere
            outcomes.append(
                model.advance(block, analysis=self.settings, limit=self.limit, elsewhere=others)
            )
        self.limit.weigh(self.held_bytes())
        self.limit.note(self.held_bytes() + elsewhere)
        return _concluded(blocks, outcomes, self.settings)

    def held_bytes(self) -> int:
        """Bytes of all models."""
        return sum(model.held_bytes() for model in self.models.values())

    def model_size(self) -> ModelSize:
        """What the models weigh, and what the limit did."""
        held = self.held_bytes()
        return ModelSize(
            model_bytes=held,
            peak_model_bytes=self.limit.peak_bytes,
            model_bytes_limit=self.limit.limit_bytes,
            memory_status=self.limit.status(held),
            series=sum(len(model.row_of) for model in self.models.values()),
            bucket_allocation_failures_count=self.limit.failures,
            pruned_series=self.limit.pruned,
        )

    def warm_up(self, _now_s: float) -> WarmUp:
        """How long events have been watched, of what it takes to score severely."""
        ages = [
            model.partitions[""].age if "" in model.partitions else 0
            for model in self.models.values()
        ]
        age = min(ages, default=WARM_BUCKETS)
        left_s = max(0, WARM_BUCKETS - age) * self.settings.span_s
        return WarmUp(percent=min(100.0, 100.0 * age / WARM_BUCKETS), remaining_s=left_s)


def _concluded(
    blocks: Sequence[Block], outcomes: Sequence[EventOutcome], settings: AnalysisSettings
) -> Outcome:
    """Records, influencers and bucket results, once all detectors have spoken."""
    if not blocks:
        return Outcome((), (), ())
    detectors = {each.index: each for each in settings.detectors}
    buckets = len(blocks[0].values)
    evidence: list[list[Evidence]] = [[] for _ in range(buckets)]
    counts = np.zeros(buckets)
    for block, outcome in zip(blocks, outcomes, strict=True):
        counts += block.counts.sum(axis=1)
        for t, finding in outcome.findings:
            detector = detectors[block.detector_index]
            record = record_of(finding, block, t, settings=detector, analysis=settings)
            evidence[t].append(Evidence(record, finding.period))
    starts = blocks[0].start_s + np.arange(buckets, dtype=np.float64) * settings.span_s
    active = windows_active(settings.windows, starts, settings.span_s)
    results: list[BucketResult] = []
    records: list[Record] = []
    influencers: list[InfluencerResult] = []
    for t, items in enumerate(evidence):
        time_s = float(starts[t])
        names = tuple(each.name for i, each in enumerate(settings.windows) if active[i, t])
        results += _bucket_results(time_s, items, int(counts[t]), names=names, settings=settings)
        records += [item.record for item in items]
        influencers += influencers_of(time_s, settings.influencers, items)
    return Outcome(
        buckets=tuple(results),
        records=tuple(records),
        influencers=tuple(influencers),
        muted=tuple(one for outcome in outcomes for one in outcome.muted),
        columns={
            block.detector_index: outcome.columns
            for block, outcome in zip(blocks, outcomes, strict=True)
        },
    )


def _bucket_results(
    time_s: float,
    items: Sequence[Evidence],
    count: int,
    *,
    names: tuple[str, ...],
    settings: AnalysisSettings,
) -> list[BucketResult]:
    """The whole bucket, and each partition in which something is worth telling."""
    periods: dict[str, float] = {}
    for item in items:
        name = item.record.series.partition
        periods[name] = max(periods.get(name, _NOTHING), item.period)
    score = score_of(_compressed(max(periods.values(), default=_NOTHING)))
    span_s = settings.span_s
    results = [BucketResult(time_s, span_s, "", score, score, count, len(items), names)]
    for name, period in sorted(periods.items()):
        if name and period >= WARNING_AT:
            score = score_of(_compressed(period))
            inside = sum(item.record.series.partition == name for item in items)
            results.append(BucketResult(time_s, span_s, name, score, score, 0, inside, names))
    return results


def _compressed(period: float) -> float:
    """One category lifts its bucket by so much at most, as one series does."""
    return SINGLE_REACH * period / (SINGLE_REACH + period) if period > 0.0 else period
