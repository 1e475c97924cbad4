"""Events become buckets: how often each category was told in each, zero where it was not.

The counterpart of ``bucketing`` for messages. A bucket that nobody watched is a gap, never zero: a
source says of every stretch that it was watched, by samples without a message. Of a category's
events only their number is kept, and the labels of what they were mostly about.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.bucketing import SampleCounts
from anomaly_operator.engine.categorizing import Categorizer
from anomaly_operator.engine.contract import Block, Floats, SeriesKey, SeriesSet

MESSAGE = "message"
"""Label of a sample's text; a sample without it says that its time was watched."""
CATEGORY, DEFINITION = "category", "category_definition"
WATCHED = SeriesKey("", "")
"""A series of every block that has a value, zero, in the buckets that were watched."""

Labels = Mapping[str, str]
Arrays = Mapping[str, NDArray[np.generic]]
_ABOUT = ("namespace", "workload", "pod", "node")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class EventSettings:
    """How one detector's events become counts."""

    detector_index: int
    span_s: float
    partition_field: str = ""
    retire_s: float = 30 * 86400.0  # a category silent for this long leaves the blocks
    first: bool = True  # of the detectors over events: it alone counts messages for the categories


@dataclass(slots=True)
class _Told:
    """One category of one partition within one bucket."""

    count: float
    about: Counter[tuple[str, ...]]


class EventBuckets:
    """Gathers one detector's events and gives its buckets when they are closed.

    Parameters
    ----------
    settings
        What never changes while the detector lives.
    start_s
        Where the analysis begins.
    categorizer
        Shared by all of a job's detectors over events.
    """

    def __init__(self, settings: EventSettings, start_s: float, categorizer: Categorizer) -> None:
        self.settings = settings
        self.counts = SampleCounts()
        self._categorizer = categorizer
        self._next = int(np.floor(start_s / settings.span_s))
        self._pending: dict[int, dict[tuple[str, int], _Told]] = {}  # by bucket
        self._watched: set[int] = set()
        self._last: dict[tuple[str, int], int] = {}  # newest bucket of a category
        self._about: dict[tuple[str, int], tuple[str, ...]] = {}

    @property
    def next_start_s(self) -> float:
        """Start of the first bucket that is not closed yet."""
        return self._next * self.settings.span_s

    def add(
        self, series: Sequence[Labels], index: NDArray[np.int32], *, time_s: Floats, value: Floats
    ) -> None:
        """Take events: ``series[index[i]]`` was told ``value[i]`` times at ``time_s[i]``."""
        accepted = late = 0
        for at in np.lexsort((index, time_s)).tolist():
            labels, times = series[int(index[at])], float(value[at])
            bucket = int(np.floor(time_s[at] / self.settings.span_s))
            message = labels.get(MESSAGE)
            if bucket < self._next:
                late += message is not None
                continue
            self._watched.add(bucket)
            if message is None:
                continue
            accepted += 1
            self._take(bucket, labels, message, times)
        self.counts = replace(
            self.counts, accepted=self.counts.accepted + accepted, late=self.counts.late + late
        )

    def close(self, complete_until_s: float, max_buckets: int = 2**31) -> Block | None:
        """Buckets that ended by ``complete_until_s``, at most so many; None where none is due."""
        due = int(np.floor(complete_until_s / self.settings.span_s)) - self._next
        if due <= 0:
            return None
        buckets = min(due, max_buckets)
        first, end = self._next, self._next + buckets
        told = {at: self._pending.pop(at) for at in sorted(self._pending) if at < end}
        for at, categories in told.items():
            for key, one in categories.items():
                self._last[key] = at
                self._about[key] = max(sorted(one.about), key=lambda about: one.about[about])
        oldest = first - self.settings.retire_s / self.settings.span_s
        for key in [key for key, at in self._last.items() if at < oldest]:
            del self._last[key], self._about[key]
        keys = sorted(self._last)
        watched = np.array([at in self._watched for at in range(first, end)])
        values = np.where(watched[:, None], np.zeros((buckets, len(keys) + 1)), np.nan)
        for column, (partition, _) in enumerate(keys):
            if self._categorizer.stopped(partition):
                values[:, column] = np.nan
        column_of = {key: column for column, key in enumerate(keys)}
        for at, categories in told.items():
            for key, one in categories.items():
                values[at - first, column_of[key]] = one.count
        self._watched = {at for at in self._watched if at >= end}
        block = Block(
            detector_index=self.settings.detector_index,
            start_s=first * self.settings.span_s,
            series=SeriesSet(
                (*(SeriesKey(name, str(number)) for name, number in keys), WATCHED),
                (*(self._labels(key) for key in keys), {}),
            ),
            values=values,
            counts=np.nan_to_num(values),
        )
        self._next = end
        return block

    def skip_to(self, time_s: float) -> None:
        """Leave out buckets before a time."""
        self._next = max(self._next, int(np.floor(time_s / self.settings.span_s)))

    def _take(self, bucket: int, labels: Labels, message: str, times: float) -> None:
        field = self.settings.partition_field
        partition = labels.get(field, "") if field else ""
        found = self._categorizer.assign(
            partition, message, counts=round(times) if self.settings.first else 0
        )
        if found is None:
            return
        categories = self._pending.setdefault(bucket, {})
        told = categories.setdefault((partition, found.category_id), _Told(0.0, Counter()))
        told.count += times
        told.about[tuple(labels.get(name, "") for name in _ABOUT)] += round(times)

    def _labels(self, key: tuple[str, int]) -> Labels:
        partition, number = key
        labels = dict(zip(_ABOUT, self._about[key], strict=True))
        if self.settings.partition_field:
            labels[self.settings.partition_field] = partition
        labels[CATEGORY] = str(number)
        labels[DEFINITION] = self._categorizer.category(number).template
        return {name: value for name, value in labels.items() if value}

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """State as arrays; the job's categories are stored once, with the first detector."""
        state = {
            "version": _VERSION,
            "next": self._next,
            "counts": [self.counts.accepted, self.counts.late],
            "watched": sorted(self._watched),
            "last": [[*key, at, self._about[key]] for key, at in self._last.items()],
            "pending": [
                [at, *key, one.count, [[*about, n] for about, n in sorted(one.about.items())]]
                for at, categories in sorted(self._pending.items())
                for key, one in sorted(categories.items())
            ],
            "categories": self._categorizer.dump() if self.settings.first else None,
        }
        text = json.dumps(state, separators=(",", ":")).encode()
        return {"events": np.frombuffer(text, np.uint8).copy()}

    @classmethod
    def restore(
        cls, settings: EventSettings, arrays: Arrays, categorizer: Categorizer
    ) -> EventBuckets:
        """Continue from a snapshot. Raises KeyError or ValueError where it does not fit."""
        state: dict[str, Any] = json.loads(np.asarray(arrays["events"], np.uint8).tobytes())
        if state["version"] != _VERSION:
            raise ValueError(
                f"event buckets have version {state['version']}; this worker reads {_VERSION}"
            )
        restored = cls(settings, 0.0, categorizer)
        restored._next = int(state["next"])
        accepted, late = state["counts"]
        restored.counts = SampleCounts(accepted=int(accepted), late=int(late))
        restored._watched = set(state["watched"])
        for partition, number, at, about in state["last"]:
            restored._last[partition, int(number)] = int(at)
            restored._about[partition, int(number)] = tuple(about)
        for at, partition, number, count, abouts in state["pending"]:
            told = _Told(float(count), Counter({tuple(one[:-1]): one[-1] for one in abouts}))
            restored._pending.setdefault(int(at), {})[partition, int(number)] = told
        if settings.first:
            categorizer.load(state["categories"])
        return restored
