"""Lasting rows for members that come and go: replica slots.

A member (pod) that replaces another of its family (workload) takes over its row, with the level
open to be learnt anew; one more member than before gets a copy of what the family taught; a
member that returns after its row was given away is treated as one more. All of it looks only at
buckets up to the one at hand, so that history read in blocks and live buckets one by one give the
same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import SeriesKey

Family = tuple[str, str]


@dataclass(slots=True)
class SlotTable:
    """Who holds which row of one detector's state."""

    holders: list[SeriesKey | None] = field(default_factory=list)
    rows: dict[SeriesKey, int] = field(default_factory=dict)
    families: dict[Family, list[int]] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    version: int = 0  # grows with every change, so that cached look-ups know they are old

    def family_rows(self, key: SeriesKey) -> list[int]:
        """Rows of the workload ``key`` belongs to, in the order they were made."""
        return self.families.get((key.partition, key.family), [])

    def hold(self, key: SeriesKey) -> int:
        """A fresh row for ``key``; rows that were released are used first."""
        if self.free:
            row = self.free.pop()
            self.holders[row] = key
        else:
            row = len(self.holders)
            self.holders.append(key)
        self.rows[key] = row
        self.families.setdefault((key.partition, key.family), []).append(row)
        self.version += 1
        return row

    def hand_over(self, row: int, key: SeriesKey) -> SeriesKey | None:
        """Give ``row`` to ``key``; answers who held it."""
        before = self.holders[row]
        if before is not None and self.rows.get(before) == row:
            del self.rows[before]
        self.holders[row] = key
        self.rows[key] = row
        self.version += 1
        return before

    def release(self, row: int) -> None:
        """Forget who held ``row``; it may be used again."""
        key = self.holders[row]
        if key is None:
            return
        self.holders[row] = None
        if self.rows.get(key) == row:
            del self.rows[key]
        family = self.families[key.partition, key.family]
        family.remove(row)
        if not family:
            del self.families[key.partition, key.family]
        self.free.append(row)
        self.version += 1

    def used(self) -> int:
        """Rows in use."""
        return len(self.holders) - len(self.free)

    def look_up(self, keys: Iterable[SeriesKey]) -> NDArray[np.int64]:
        """(S,) rows of ``keys``; -1 where a key has none."""
        get = self.rows.get
        return np.array([get(key, -1) for key in keys], dtype=np.int64)

    def dump(self) -> dict[str, Any]:
        """Plain lists, for a snapshot."""
        return {
            "rows": len(self.holders),
            "free": list(self.free),
            "held": [[r, k.partition, k.family, k.member] for r, k in enumerate(self.holders) if k],
            "families": [[p, f, rows] for (p, f), rows in self.families.items()],
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> SlotTable:
        """Inverse of ``dump``."""
        table = cls(holders=[None] * int(dumped["rows"]))
        table.free = [int(row) for row in dumped["free"]]
        for row, partition, family, member in dumped["held"]:
            key = SeriesKey(partition, family, member)
            table.holders[row] = key
            table.rows[key] = row
        for partition, family, rows in dumped["families"]:
            table.families[partition, family] = list(rows)
        return table
