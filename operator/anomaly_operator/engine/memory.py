"""The model memory limit on real bytes: ok, soft (prune sooner), hard (no new series)."""

from __future__ import annotations

from dataclasses import dataclass

SOFT_SHARE = 0.6
KEY_BYTES = 650  # a key, its strings, and its places in the table's dict and lists, as measured
LEAST_ROWS = 64
GROWTH = 1.125  # room is made an eighth at a time: little is held that is not used


@dataclass(slots=True)
class MemoryLimit:
    """What is held, what may be, and what had to be refused."""

    limit_bytes: int
    peak_bytes: int = 0
    failures: int = 0
    pruned: int = 0
    refusing: bool = False

    def note(self, held_bytes: int) -> None:
        """Remember the largest size seen; recover from refusing once well below the limit."""
        self.peak_bytes = max(self.peak_bytes, held_bytes)
        if held_bytes < 0.95 * self.limit_bytes:
            self.refusing = False

    def admits(self, held_bytes: int, more_bytes: int) -> bool:
        """Whether ``more_bytes`` fit; a refusal is counted and remembered."""
        if held_bytes + more_bytes <= self.limit_bytes:
            return True
        self.failures += 1
        self.refusing = True
        return False

    def status(self, held_bytes: int) -> str:
        """Elastic's three words."""
        if self.refusing:
            return "hard_limit"
        return "soft_limit" if held_bytes > SOFT_SHARE * self.limit_bytes else "ok"

    def prune_share(self, held_bytes: int) -> float:
        """Share of the prune window that is granted: 1, falling to 1/16 as the limit comes near."""
        used = held_bytes / self.limit_bytes
        if used <= SOFT_SHARE:
            return 1.0
        return max(1.0 - (used - SOFT_SHARE) / (1.0 - SOFT_SHARE), 1.0 / 16.0)


def roomy(rows: int) -> int:
    """Rows to make room for when ``rows`` are needed."""
    return max(LEAST_ROWS, int(rows * GROWTH) + 1)
