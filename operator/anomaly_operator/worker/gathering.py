"""From the source to blocks: one read a detector, filtered to this shard, gathered into buckets.

Reading and taking are two steps, with the journal between them: what was read is kept before it is
used, and a replay takes the same samples without asking anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.bucketing import Bucketing, BucketingSettings, SampleCounts
from anomaly_operator.engine.categorizing import Categorizer, Standing
from anomaly_operator.engine.contract import Annotation, Block, DetectorSettings, SeriesKey
from anomaly_operator.engine.event_buckets import MESSAGE, EventBuckets, EventSettings
from anomaly_operator.engine.identity import KNOWN, place
from anomaly_operator.engine.together import is_over_events
from anomaly_operator.ports import (
    Coverage,
    MetricSource,
    ReadRequest,
    SampleKind,
    Samples,
    SamplesEntry,
    Scope,
)
from anomaly_operator.worker.job_settings import JobSettings
from anomaly_operator.worker.sharding import shard_of

_STALENESS_S = 300.0  # Prometheus' own look-back: a counter older than this gives no rate
_STALE_STEPS = 5
_RETIRE_S, _RETIRE_BUCKETS = 7200.0, 10  # silence after which a series leaves the blocks

_STATUS_CHANGE = "categorization_status_change"  # event of an annotation
_TURNED_TO = "categorization status changed to"

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the series this worker has."""

    shard: int
    shards: int


class Gathering:
    """All detectors' open buckets.

    Parameters
    ----------
    source
        Where samples come from.
    settings
        The job; what gathering reads of it cannot change while the detector lives.
    share
        Series of other shards are dropped here.
    start_s
        Start of the first bucket.
    """

    def __init__(
        self, source: MetricSource, settings: JobSettings, *, share: Share, start_s: float
    ) -> None:
        self._source = source
        self._scope = settings.scope
        self._share = share
        self._step_s = settings.step_s
        fields = (settings.job.spec.partition_field, *settings.analysis.influencers)
        self._labels = tuple(sorted({one for one in fields if one and one not in KNOWN}))
        self._staleness_s = max(_STALENESS_S, _STALE_STEPS * settings.step_s)
        self._detectors = settings.analysis.detectors
        categorization = settings.job.spec.per_partition_categorization
        self.categorizer = Categorizer(
            per_partition=categorization.enabled, stop_on_warn=categorization.stop_on_warn
        )
        self._first_events = min(
            (each.index for each in self._detectors if is_over_events(each)), default=-1
        )
        self._bucketings: dict[int, Bucketing | EventBuckets] = {
            each.index: EventBuckets(
                self._event_settings(each, settings), start_s, self.categorizer
            )
            if is_over_events(each)
            else Bucketing(self._bucketing_settings(each, settings.span_s), start_s)
            for each in self._detectors
        }
        self._through_s = {
            each.index: start_s if is_over_events(each) else start_s - self._staleness_s
            for each in self._detectors
        }
        self._ours: dict[tuple[int, tuple[tuple[str, str], ...]], bool] = {}
        self.coverage: dict[int, tuple[Coverage, ...]] = {}
        self.history = source.keeps_history()

    def follow(self, settings: JobSettings) -> None:
        """Take over what gathering reads of live settings."""
        categorization = settings.job.spec.per_partition_categorization
        self.categorizer.stop_on_warn = categorization.stop_on_warn

    def read(self, detector_index: int, through_s: float) -> SamplesEntry | None:
        """Ask for what is new up to a time; None where nothing can be. Raises SourceUnavailable."""
        start_s = self._through_s[detector_index]
        if through_s <= start_s:
            return None
        detector = self._detectors[detector_index]
        samples = self._source.read(
            ReadRequest(
                metric=detector.metric,
                by=detector.by,
                start_s=start_s,
                end_s=through_s,
                step_s=self._step_s,
                scope=self._scope,
                labels=self._labels,
            )
        )
        self.coverage[detector_index] = samples.problems
        return SamplesEntry(detector_index, start_s, through_s, self._filtered(detector, samples))

    def follows(self, entry: SamplesEntry) -> bool:
        """Whether a replayed entry goes on exactly where this detector stands."""
        return entry.start_s == self._through_s[entry.detector_index]

    def is_behind(self, entry: SamplesEntry) -> bool:
        """Whether a replayed entry was taken already."""
        return entry.through_s <= self._through_s[entry.detector_index]

    def take(self, entry: SamplesEntry) -> None:
        """Put samples, just read or replayed, into the open buckets."""
        samples = entry.samples
        bucketing = self._bucketings[entry.detector_index]
        bucketing.add(samples.series, samples.index, time_s=samples.time_s, value=samples.value)
        if isinstance(bucketing, Bucketing):
            bucketing.end(samples.ends)
        self._through_s[entry.detector_index] = entry.through_s

    def close(self, end_s: float) -> tuple[Block, ...]:
        """Close every detector's buckets up to ``end_s``, a multiple of the span."""
        blocks = []
        for index, bucketing in self._bucketings.items():
            buckets = round((end_s - bucketing.next_start_s) / bucketing.settings.span_s)
            # What was read beyond the end is no wrong clock's: a long outage is read at once.
            complete_s = max(end_s, self._through_s[index])
            block = bucketing.close(complete_s, max_buckets=buckets) if buckets > 0 else None
            if block is not None:
                blocks.append(block)
        return tuple(blocks)

    def notes(self, start_s: float, end_s: float) -> tuple[Annotation, ...]:
        """Where categorisation has become of no use, or of use again, in these buckets."""
        return tuple(
            Annotation(
                timestamp_s=start_s,
                end_timestamp_s=end_s,
                event=_STATUS_CHANGE,
                detector_index=self._first_events,
                series=SeriesKey(standing.partition, ""),
                text=self._words(standing),
            )
            for standing in (self.categorizer.turned() if self._first_events >= 0 else ())
        )

    def _words(self, standing: Standing) -> str:
        field = self._detectors[self._first_events].partition_field
        where = f" for {field} {standing.partition}" if standing.partition else ""
        text = f"{_TURNED_TO} {standing.status}{where}"
        if standing.sign:
            text += f" after {standing.categorized} messages: {standing.sign}"
        if standing.stopped:
            text += "; it is neither categorised nor analysed any more (stopOnWarn)"
        return text

    @property
    def detector_indexes(self) -> Sequence[int]:
        """Every detector, in order."""
        return [each.index for each in self._detectors]

    def counts(self) -> SampleCounts:
        """What became of samples, all detectors together."""
        totals = [each.counts for each in self._bucketings.values()]
        names = SampleCounts.__slots__
        return SampleCounts(**{name: sum(getattr(one, name) for one in totals) for name in names})

    def series_count(self, blocks: Sequence[Block]) -> int:
        """Series told of in these blocks."""
        return sum(len(block.series.keys) for block in blocks)

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """State as arrays."""
        arrays: dict[str, NDArray[np.generic]] = {
            "through_s": np.asarray([self._through_s[each.index] for each in self._detectors])
        }
        for index, bucketing in self._bucketings.items():
            for name, array in bucketing.snapshot().items():
                arrays[f"{index}/{name}"] = array
        return arrays

    def restore(self, arrays: Arrays) -> None:
        """Continue from a snapshot. Raises KeyError or ValueError where it does not fit."""
        for detector, through_s in zip(self._detectors, arrays["through_s"].tolist(), strict=True):
            prefix = f"{detector.index}/"
            own = {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }
            kept = self._bucketings[detector.index].settings
            self._bucketings[detector.index] = (
                EventBuckets.restore(kept, own, self.categorizer)
                if isinstance(kept, EventSettings)
                else Bucketing.restore(kept, own)
            )
            self._through_s[detector.index] = through_s

    def skip_to(self, time_s: float) -> None:
        """Forget what was not read before a time: a source without history cannot be asked."""
        for index, through_s in self._through_s.items():
            self._through_s[index] = max(through_s, time_s)

    def _event_settings(self, detector: DetectorSettings, settings: JobSettings) -> EventSettings:
        return EventSettings(
            detector_index=detector.index,
            span_s=settings.span_s,
            partition_field=detector.partition_field,
            retire_s=settings.analysis.prune_window_s,
            first=detector.index == self._first_events,
        )

    def _bucketing_settings(self, detector: DetectorSettings, span_s: float) -> BucketingSettings:
        metric = self._source.catalogue().get(detector.metric)
        return BucketingSettings(
            detector_index=detector.index,
            function=detector.function.removeprefix("high_").removeprefix("low_"),
            span_s=span_s,
            by=detector.by,
            partition_field=detector.partition_field,
            counter=metric is not None and metric.kind is SampleKind.COUNTER,
            staleness_s=self._staleness_s,
            retire_s=max(_RETIRE_S, _RETIRE_BUCKETS * span_s),
        )

    def _filtered(self, detector: DetectorSettings, samples: Samples) -> Samples:
        """Drop series of other shards, and any that the scope does not allow, whatever came."""
        kept = np.fromiter(
            (self._is_ours(detector, labels) for labels in samples.series),
            dtype=bool,
            count=len(samples.series),
        )
        ends = tuple(
            end for end in samples.ends if allowed(self._scope, {"namespace": end.namespace})
        )
        if kept.all():
            return replace(samples, ends=ends)
        number = np.cumsum(kept) - 1
        chosen = kept[samples.index] if len(samples.index) else np.empty(0, dtype=bool)
        return Samples(
            kind=samples.kind,
            series=tuple(labels for labels, ours in zip(samples.series, kept, strict=True) if ours),
            index=number[samples.index[chosen]].astype(np.int32),
            time_s=samples.time_s[chosen],
            value=samples.value[chosen],
            problems=samples.problems,
            ends=ends,
        )

    def _is_ours(self, detector: DetectorSettings, labels: Mapping[str, str]) -> bool:
        if is_over_events(detector) and MESSAGE not in labels:
            return True  # that a time was watched is everybody's to know
        if not allowed(self._scope, labels):
            return False
        if self._share.shards == 1:
            return True
        key = (detector.index, tuple(sorted(labels.items())))
        if key not in self._ours:
            if len(self._ours) > _REMEMBERED:
                self._ours.clear()
            owner = self._owner(detector, labels)
            self._ours[key] = owner == self._share.shard
        return self._ours[key]

    def _owner(self, detector: DetectorSettings, labels: Mapping[str, str]) -> int:
        if is_over_events(detector):
            # Categories are learnt in one place: a shard for each partition that has its own.
            if not self.categorizer.per_partition:
                return 0
            return shard_of(labels.get(detector.partition_field, ""), "", self._share.shards)
        series = place(labels, detector.by, detector.partition_field).key
        return shard_of(series.partition, series.family, self._share.shards)


_REMEMBERED = 500_000  # label sets whose shard is remembered; pods come and go for months


def is_warning(note: Annotation) -> bool:
    """Whether a note says that categorisation has become of no use."""
    return note.text.startswith(f"{_TURNED_TO} warn")


def allowed(scope: Scope, labels: Mapping[str, str]) -> bool:
    """Whether a worker may see a series: the source filters too, but trust is not shared."""
    if scope.target_kind != "Pod" or scope.namespaces is None:
        return True
    return labels.get("namespace", "") in scope.namespaces
