"""Planned ends of pods: which buckets of which series they cut short.

A pod that is deleted as planned is drained, frees its memory and stops. What its series say from
then on tells of the deletion and of nothing else. Sources tell of such ends as spans of time; here
they become cells of a block.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import Floats, PlannedEnd
from anomaly_operator.engine.series_table import SeriesTable

Ints = NDArray[np.int32]
Cells = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Consecutive buckets: when the first begins, how long one is, how many there are."""

    start_s: float
    span_s: float
    count: int

    def number(self, time_s: float) -> int:
        """Bucket that a time lies in; below 0 or beyond the last where it lies in none."""
        return int(np.floor((time_s - self.start_s) / self.span_s))


class Endings:
    """Ends that were told of and may still concern buckets that are open.

    Parameters
    ----------
    silence_s
        A series that had been silent for longer than this when its pod's deletion was asked for
        stopped for another reason.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._ends: dict[tuple[str, str], dict[float, float]] = {}  # pod -> from -> until

    def add(self, ends: Iterable[PlannedEnd]) -> None:
        """Take ends; one that is told again may have become longer."""
        for end in ends:
            spans = self._ends.setdefault((end.namespace, end.pod), {})
            spans[end.from_s] = max(end.until_s, spans.get(end.from_s, end.until_s))

    def forget(self, before_s: float) -> None:
        """Drop ends that were over before a time."""
        kept = {
            pod: {begin: end for begin, end in spans.items() if end >= before_s}
            for pod, spans in self._ends.items()
        }
        self._ends = {pod: spans for pod, spans in kept.items() if spans}

    def cells(self, table: SeriesTable, raw: Ints, time_s: Floats, buckets: Buckets) -> Cells:
        """(bucket, entity) where all that was said was said by pods on their planned way out.

        ``raw`` and ``time_s`` are of samples in order of raw series and time.
        """
        if not self._ends or not len(raw):
            return frozenset()
        bucket = np.floor((time_s - buckets.start_s) / buckets.span_s).astype(np.int64)
        ending = np.zeros(len(raw), bool)
        for number, labels in enumerate(table.raw_labels):
            spans = self._ends.get((labels.get("namespace", ""), labels.get("pod", "")))
            if spans:
                own = slice(*np.searchsorted(raw, [number, number + 1]).tolist())
                ending[own] = self._ending(spans, bucket[own], time_s[own], buckets)
        if not ending.any():
            return frozenset()
        inside = (bucket >= 0) & (bucket < buckets.count)
        width = len(table.keys)
        cell = bucket * width + table.entity_of[table.part_of[raw]]
        ended = np.setdiff1d(cell[ending & inside], cell[~ending & inside])
        return frozenset((one // width, one % width) for one in ended.tolist())

    def _ending(
        self,
        spans: dict[float, float],
        bucket: NDArray[np.int64],
        time_s: Floats,
        buckets: Buckets,
    ) -> NDArray[np.bool_]:
        """Which samples of one pod's series lie in buckets that one of its ends touches."""
        found = np.zeros(len(bucket), bool)
        for from_s, until_s in spans.items():
            first = buckets.number(from_s)
            there = time_s[bucket == first]
            if len(there) and there[-1] < from_s - self._silence_s:
                continue
            found |= (bucket >= first) & (bucket <= buckets.number(until_s))
        return found

    def dump(self) -> NDArray[np.uint8]:
        """All ends, as JSON bytes."""
        rows = [
            [namespace, pod, begin, end]
            for (namespace, pod), spans in sorted(self._ends.items())
            for begin, end in sorted(spans.items())
        ]
        return np.frombuffer(json.dumps(rows).encode(), np.uint8).copy()

    def load(self, dumped: NDArray[np.uint8]) -> None:
        """Take what ``dump`` gave."""
        self.add(PlannedEnd(*row) for row in json.loads(dumped.tobytes()))
