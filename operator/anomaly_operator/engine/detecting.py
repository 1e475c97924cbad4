"""One detector: its rows, who holds them, and a step through a stretch of buckets.

Called by the engine with buckets cut at fixed places (multiples of STRETCH since the epoch), so
that what is shared between rows, the record of surprises, changes at the same buckets however
a caller cuts its blocks.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.announcing import rollout_of
from anomaly_operator.engine.changes import reopen
from anomaly_operator.engine.clock_changes import clock_changes
from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Annotation,
    Block,
    DetectorSettings,
    Floats,
    SeriesKey,
    SeriesSet,
    Side,
)
from anomaly_operator.engine.incomplete import explained_side
from anomaly_operator.engine.judging import advance_rows
from anomaly_operator.engine.layout import (
    COUNT,
    DAY_S,
    MAX_DAILY_SLOTS,
    MAX_WEEKLY_SLOTS,
    OCTAVES,
    SEEN,
    SPREAD_LOW,
    SPREAD_UP,
    VIEWS,
    WEEK_S,
    RowState,
    slots_of,
)
from anomaly_operator.engine.memory import (
    CLAIM_BYTES,
    FAMILY_BYTES,
    KEY_BYTES,
    PARTITION_BYTES,
    MemoryLimit,
    roomy,
)
from anomaly_operator.engine.records import curve_of, halve_when_full
from anomaly_operator.engine.renormalising import Ranking
from anomaly_operator.engine.rules import rule_arrays, window_arrays, windows_active
from anomaly_operator.engine.scoring import score_rows
from anomaly_operator.engine.sharing import members_of, numbered
from anomaly_operator.engine.slots import SlotTable

STRETCH = 64  # buckets between refreshes of what rows share; also bounds temporary memory
TAKEOVER_WIDEN = 4.0  # spreads a new pod's level may lie off its predecessor's
STALE_S = 86400.0  # after which what the other pods have learnt is better than an idle row ...
STALE_LEAST = 24.0  # ... but not before as many buckets
COPY_COUNT = 200.0  # buckets' worth of experience a copy is given at most
ACCEPT_S = 4 * 3600.0  # a lasting change is accepted after this long ...
ACCEPT_LEAST = 24.0  # ... but not before as many buckets ...
ACCEPT_MOST = 96.0  # ... nor much after as many
_SIDES = {Side.HIGH: 1, Side.LOW: -1, Side.BOTH: 0}
_RESTARTING = ("memory", "rss", "working_set")


@dataclass(slots=True, eq=False)
class SetView:
    """What is known of one set of series; made once, refreshed when rows change hands."""

    version: int
    rows: NDArray[np.int64]  # (S,)
    column_of: dict[int, int]  # row -> column
    partition: NDArray[np.int64]  # (S,)
    family: NDArray[np.int64]  # (S,) number of the workload
    rules: tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]]
    windows: tuple[NDArray[np.bool_], NDArray[np.int64]]
    settings: int  # generation of rules and windows these arrays are of


@dataclass(slots=True)
class Stretch:
    """Everything one stretch of buckets gave, (T, S) unless said otherwise."""

    typical: Floats
    lower: Floats
    upper: Floats
    log_p: Floats
    surprise: Floats  # -ln p by all views but the place, for the common evidence
    impact: Floats
    score: Floats
    single: NDArray[np.float32]
    multi: NDArray[np.float32]
    habit: NDArray[np.float32]
    length: NDArray[np.float32]
    mute: NDArray[np.int16]
    notes: NDArray[np.int16]
    level: NDArray[np.float32]  # only where notes tell of a shift
    crowd: Floats  # (T, P)
    bucket_period: Floats  # (T, P)


class DetectorModel:
    """The models of all series of one detector."""

    def __init__(self, settings: DetectorSettings, analysis: AnalysisSettings) -> None:
        self.settings = settings
        self.generation = 0
        self._span_s = analysis.span_s
        self._daily = slots_of(DAY_S, analysis.span_s, MAX_DAILY_SLOTS)
        self._weekly = slots_of(WEEK_S, analysis.span_s, MAX_WEEKLY_SLOTS) if self._daily else 0
        self.state = RowState.empty(0, self._daily, self._weekly)
        self.table = SlotTable()
        self.partitions: list[str] = []
        self._partition_index: dict[str, int] = {}
        self.joint = np.zeros((0, 3))
        self.records = np.zeros((VIEWS, OCTAVES), np.int64)
        self.curves = np.stack([curve_of(record) for record in self.records])
        self.ranking = Ranking()
        self.rollouts: dict[tuple[str, str], int] = {}
        self.arrivals: dict[tuple[str, str], tuple[int, str]] = {}
        self.settled = 0  # of both, when last tidied
        self._views: WeakKeyDictionary[SeriesSet, SetView] = WeakKeyDictionary()
        self._few_side = explained_side(settings.function)
        self._restarts = any(word in settings.metric.lower() for word in _RESTARTING)
        buckets = ACCEPT_S / analysis.span_s
        self._accept = min(max(buckets, ACCEPT_LEAST), ACCEPT_MOST)

    def update(self, settings: DetectorSettings) -> None:
        """Take over live settings: rules and minimum deviation; windows by generation."""
        self.settings = settings
        self.generation += 1

    def held_bytes(self) -> int:
        """Bytes of arrays, of the table of keys, and of what is remembered beside them.

        Past records and rollouts count from when their number was last settled, at a fixed bucket:
        what is admitted and what was the peak must not hang on how a caller cuts its blocks.
        """
        arrays = (*self.state.arrays(), self.joint, self.records, self.curves)
        held = sum(int(array.nbytes) for array in arrays) + self.ranking.array_bytes()
        held += KEY_BYTES * self.table.used() + PARTITION_BYTES * len(self.partitions)
        return held + CLAIM_BYTES * self.ranking.settled + FAMILY_BYTES * self.settled

    def refresh_curves(self) -> None:
        """Take over what all rows' surprises say of a claim."""
        halve_when_full(self.records)
        self.curves = np.stack([curve_of(record) for record in self.records])

    def tidy_rollouts(self, bucket: int) -> None:
        """Forget rollouts so long ago that another pod of theirs would begin a new one."""
        again = _rollout_buckets(self._span_s)
        self.rollouts = {k: last for k, last in self.rollouts.items() if bucket - last < again}
        self.settled = len(self.rollouts) + len(self.arrivals)

    def late_rollouts(self, bucket: int, offset_s: float) -> list[Annotation]:
        """Rollouts in which new pods came before old ones went: known once these are gone.

        A pod that came while its workload's were all there is one more, or the first of a rollout:
        the latter when another was seen last about then.
        """
        again = _rollout_buckets(self._span_s)
        found: list[Annotation] = []
        for family, (came, member) in list(self.arrivals.items()):
            if bucket - came <= again:
                continue
            del self.arrivals[family]
            seen = {row: self.state.core[row, SEEN] for row in self.table.families.get(family, ())}
            gone = [
                r for r, last in seen.items() if came - 1 <= last < min(came + again, bucket - 1)
            ]
            before = self.table.holders[max(gone, key=lambda r: (seen[r], -r))] if gone else None
            if before is not None and before.member != member:
                key = SeriesKey(*family, member)
                found += self._rollout(key, before.member, came, offset_s)
        return found

    def prune(self, oldest: float) -> int:
        """Forget rows not seen since bucket ``oldest``; answers how many."""
        used = len(self.table.holders)
        stale = np.flatnonzero(self.state.core[:used, SEEN] < oldest)
        pruned = 0
        for row in stale.tolist():
            if self.table.holders[row] is not None:
                self.table.release(row)
                self.state.clear(row)
                pruned += 1
        return pruned

    def partition_code(self, partition: str) -> int:
        """Index of a partition, made when first seen."""
        code = self._partition_index.get(partition)
        if code is None:
            code = len(self.partitions)
            self.partitions.append(partition)
            self._partition_index[partition] = code
            self.joint = np.concatenate([self.joint, np.zeros((1, 3))])
        return code

    def view(self, series: SeriesSet, analysis: AnalysisSettings) -> SetView:
        """Rows, partitions and rules of a set; cheap while nothing changed hands."""
        view = self._views.get(series)
        if view is None:
            codes = [self.partition_code(key.partition) for key in series.keys]
            view = SetView(
                version=-1,
                rows=np.empty(0, np.int64),
                column_of={},
                partition=np.array(codes, dtype=np.int64),
                family=numbered((key.partition, key.family) for key in series.keys),
                rules=rule_arrays(self.settings.rules, series),
                windows=window_arrays(analysis.windows, series),
                settings=self.generation,
            )
            self._views[series] = view
        if view.version != self.table.version:
            view.rows = self.table.look_up(series.keys)
            view.column_of = {row: col for col, row in enumerate(view.rows.tolist()) if row >= 0}
            view.version = self.table.version
        if view.settings != self.generation:
            view.rules = rule_arrays(self.settings.rules, series)
            view.windows = window_arrays(analysis.windows, series)
            view.settings = self.generation
        return view

    def advance(
        self,
        block: Block,
        *,
        first: int,
        values: Floats,
        samples: Floats,
        analysis: AnalysisSettings,
        limit: MemoryLimit,
        held_elsewhere: int,
        out: Stretch,
        annotations: list[Annotation],
    ) -> None:
        """Judge and learn ``values`` (T, S) of so many ``samples``, bucket ``first`` and on."""
        view = self.view(block.series, analysis)
        index = round(block.start_s / self._span_s)  # of the block's first bucket
        offset_s = block.start_s - index * self._span_s
        arrivals = self._arrivals(view, values, 0)
        if block.ended:
            shift = first - index
            arrivals = [
                one
                for begin, column in arrivals
                for one in self._comes(block, values, column, begin=begin, shift=shift)
            ]
            heapq.heapify(arrivals)
        begin = 0
        while arrivals:
            now = arrivals[0][0]
            self._run(view, first, values, samples, begin, now, analysis, out, offset_s)
            begin = now
            while arrivals and arrivals[0][0] == now:
                column = heapq.heappop(arrivals)[1]
                lost = self._admit(
                    block,
                    view,
                    column,
                    first + now,
                    first - index + now,
                    limit,
                    held_elsewhere,
                    annotations,
                )
                if lost >= 0:
                    for one in self._comes(block, values, lost, begin=now + 1, shift=first - index):
                        heapq.heappush(arrivals, one)
            limit.weigh(self.held_bytes() + held_elsewhere)
        self._run(view, first, values, samples, begin, len(values), analysis, out, offset_s)

    def _arrivals(self, view: SetView, values: Floats, start: int) -> list[tuple[int, int]]:
        """Heap of (bucket, column) at which series without a row first have a value."""
        missing = np.flatnonzero(view.rows < 0)
        if not len(missing):
            return []
        there = np.isfinite(values[start:, missing])
        some = there.any(axis=0)
        firsts = there.argmax(axis=0)[some] + start
        heap = list(zip(firsts.tolist(), missing[some].tolist(), strict=True))
        heapq.heapify(heap)
        return heap

    def _run(
        self,
        view: SetView,
        first: int,
        values: Floats,
        samples: Floats,
        begin: int,
        end: int,
        analysis: AnalysisSettings,
        out: Stretch,
        block_offset_s: float,
    ) -> None:
        if begin == end:
            return
        settings = self.settings
        part = slice(begin, end)
        steps = np.arange(first + begin, first + end, dtype=np.float64)
        starts = steps * self._span_s + block_offset_s
        active = np.zeros((len(analysis.windows), end - begin), dtype=bool)
        if analysis.windows:
            active = windows_active(analysis.windows, starts, self._span_s)
        state = self.state
        advance_rows(
            state.core,
            state.daily,
            state.daily_spread,
            state.weekly,
            view.rows,
            values[part],
            members_of(view.family, values[part], shared=not self._restarts),
            samples[part],
            self._few_side,
            first + begin,
            self._span_s,
            block_offset_s,
            _SIDES[settings.side],
            settings.non_negative,
            settings.resolution,
            self._restarts,
            self._accept,
            clock_changes(starts, self._span_s),
            self.records,
            self.curves,
            *view.rules,
            view.windows[0],
            active,
            view.windows[1],
            out.typical[part],
            out.lower[part],
            out.upper[part],
            out.log_p[part],
            out.surprise[part],
            out.impact[part],
            out.single[part],
            out.multi[part],
            out.habit[part],
            out.length[part],
            out.mute[part],
            out.notes[part],
            out.level[part],
        )

    def _admit(
        self,
        block: Block,
        view: SetView,
        column: int,
        bucket: int,
        at: int,
        limit: MemoryLimit,
        held_elsewhere: int,
        annotations: list[Annotation],
    ) -> int:
        """Find or make a row for a series without; answers the column that lost its, or -1.

        ``at`` is where ``bucket`` stands in the block.
        """
        key = block.series.keys[column]
        family = self.table.family_rows(key)
        lost = -1
        idle = [r for r in family if not self._is_present(view, block, r, at)]
        if key.member and idle:
            row = max(idle, key=lambda r: (self.state.core[r, SEEN], -r))
            stale = bucket - self.state.core[row, SEEN] > max(STALE_S / self._span_s, STALE_LEAST)
            stale = stale and len(idle) < len(family)
            before = self.table.hand_over(row, key)
            lost = view.column_of.get(row, -1)
            if lost >= 0:
                view.rows[lost] = -1
            if stale:
                self._copy(max(set(family) - set(idle), key=self._experience), row)
                self.arrivals.setdefault((key.partition, key.family), (bucket, key.member))
            self._open(row)
            if before is not None and not stale:
                offset_s = block.start_s - round(block.start_s / self._span_s) * self._span_s
                annotations += self._rollout(key, before.member, bucket, offset_s)
        else:
            if key.member and family:
                self.arrivals.setdefault((key.partition, key.family), (bucket, key.member))
            row = self._new_row(block, column, family, limit, held_elsewhere)
            if row < 0:
                return -1
        view.rows[column] = row
        view.column_of[row] = column
        view.version = self.table.version
        return lost

    def _is_present(self, view: SetView, block: Block, row: int, at: int) -> bool:
        """Whether a row's holder is there; on its planned way out it counts as gone."""
        column = view.column_of.get(row, -1)
        if column < 0 or not np.isfinite(block.values[at, column]):
            return False
        return (at, column) not in block.ended

    def _comes(
        self, block: Block, values: Floats, column: int, *, begin: int, shift: int
    ) -> list[tuple[int, int]]:
        """(bucket, column) where a series first speaks from ``begin`` on, if it does.

        On its planned way out a pod takes no row: its own may have been given away by then.
        ``shift`` is where ``values`` begin in the block.
        """
        for t in np.flatnonzero(np.isfinite(values[begin:, column])).tolist():
            if (shift + begin + t, column) not in block.ended:
                return [(begin + t, column)]
        return []

    def _open(self, row: int) -> None:
        """Let a row's level be learnt anew."""
        core = self.state.core[row]
        if core[SEEN] >= 0.0:
            reopen(core, TAKEOVER_WIDEN * max(core[SPREAD_UP], core[SPREAD_LOW]))

    def _new_row(
        self,
        block: Block,
        column: int,
        family: list[int],
        limit: MemoryLimit,
        held_elsewhere: int,
    ) -> int:
        key = block.series.keys[column]
        if not self.table.free and len(self.table.holders) == len(self.state.core):
            wanted = roomy(len(self.table.holders) + 1)
            more = (wanted - len(self.state.core)) * (self.state.row_bytes() + KEY_BYTES)
            held = self.held_bytes() + held_elsewhere
            if not limit.admits(held, more):
                return -1
            self.state.grow(wanted)
        source = max(family, key=self._experience) if family else -1
        row = self.table.hold(key)
        if source >= 0:
            self._copy(source, row)
            self._open(row)
        return row

    def _experience(self, row: int) -> tuple[float, int]:
        return float(self.state.core[row, COUNT]), -row

    def _copy(self, source: int, row: int) -> None:
        """Give a row what another has learnt, with no more than a copy's experience."""
        self.state.copy_row(source, row)
        core = self.state.core[row]
        core[COUNT] = min(core[COUNT], COPY_COUNT)

    def _rollout(
        self, key: SeriesKey, before: str, bucket: int, offset_s: float
    ) -> list[Annotation]:
        """One annotation a family and rollout, not one a pod."""
        family = (key.partition, key.family)
        last = self.rollouts.get(family, -(10**12))
        self.rollouts[family] = bucket
        if bucket - last < _rollout_buckets(self._span_s):
            return []
        start_s = bucket * self._span_s + offset_s
        return [rollout_of(key, before, start_s, self._span_s, self.settings.index)]

    def score(self, view: SetView, values: Floats, out: Stretch) -> None:
        """Fill scores and bucket periods; learns the partitions' common evidence."""
        score_rows(
            values,
            out.typical,
            out.log_p,
            out.surprise,
            view.partition,
            self._span_s,
            self.settings.min_deviation_absolute,
            self.settings.min_deviation_relative,
            self.ranking.correction,
            out.mute,
            self.joint,
            out.score,
            out.crowd,
            out.bucket_period,
        )

    def warm_rows(self, buckets: float) -> tuple[int, int, float]:
        """Rows with at least ``buckets`` of experience, rows in all, and the least experience."""
        used = [r for r, holder in enumerate(self.table.holders) if holder is not None]
        if not used:
            return 0, 0, 0.0
        counts = self.state.core[used, COUNT]
        return int((counts >= buckets).sum()), len(used), float(counts.min())


def _rollout_buckets(span_s: float) -> float:
    """Buckets after which one more pod that takes over is another rollout."""
    return max(3600.0 / span_s, 3.0)
