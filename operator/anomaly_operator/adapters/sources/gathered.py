"""Values gathered between two reads, in columns: 20 bytes each, however many pods there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.adapters.sources.stats_summary import Entry, Kind
from anomaly_operator.engine.contract import Floats

MANY = 200_000  # things known of, most of them gone, before the gone are forgotten


@dataclass(frozen=True, slots=True)
class Columns:
    """``things[index[i]]`` had ``value[i]`` at ``time_s[i]``."""

    things: Sequence[Entry]
    index: NDArray[np.int32]
    time_s: Floats
    value: Floats


class Gathered:
    """New values of the kinds that somebody reads, until they are read or too old."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._things: dict[Kind, list[Entry]] = {}
        self._numbers: dict[Kind, dict[tuple[str, ...], int]] = {}
        self._newest_s: dict[Kind, list[float]] = {}
        self._rounds: dict[Kind, list[tuple[float, NDArray[np.int32], Floats, Floats]]] = {}
        self._arrived_s: dict[Kind, list[float]] = {}  # of each round, as read() reckons time

    def want(self, kind: Kind) -> bool:
        """Gather a kind from now on; True where it is new."""
        if kind in self._things:
            return False
        self._things[kind], self._numbers[kind] = [], {}
        self._newest_s[kind], self._rounds[kind], self._arrived_s[kind] = [], [], []
        return True

    def add(self, found: Iterable[Entry], now_s: float, *, arrived_s: float) -> None:
        """Take one round; a value that was served before is left out."""
        rows: dict[Kind, list[tuple[int, float, float]]] = {kind: [] for kind in self._things}
        for entry in found:
            kind = entry.kind
            if kind not in rows:
                continue
            numbers, newest_s = self._numbers[kind], self._newest_s[kind]
            number = numbers.setdefault(entry.identity, len(numbers))
            if number == len(newest_s):
                newest_s.append(-np.inf)
                self._things[kind].append(entry)
            if newest_s[number] != entry.time_s:
                newest_s[number] = entry.time_s
                rows[kind].append((number, entry.time_s, entry.value))
        for kind, some in rows.items():
            table = np.array(some, np.float64).reshape(-1, 3)
            index = table[:, 0].astype(np.int32)
            self._rounds[kind].append((now_s, index, table[:, 1], table[:, 2]))
            self._arrived_s[kind].append(max([arrived_s, *self._arrived_s[kind][-1:]]))
            self._trim(kind, now_s)

    def between(self, kind: Kind, start_s: float, end_s: float) -> Columns:
        """Values that came in during [start, end), however long before they were taken.

        A kubelet serves a value up to 19 s after it was taken. Whoever reads again and again, each
        time from where the last read ended, would miss most of them by their own times.
        """
        arrived_s = self._arrived_s.get(kind, [])
        rounds = [
            one
            for one, at_s in zip(self._rounds.get(kind, []), arrived_s, strict=True)
            if start_s <= at_s < end_s
        ]
        index = np.concatenate([one[1] for one in rounds] or [np.empty(0, np.int32)])
        time_s = np.concatenate([one[2] for one in rounds] or [np.empty(0)])
        value = np.concatenate([one[3] for one in rounds] or [np.empty(0)])
        return Columns(tuple(self._things.get(kind, ())), index, time_s, value)

    def has(self, kind: Kind) -> bool:
        """Whether anything of a kind was seen lately."""
        return any(len(one[1]) for one in self._rounds.get(kind, ()))

    def _trim(self, kind: Kind, now_s: float) -> None:
        rounds = self._rounds[kind]
        old = sum(1 for one in rounds if one[0] < now_s - self._kept_s)
        del rounds[:old], self._arrived_s[kind][:old]
        if len(self._things[kind]) > MANY:
            self._forget(kind)

    def _forget(self, kind: Kind) -> None:
        """Number anew what the rounds at hand speak of, and forget the rest."""
        rounds = self._rounds[kind]
        kept = np.unique(np.concatenate([one[1] for one in rounds]))
        number = np.full(len(self._things[kind]), -1, np.int32)
        number[kept] = np.arange(len(kept))
        self._rounds[kind] = [(at, number[i], time_s, value) for at, i, time_s, value in rounds]
        self._things[kind] = [self._things[kind][old] for old in kept.tolist()]
        self._newest_s[kind] = [self._newest_s[kind][old] for old in kept.tolist()]
        self._numbers[kind] = {one.identity: n for n, one in enumerate(self._things[kind])}
