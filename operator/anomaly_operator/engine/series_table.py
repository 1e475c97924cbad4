"""Numbers for label sets: raw series, the parts they belong to, and the entities those make.

The only Python work here is per series and only where a series is new; samples refer to series by
number, so that the rest is arrays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import SeriesKey
from anomaly_operator.engine.identity import place

Ints = NDArray[np.int32]


class SeriesTable:
    """Maps label sets to raw series, parts and entities, numbered in order of first appearance.

    ``part_of[raw]`` and ``entity_of[part]`` lead from fine to coarse; ``keys[entity]`` and
    ``labels[entity]`` name the entity. The newest raw series' labels are the entity's: a pod that
    moved shows the node it is on now.
    """

    def __init__(self, by: str, partition_field: str) -> None:
        self.by = by
        self.partition_field = partition_field
        self.raw_labels: list[Mapping[str, str]] = []
        self.keys: list[SeriesKey] = []
        self.labels: list[Mapping[str, str]] = []
        self.changes = 0  # grows whenever an entity appears or its labels change
        self._raw_ids: dict[frozenset[tuple[str, str]], int] = {}
        self._part_ids: dict[tuple[SeriesKey, tuple[str, ...]], int] = {}
        self._entity_ids: dict[SeriesKey, int] = {}
        self._part_of: list[int] = []
        self._entity_of: list[int] = []
        self._last_series: Sequence[Mapping[str, str]] = ()
        self._last_ids: Ints = np.empty(0, np.int32)

    def ids(self, series: Sequence[Mapping[str, str]]) -> Ints:
        """Raw numbers of label sets; a list that grew at its end costs only what is new."""
        if series is self._last_series:
            return self._last_ids
        shared = min(len(series), len(self._last_series))
        known = 0
        if shared and series[0] is self._last_series[0]:
            last = self._last_series
            known = next((i for i in range(shared) if series[i] is not last[i]), shared)
        new = [self._raw_id(labels) for labels in series[known:]]
        self._last_ids = np.concatenate([self._last_ids[:known], np.asarray(new, np.int32)])
        self._last_series = series
        return self._last_ids

    @property
    def part_of(self) -> Ints:
        """Part of each raw series."""
        return np.asarray(self._part_of, np.int32)

    @property
    def entity_of(self) -> Ints:
        """Entity of each part."""
        return np.asarray(self._entity_of, np.int32)

    def only(self, raw: Iterable[int]) -> SeriesTable:
        """Return a table of these raw series alone, numbered anew in this order."""
        table = SeriesTable(self.by, self.partition_field)
        table.ids([self.raw_labels[number] for number in raw])
        return table

    def dump(self) -> NDArray[np.uint8]:
        """Label sets in the order of their numbers, as JSON bytes."""
        text = json.dumps([dict(labels) for labels in self.raw_labels], separators=(",", ":"))
        return np.frombuffer(text.encode(), np.uint8).copy()

    def load(self, dumped: NDArray[np.uint8]) -> None:
        """Take what ``dump`` gave; numbers are as they were."""
        self.ids(tuple(json.loads(dumped.tobytes())))

    def _raw_id(self, labels: Mapping[str, str]) -> int:
        identity = frozenset(labels.items())
        number = self._raw_ids.get(identity)
        if number is None:
            number = self._raw_ids[identity] = len(self.raw_labels)
            self.raw_labels.append(labels)
            self._part_of.append(self._part_id(labels))
        return number

    def _part_id(self, labels: Mapping[str, str]) -> int:
        found = place(labels, self.by, self.partition_field)
        entity = self._entity_ids.get(found.key)
        if entity is None:
            entity = self._entity_ids[found.key] = len(self.keys)
            self.keys.append(found.key)
            self.labels.append(found.labels)
            self.changes += 1
        elif self.labels[entity] != found.labels:
            self.labels[entity] = found.labels
            self.changes += 1
        part = (found.key, found.part)
        number = self._part_ids.get(part)
        if number is None:
            number = self._part_ids[part] = len(self._entity_of)
            self._entity_of.append(entity)
        return number
