"""Answers of one read become columns, and label sets one object each, however often they come.

Parsed JSON is ten times the size of what is told. So nothing of an answer is kept but its numbers
and the label sets not seen before: a backfill of 100 000 series reads a few hundred answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from anomaly_operator.adapters.sources.prometheus_answers import Answer
from anomaly_operator.engine.contract import Floats
from anomaly_operator.ports import Coverage, SampleKind, Samples

Labels = Mapping[str, str]
Key = tuple[tuple[str, str], ...]

READS = 64  # after which label sets that none of them had are forgotten


class LabelSets:
    """One object per label set, so that what keeps labels keeps them once, read after read."""

    def __init__(self) -> None:
        self._lately: dict[Key, Labels] = {}
        self._before: dict[Key, Labels] = {}
        self._reads = 0

    def shared(self, labels: Labels) -> Labels:
        """Give the label set equal to this one that was seen first."""
        key = key_of(labels)
        found = self._lately.get(key)
        if found is None:
            found = self._lately[key] = self._before.pop(key, labels)
        return found

    def end_read(self) -> None:
        """Count a read; pods come and go for months."""
        self._reads += 1
        if self._reads % READS == 0:
            self._lately, self._before = {}, self._lately


class Joining:
    """What the answers of one read have said so far."""

    def __init__(self) -> None:
        self.seen: list[Labels] = []  # as the server has them, each once
        self._numbers: dict[Key, int] = {}
        self._index: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []
        self._time_s: list[Floats] = []
        self._value: list[Floats] = []
        self._problems: dict[Coverage, None] = {}

    def add(self, answer: Answer) -> None:
        """Take an answer's samples; it may be forgotten then."""
        self._problems.update(dict.fromkeys(answer.problems))
        if not answer.rows:
            return
        numbers = [self._number(row.labels) for row in answer.rows]
        lengths = [len(row.time_s) for row in answer.rows]
        self._index.append(np.repeat(np.asarray(numbers, np.int32), lengths))
        self._time_s.append(np.concatenate([row.time_s for row in answer.rows]))
        self._value.append(np.concatenate([row.value for row in answer.rows]))

    def samples(
        self,
        name: Callable[[Labels], Labels | None],
        kind: SampleKind,
        *,
        step_s: float,
        shared: LabelSets,
    ) -> Samples:
        """All of it under our labels, equal ones as one series; out of scope where there are none.

        A sample's time is its step's start.
        """
        positions: dict[int, int] = {}  # of a label set, by the object that is shared
        series: list[Labels] = []
        place = np.full(len(self.seen), -1, np.int32)
        for number, theirs in enumerate(self.seen):
            named = name(theirs)
            if named is None:
                continue
            ours = shared.shared(named)
            place[number] = positions.setdefault(id(ours), len(series))
            if place[number] == len(series):
                series.append(ours)
        shared.end_read()
        index, time_s, value = self._columns()
        index = place[index]
        if np.any(place < 0):
            inside = index >= 0
            index, time_s, value = index[inside], time_s[inside], value[inside]
        time_s -= step_s
        return Samples(
            kind=kind,
            series=tuple(series),
            index=index,
            time_s=time_s,
            value=value,
            problems=tuple(self._problems),
        )

    def _columns(self) -> tuple[np.ndarray[tuple[int], np.dtype[np.int32]], Floats, Floats]:
        """Join the columns one after the other; the pieces are let go of."""
        if not self._index:
            return np.empty(0, np.int32), np.empty(0), np.empty(0)
        index = np.concatenate(self._index)
        self._index.clear()
        time_s = np.concatenate(self._time_s)
        self._time_s.clear()
        value = np.concatenate(self._value)
        self._value.clear()
        return index, time_s, value

    def _number(self, labels: Labels) -> int:
        number = self._numbers.setdefault(key_of(labels), len(self.seen))
        if number == len(self.seen):
            self.seen.append(labels)
        return number


def key_of(labels: Labels) -> Key:
    """Give what two equal label sets have in common, in whatever order they are told."""
    return tuple(sorted(labels.items()))
