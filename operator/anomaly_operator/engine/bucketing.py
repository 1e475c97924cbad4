"""Samples become buckets: from what a source read to the ``Block`` arrays the engine takes.

One ``Bucketing`` stands for one detector. Samples of open buckets are held as columns until their
bucket closes; then they are sorted, so the order in which they arrived is of no account, counters
become rates, and the function is applied. What is carried from bucket to bucket is small: for every
raw series the last sample seen.

What becomes of a sample that does not fit is counted, never raised: late (its bucket had closed),
repeated (same series and time), invalid (NaN, infinite, a negative counter), ahead (further in the
future than clocks differ).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.aggregating import FUNCTIONS, finite, group_starts, sizes
from anomaly_operator.engine.contract import Block, Floats, PlannedEnd, SeriesSet
from anomaly_operator.engine.endings import Buckets, Cells, Endings
from anomaly_operator.engine.rates import rates
from anomaly_operator.engine.series_table import SeriesTable

Arrays = Mapping[str, NDArray[np.generic]]
Labels = Mapping[str, str]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class BucketingSettings:
    """How one detector's samples become values.

    ``function`` is bare (mean, max, min, sum, median), without the side it looks at.
    """

    detector_index: int
    function: str
    span_s: float
    by: str
    partition_field: str = ""
    counter: bool = False
    staleness_s: float = 300.0  # longest time between two samples of a counter that gives a rate
    retire_s: float = 7200.0  # a series without samples for this long leaves the blocks
    ahead_s: float = 7200.0  # samples this far beyond the complete time are a wrong clock's


@dataclass(frozen=True, slots=True)
class SampleCounts:
    """What became of all samples so far."""

    accepted: int = 0
    late: int = 0
    repeated: int = 0
    invalid: int = 0
    ahead: int = 0
    resets: int = 0  # of counters; their samples are accepted
    stale: int = 0  # counters' samples without a rate, as the one before was too long ago


class Bucketing:
    """Gathers one detector's samples and gives its buckets when they are closed.

    Parameters
    ----------
    settings
        What never changes while the detector lives.
    start_s
        Where the analysis begins; the first bucket is the one that holds this time. Earlier samples
        only serve counters, as the sample before the first.
    """

    def __init__(self, settings: BucketingSettings, start_s: float) -> None:
        self.settings = settings
        self.counts = SampleCounts()
        self._next = int(np.floor(start_s / settings.span_s))  # first bucket not closed yet
        self._closed_any = False
        self._table = SeriesTable(settings.by, settings.partition_field)
        self._last_time_s = np.empty(0)  # by raw series
        self._last_value = np.empty(0)
        self._last_bucket = np.empty(0, np.int64)  # by entity
        self._pending: list[tuple[Ints, Floats, Floats]] = []
        self._order = np.empty(0, np.int64)  # entities in the block, by position
        self._set = SeriesSet((), ())
        self._changes = 0
        self._endings = Endings(settings.staleness_s)

    @property
    def next_start_s(self) -> float:
        """Start of the first bucket that is not closed yet."""
        return self._next * self.settings.span_s

    def add(
        self,
        series: Sequence[Labels],
        index: Ints,
        *,
        time_s: Floats,
        value: Floats,
    ) -> None:
        """Take samples in any order: ``series[index[i]]`` had ``value[i]`` at ``time_s[i]``."""
        raw = self._table.ids(series)[index] if len(index) else np.empty(0, np.int32)
        self._grow()
        good = np.isfinite(value) & np.isfinite(time_s)
        if self.settings.counter:
            good &= value >= 0
        invalid = len(good) - int(np.count_nonzero(good))
        if invalid:
            raw, time_s, value = raw[good], time_s[good], value[good]
        early = time_s < self.next_start_s
        late = repeated = 0
        if np.any(early) and (self._closed_any or not self.settings.counter):
            again = early & (time_s == self._last_time_s[raw])
            repeated = int(np.count_nonzero(again))
            late = int(np.count_nonzero(early)) - repeated if self._closed_any else 0
            raw, time_s, value = raw[~early], time_s[~early], value[~early]
        self._count(invalid=invalid, late=late, repeated=repeated)
        if len(raw):
            self._pending.append((raw, time_s.astype(float), value.astype(float)))

    def end(self, ends: Iterable[PlannedEnd]) -> None:
        """Say that pods ended as planned, or are about to; told with the buckets it concerns."""
        self._endings.add(ends)

    def close(self, complete_until_s: float, max_buckets: int = 2**31) -> Block | None:
        """Buckets that ended by ``complete_until_s`` (now less the query delay), at most so many.

        Returns None where no bucket is due. Buckets without any sample are there, with NaN.
        """
        span_s = self.settings.span_s
        due = int(np.floor(complete_until_s / span_s)) - self._next
        if due <= 0:
            return None
        buckets = min(due, max_buckets)
        limit = self._next + buckets
        raw, time_s, value = self._take(limit * span_s, complete_until_s)
        if self.settings.counter:
            value = self._rates(raw, time_s, value)
        self._remember(raw, time_s)
        place = Buckets(self.next_start_s, span_s, buckets)
        ended = self._endings.cells(self._table, raw, time_s, place)
        parts, bucket, value = self._located(raw, time_s, value)
        tables = self._aggregated(parts, bucket, value=value, buckets=buckets)
        block = self._block(*tables, ended)
        self._next, self._closed_any = limit, True
        self._endings.forget(self.next_start_s)
        return block

    def skip_to(self, time_s: float) -> None:
        """Leave out buckets before a time: nothing is known of them, and nothing will be."""
        self._next = max(self._next, int(np.floor(time_s / self.settings.span_s)))

    def _grow(self) -> None:
        """Make room for series that have just appeared."""
        new = len(self._table.raw_labels) - len(self._last_time_s)
        if new > 0:
            self._last_time_s = np.concatenate([self._last_time_s, np.full(new, np.nan)])
            self._last_value = np.concatenate([self._last_value, np.full(new, np.nan)])
        new = len(self._table.keys) - len(self._last_bucket)
        if new > 0:
            unseen = np.full(new, np.iinfo(np.int64).min)
            self._last_bucket = np.concatenate([self._last_bucket, unseen])

    def _count(self, **more: int) -> None:
        self.counts = replace(
            self.counts, **{name: getattr(self.counts, name) + n for name, n in more.items() if n}
        )

    def _take(self, before_s: float, complete_until_s: float) -> tuple[Ints, Floats, Floats]:
        """Pending samples before a time, in order of raw series and time, each time once."""
        if not self._pending:
            return np.empty(0, np.int32), np.empty(0), np.empty(0)
        raw, time_s, value = (np.concatenate(column) for column in zip(*self._pending, strict=True))
        self._pending = []
        rest = time_s >= before_s
        if np.any(rest):
            ahead = time_s > complete_until_s + self.settings.ahead_s
            self._count(ahead=int(np.count_nonzero(ahead)))
            kept = rest & ~ahead
            if np.any(kept):
                self._pending.append((raw[kept], time_s[kept], value[kept]))
            raw, time_s, value = raw[~rest], time_s[~rest], value[~rest]
        raw, time_s, value = in_order(raw, time_s, value)
        # Of samples with one series and time the largest stays: the same whatever came first.
        last = np.ones(len(raw), bool)
        last[:-1] = (raw[1:] != raw[:-1]) | (time_s[1:] != time_s[:-1])
        self._count(repeated=int(np.count_nonzero(~last)), accepted=int(np.count_nonzero(last)))
        return raw[last], time_s[last], value[last]

    def _rates(self, raw: Ints, time_s: Floats, value: Floats) -> Floats:
        """Turn counters into rates, and keep each series' last count for the next time."""
        found = rates(
            raw,
            time_s,
            value,
            last_time_s=self._last_time_s,
            last_value=self._last_value,
            staleness_s=self.settings.staleness_s,
        )
        self._count(resets=found.resets, stale=found.stale)
        self._last_value[raw] = value  # in order of time, so the last one stays
        return found.value

    def _remember(self, raw: Ints, time_s: Floats) -> None:
        self._last_time_s[raw] = time_s

    def _located(
        self, raw: Ints, time_s: Floats, value: Floats
    ) -> tuple[Ints, NDArray[np.int64], Floats]:
        """Part and bucket of each sample; what has no rate or came before the start is left out."""
        bucket = np.floor(time_s / self.settings.span_s).astype(np.int64) - self._next
        said = ~np.isnan(value) & (bucket >= 0)
        if not np.all(said):
            raw, bucket, value = raw[said], bucket[said], value[said]
        return self._table.part_of[raw], bucket, finite(value)

    def _aggregated(
        self, parts: Ints, bucket: NDArray[np.int64], *, value: Floats, buckets: int
    ) -> tuple[Floats, Floats, Floats | None]:
        """Values, counts and parts (T, entities): the function over each part, parts added up."""
        entity_of = self._table.entity_of
        values = np.full((buckets, len(self._table.keys)), np.nan)
        counts = np.zeros_like(values)
        if not len(parts):
            return values, counts, None
        key = parts.astype(np.int64) * buckets + bucket
        if np.any(key[1:] < key[:-1]):
            order = np.argsort(key, kind="stable")
            key, value = key[order], value[order]
        starts = group_starts(key)
        result = FUNCTIONS[self.settings.function](value, starts)
        rows, entities = key[starts] % buckets, entity_of[key[starts] // buckets]
        samples = sizes(starts, len(key))
        np.maximum.at(self._last_bucket, entities, rows + self._next)
        if len(entity_of) == len(self._table.keys):  # each entity is one part
            values[rows, entities], counts[rows, entities] = result, samples
            return values, counts, None
        values[rows, entities] = 0.0
        with np.errstate(over="ignore"):
            np.add.at(values, (rows, entities), result)
        np.add.at(counts, (rows, entities), samples)
        spoke = np.zeros_like(counts)
        np.add.at(spoke, (rows, entities), 1.0)
        return finite(values), counts, spoke

    def _block(self, values: Floats, counts: Floats, parts: Floats | None, ended: Cells) -> Block:
        """Choose the series to tell of, and keep the set where it has not changed."""
        buckets = len(values)
        silent_from = self._next + buckets - self.settings.retire_s / self.settings.span_s
        active = self._last_bucket >= min(silent_from, self._next)
        gone = int(np.count_nonzero(~active[self._order]))
        if self._changes != self._table.changes or self._returned(active) or gone > self._spare():
            kept = self._order[active[self._order]]
            new = np.setdiff1d(np.flatnonzero(active), kept)
            self._order = np.concatenate([kept, new]).astype(np.int64)
            self._renew_set()
        chosen = self._order
        block = Block(
            detector_index=self.settings.detector_index,
            start_s=self.next_start_s,
            series=self._set,
            values=np.ascontiguousarray(values[:, chosen]),
            counts=np.ascontiguousarray(counts[:, chosen]),
            ended=self._positions(ended),
            parts=None if parts is None else np.ascontiguousarray(parts[:, chosen]),
        )
        if len(active) > 2 * len(chosen) + 1024:
            self._forget(active)
        return block

    def _positions(self, ended: Cells) -> Cells:
        """Cells by position in the block instead of by entity."""
        if not ended:
            return ended
        position = {entity: at for at, entity in enumerate(self._order.tolist())}
        return frozenset((bucket, position[entity]) for bucket, entity in ended)

    def _renew_set(self) -> None:
        """Make the set follow the order; it stays the same object where nothing differs."""
        keys = tuple(self._table.keys[entity] for entity in self._order)
        labels = tuple(self._table.labels[entity] for entity in self._order)
        if keys != self._set.keys or labels != self._set.labels:
            self._set = SeriesSet(keys, labels)
        self._changes = self._table.changes

    def _returned(self, active: NDArray[np.bool_]) -> bool:
        """Whether a series speaks again that had left the set, or was told of but never spoke."""
        inside = np.zeros(len(active), bool)
        inside[self._order] = True
        return bool(np.any(active & ~inside))

    def _spare(self) -> float:
        """Silent series that may stay in the set: a rebuild for each pod that goes costs more."""
        return max(16.0, 0.1 * len(self._order))

    def _forget(self, active: NDArray[np.bool_]) -> None:
        """Drop what is known of entities that are long gone, so that churn does not fill memory."""
        table = self._table
        pending = np.zeros(len(table.raw_labels), bool)
        for raw, _, _ in self._pending:
            pending[raw] = True
        kept = np.flatnonzero(active[table.entity_of[table.part_of]] | pending)
        number = np.full(len(table.raw_labels), -1, np.int32)
        number[kept] = np.arange(len(kept))
        self._table = table.only(kept.tolist())
        entity_ids = {key: entity for entity, key in enumerate(self._table.keys)}
        old = {key: entity for entity, key in enumerate(table.keys)}
        last = [int(self._last_bucket[old[key]]) for key in self._table.keys]
        self._last_bucket = np.asarray(last, np.int64)
        self._last_time_s, self._last_value = self._last_time_s[kept], self._last_value[kept]
        self._pending = [(number[raw], time_s, value) for raw, time_s, value in self._pending]
        in_set = [entity_ids[key] for key in self._set.keys if key in entity_ids]
        self._order = np.asarray(in_set, np.int64)
        self._changes = -1  # numbers changed; the set is renewed, and compared, with the next block

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """State as arrays; ``restore`` continues exactly where this one stood."""
        raw, time_s, value = (
            (np.concatenate(column) for column in zip(*self._pending, strict=True))
            if self._pending
            else (np.empty(0, np.int32), np.empty(0), np.empty(0))
        )
        return {
            "version": np.asarray([_VERSION], np.int64),
            "next": np.asarray([self._next, int(self._closed_any)], np.int64),
            "labels": self._table.dump(),
            "last_time_s": self._last_time_s.copy(),
            "last_value": self._last_value.copy(),
            "last_bucket": self._last_bucket.copy(),
            "order": self._order.copy(),
            "current": np.asarray([int(self._changes == self._table.changes)], np.int64),
            "ends": self._endings.dump(),
            "pending_raw": raw,
            "pending_time_s": time_s,
            "pending_value": value,
            "counts": np.asarray(
                [getattr(self.counts, field.name) for field in fields(SampleCounts)], np.int64
            ),
        }

    @classmethod
    def restore(cls, settings: BucketingSettings, arrays: Arrays) -> Bucketing:
        """Continue from a snapshot. Raises ValueError where it is of another version."""
        version = int(arrays["version"][0])
        if version != _VERSION:
            raise ValueError(f"bucketing state has version {version}; this worker reads {_VERSION}")
        bucketing = cls(settings, 0.0)
        following, closed_any = arrays["next"].tolist()
        bucketing._next, bucketing._closed_any = int(following), bool(closed_any)
        bucketing._table.load(arrays["labels"].astype(np.uint8))
        bucketing._last_time_s = arrays["last_time_s"].astype(float)
        bucketing._last_value = arrays["last_value"].astype(float)
        bucketing._last_bucket = arrays["last_bucket"].astype(np.int64)
        bucketing._order = arrays["order"].astype(np.int64)
        bucketing._renew_set()
        if "ends" in arrays:  # snapshots from before there were any have none
            bucketing._endings.load(arrays["ends"].astype(np.uint8))
        if not arrays["current"][0]:
            bucketing._changes = -1
        if len(arrays["pending_raw"]):
            bucketing._pending.append(
                (
                    arrays["pending_raw"].astype(np.int32),
                    arrays["pending_time_s"].astype(float),
                    arrays["pending_value"].astype(float),
                )
            )
        bucketing.counts = SampleCounts(*(int(n) for n in arrays["counts"].tolist()))
        return bucketing


def in_order(raw: Ints, time_s: Floats, value: Floats) -> tuple[Ints, Floats, Floats]:
    """Sort by raw series, then time, then value; cheap where little or nothing is to be done."""
    if not _is_sorted(raw, time_s):
        # Tables come in order of time, all series side by side: one stable pass by series does it.
        # Small numbers sort by radix, ten times as fast.
        small = raw.astype(np.uint16) if len(raw) and raw.max() < 2**16 else raw
        order = np.argsort(small, kind="stable")
        raw, time_s, value = raw[order], time_s[order], value[order]
    if not _is_sorted(raw, time_s) or np.any((raw[1:] == raw[:-1]) & (time_s[1:] == time_s[:-1])):
        order = np.lexsort((value, time_s, raw))
        raw, time_s, value = raw[order], time_s[order], value[order]
    return raw, time_s, value


def _is_sorted(raw: Ints, time_s: Floats) -> bool:
    later = (raw[1:] > raw[:-1]) | ((raw[1:] == raw[:-1]) & (time_s[1:] >= time_s[:-1]))
    return bool(np.all(later))


_VERSION = 1
