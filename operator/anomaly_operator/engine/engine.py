"""The engine: buckets in, conclusions out. Everything the worker needs of the mathematics.

::

    Block per detector -> stretch of buckets -> rows judged and learnt -> scores -> records,
    influencers, bucket results, annotations -> Outcome

Prequential: a bucket is judged and scored before it is learnt. Pure: time is in the blocks.
Deterministic: the same buckets give the same state and results, however they are cut into blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Annotation,
    Block,
    BucketResult,
    Columns,
    Floats,
    InfluencerResult,
    ModelSize,
    Muted,
    Outcome,
    Record,
    Rescore,
    WarmUp,
)
from anomaly_operator.engine.detecting import STRETCH, DetectorModel, Stretch
from anomaly_operator.engine.incomplete import samples_of
from anomaly_operator.engine.influence import Evidence, influencers_of
from anomaly_operator.engine.memory import MemoryLimit
from anomaly_operator.engine.recording import annotations_of, mark_ends, records_of, withheld
from anomaly_operator.engine.rules import windows_active
from anomaly_operator.engine.scoring import WARNING_AT, score_of
from anomaly_operator.engine.snapshotting import dump, load

WARM_BUCKETS = 48.0  # experience a series needs before it may score severely
NOTHING = -400.0


class Engine:
    """The models of one AnomalyDetector (or of one shard of it)."""

    def __init__(self, settings: AnalysisSettings) -> None:
        self.settings = settings
        self.limit = MemoryLimit(settings.model_memory_limit_bytes)
        self.models = {d.index: DetectorModel(d, settings) for d in settings.detectors}
        self.next_index = -1  # bucket index after the newest one seen

    @classmethod
    def restore(
        cls, settings: AnalysisSettings, arrays: Mapping[str, NDArray[np.generic]]
    ) -> Engine:
        """Go on exactly where ``snapshot`` left off. Raises SnapshotRejected."""
        engine = cls(settings)
        load(engine, arrays)
        return engine

    def snapshot(self, *, lent: bool = False) -> dict[str, NDArray[np.generic]]:
        """Everything learnt, as plain arrays.

        Large arrays that are ``lent`` are the models' own, not to be changed, and true only until
        the next ``advance``: for whoever writes them down at once, a copy would be memory wasted.
        """
        return dump(self, lent=lent)

    def update(self, settings: AnalysisSettings) -> None:
        """Take over what may change while running: rules, windows, minimum deviation, limits."""
        self.settings = settings
        self.limit.limit_bytes = settings.model_memory_limit_bytes
        for detector in settings.detectors:
            self.models[detector.index].update(detector)

    def advance(self, blocks: Sequence[Block], *, elsewhere: int = 0) -> Outcome:
        """Judge, score and learn: one block per detector, all of the same buckets.

        The buckets are cut at multiples of STRETCH since the epoch, whatever the blocks.
        ``elsewhere`` is bytes that others hold against the same limit.
        """
        self.limit.elsewhere_bytes = elsewhere
        span = self.settings.span_s
        first = round(blocks[0].start_s / span) if blocks else 0
        buckets = len(blocks[0].values) if blocks else 0
        outs = [_Room(len(block.values), len(block.series.keys)) for block in blocks]
        collected = _Collected()
        begin = 0
        while begin < buckets:
            end = min(begin + STRETCH - (first + begin) % STRETCH, buckets)
            if (first + begin) // STRETCH != (self.next_index - 1) // STRETCH:
                offset_s = blocks[0].start_s - first * span
                self._between_stretches(first + begin, offset_s, collected)
            self._stretch(blocks, outs, begin=begin, end=end, first=first, collected=collected)
            self.next_index = max(self.next_index, first + end)
            begin = end
        self.limit.note(self._held())
        columns = {
            block.detector_index: Columns(
                typical=out.typical,
                lower=out.lower,
                upper=out.upper,
                log_p=out.log_p,
                multi_bucket_impact=out.impact,
                score=out.score,
            )
            for block, out in zip(blocks, outs, strict=True)
        }
        return Outcome(
            buckets=tuple(collected.buckets),
            records=tuple(collected.records),
            influencers=tuple(collected.influencers),
            annotations=tuple(collected.annotations),
            rescores=tuple(collected.rescores),
            muted=tuple(collected.muted),
            columns=columns,
        )

    def judge_only(self, blocks: Sequence[Block]) -> Outcome:
        """What ``advance`` would conclude, with nothing learnt: for the bucket still open."""
        return Engine.restore(self.settings, self.snapshot(lent=True)).advance(blocks)

    def model_size(self) -> ModelSize:
        """What the models weigh, and what the limit did."""
        held = self._held()
        return ModelSize(
            model_bytes=held,
            peak_model_bytes=max(self.limit.peak_bytes, held),
            model_bytes_limit=self.limit.limit_bytes,
            memory_status=self.limit.status(held),
            series=sum(model.table.used() for model in self.models.values()),
            bucket_allocation_failures_count=self.limit.failures,
            pruned_series=self.limit.pruned,
        )

    def warm_up(self, now_s: float) -> WarmUp:
        """Share of series past their cold start, and how long the last of them needs."""
        warm, rows, least = 0, 0, WARM_BUCKETS
        for model in self.models.values():
            has, of, fewest = model.warm_rows(WARM_BUCKETS)
            warm, rows = warm + has, rows + of
            least = min(least, fewest) if of else least
        if not rows:
            return WarmUp(percent=0.0, remaining_s=WARM_BUCKETS * self.settings.span_s)
        behind = max(now_s - self.next_index * self.settings.span_s, 0.0)
        remaining = max(WARM_BUCKETS - least, 0.0) * self.settings.span_s
        return WarmUp(percent=100.0 * warm / rows, remaining_s=max(remaining - behind, 0.0))

    def _held(self) -> int:
        return sum(model.held_bytes() for model in self.models.values())

    def _between_stretches(self, index: int, offset_s: float, collected: _Collected) -> None:
        """What happens at fixed bucket numbers: shared records refreshed, stale rows pruned."""
        held = self._held()
        self.limit.weigh(held)
        share = self.limit.prune_share(held)
        window = share * self.settings.prune_window_s / self.settings.span_s
        for model in self.models.values():
            self.limit.pruned += model.prune(index - window)
            model.refresh_curves()
            collected.annotations += model.late_rollouts(index, offset_s)
            model.tidy_rollouts(index)
            oldest_s = index * self.settings.span_s - self.settings.renormalization_window_s
            model.ranking.refresh(
                partitions=len(model.partitions), span_s=self.settings.span_s, oldest_s=oldest_s
            )
            if self.settings.renormalization_window_s > 0.0:
                collected.rescores += model.ranking.rescores(model.settings.index)

    def _stretch(
        self,
        blocks: Sequence[Block],
        outs: Sequence[_Room],
        *,
        begin: int,
        end: int,
        first: int,
        collected: _Collected,
    ) -> None:
        span = self.settings.span_s
        evidence: list[list[Evidence]] = [[] for _ in range(end - begin)]
        periods: list[dict[str, float]] = [{} for _ in range(end - begin)]
        whole = np.full(end - begin, NOTHING)
        counts = np.zeros(end - begin)
        for block, room in zip(blocks, outs, strict=True):
            model = self.models[block.detector_index]
            values = _plain(block.values[begin:end])
            samples = _plain(samples_of(block, begin, end))
            view = model.view(block.series, self.settings)
            out = room.stretch(begin, end, len(model.partitions))
            mark_ends(out, block, begin=begin)
            elsewhere = self._held() - model.held_bytes()
            model.advance(
                block,
                first=first + begin,
                values=values,
                samples=samples,
                analysis=self.settings,
                limit=self.limit,
                held_elsewhere=elsewhere,
                out=out,
                annotations=collected.annotations,
            )
            model.score(view, values, out)
            at_s = block.start_s + begin * span
            collected.muted += withheld(out, block, start_s=at_s, analysis=self.settings)
            for t, item in records_of(
                out,
                block,
                values,
                view.partition,
                start_s=at_s,
                settings=model.settings,
                correction=model.ranking.correction,
                analysis=self.settings,
            ):
                evidence[t].append(item)
                if self.settings.renormalization_window_s > 0.0:
                    model.ranking.claims.append(item.claim())
            collected.annotations += annotations_of(out, block, start_s=at_s, span_s=span)
            model.ranking.learn(out.bucket_period, out.crowd)
            said = block.counts[begin:end]
            counts += said.sum(axis=1, where=~np.isnan(said))  # nansum would copy them
            period = out.bucket_period
            if len(model.partitions):
                whole = np.maximum(whole, period.max(axis=1))
            for t, k in np.argwhere(period >= WARNING_AT).tolist():
                name = model.partitions[k]
                periods[t][name] = max(periods[t].get(name, NOTHING), float(period[t, k]))
        start_s = blocks[0].start_s + begin * span
        self._conclude(start_s, evidence, periods, whole, counts, collected)

    def _conclude(
        self,
        start_s: float,
        evidence: Sequence[Sequence[Evidence]],
        periods: Sequence[Mapping[str, float]],
        whole: NDArray[np.float64],
        counts: NDArray[np.float64],
        collected: _Collected,
    ) -> None:
        """Bucket results and influencers, bucket by bucket, once all detectors have spoken."""
        span = self.settings.span_s
        starts = start_s + np.arange(len(evidence), dtype=np.float64) * span
        windows = self.settings.windows
        active = windows_active(windows, starts, span) if windows else None
        for t, items in enumerate(evidence):
            time_s = float(starts[t])
            names = (
                tuple(w.name for i, w in enumerate(windows) if active[i, t])
                if active is not None
                else ()
            )
            score = score_of(float(whole[t]))
            collected.buckets.append(
                BucketResult(time_s, span, "", score, score, int(counts[t]), len(items), names)
            )
            for name in sorted(periods[t]):
                if name:
                    score = score_of(periods[t][name])
                    inside = sum(item.record.series.partition == name for item in items)
                    collected.buckets.append(
                        BucketResult(time_s, span, name, score, score, 0, inside, names)
                    )
            if items:
                collected.records += [item.record for item in items]
                collected.influencers += influencers_of(time_s, self.settings.influencers, items)


class _Collected:
    """Conclusions of one call as they come."""

    def __init__(self) -> None:
        self.buckets: list[BucketResult] = []
        self.records: list[Record] = []
        self.influencers: list[InfluencerResult] = []
        self.annotations: list[Annotation] = []
        self.rescores: list[Rescore] = []
        self.muted: list[Muted] = []


class _Room:
    """Output arrays of one block, cut into stretches without copying; NaN and 0 till written."""

    def __init__(self, buckets: int, width: int) -> None:
        shape = (buckets, width)
        self.typical = np.full(shape, np.nan)
        self.lower = np.full(shape, np.nan)
        self.upper = np.full(shape, np.nan)
        self.log_p = np.full(shape, np.nan)
        self.impact = np.full(shape, np.nan)
        self.score = np.full(shape, np.nan)
        self._width = width

    def stretch(self, begin: int, end: int, partitions: int) -> Stretch:
        """Views of the dense answers, and fresh arrays for what is used only within the step."""
        part = slice(begin, end)
        shape = (end - begin, self._width)
        return Stretch(
            typical=self.typical[part],
            lower=self.lower[part],
            upper=self.upper[part],
            log_p=self.log_p[part],
            impact=self.impact[part],
            score=self.score[part],
            surprise=np.zeros(shape),
            single=np.zeros(shape, np.float32),
            multi=np.zeros(shape, np.float32),
            habit=np.zeros(shape, np.float32),
            length=np.zeros(shape, np.float32),
            mute=np.zeros(shape, np.int16),
            notes=np.zeros(shape, np.int16),
            level=np.zeros(shape, np.float32),
            crowd=np.zeros((end - begin, partitions)),
            bucket_period=np.zeros((end - begin, partitions)),
        )


def _plain(array: Floats) -> Floats:
    """As kernels were compiled for: a read-only or strided array would have them compiled anew."""
    return np.require(array, np.float64, ["C", "W"])
