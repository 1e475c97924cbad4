"""The model memory limit on real bytes: ok, soft (prune sooner), hard (no new series)."""

from __future__ import annotations

from dataclasses import dataclass

SOFT_SHARE = 0.6
# As measured; what else a model holds is arrays, which know their size.
KEY_BYTES = 650  # a key, its strings, and its places in the table's dict and lists
CLAIM_BYTES = 150  # a past record kept for rescoring
FAMILY_BYTES = 160  # a workload whose rollout is under way
PARTITION_BYTES = 140  # a partition's name, its numbers and its place in a dict
LEAST_ROWS = 64
GROWTH = 1.125  # room is made an eighth at a time: little is held that is not used


@dataclass(slots=True)
class MemoryLimit:
    """What is held, what may be, and what had to be refused.

    A round is one call of the engine. A series without a model asks again in every round in which
    it has a value, so a round without a refusal is what tells that room was found for it.
    """

    limit_bytes: int
    elsewhere_bytes: int = 0  # held by others against the same limit
    peak_bytes: int = 0
    failures: int = 0  # rounds in which a series had no room
    pruned: int = 0
    refusing: bool = False
    _refused: bool = False  # in this round
    _wanted_bytes: int = 0  # what was refused last
    _pruned_then: int = 0  # series that had been pruned by then

    def weigh(self, held_bytes: int) -> None:
        """Remember the largest size seen: where something was admitted, and now and then."""
        self.peak_bytes = max(self.peak_bytes, held_bytes)

    def note(self, held_bytes: int) -> None:
        """End a round; refusing ends with one that refused nothing and in which there is room.

        Room is made in steps of an eighth, so a refusal may come well below the limit: the size
        alone does not tell that those who were refused have a model by now. Without room somebody
        who is away for a bucket would be refused again when he is back.
        """
        has_room = held_bytes + self._wanted_bytes <= self.limit_bytes - self.elsewhere_bytes
        if not self._refused and (has_room or self.pruned > self._pruned_then):
            self.refusing = False
        self._refused = False

    def admits(self, held_bytes: int, more_bytes: int) -> bool:
        """Whether ``more_bytes`` fit; a refusal is remembered, and counted once a round."""
        if held_bytes + more_bytes <= self.limit_bytes - self.elsewhere_bytes:
            return True
        self.failures += not self._refused
        self.refusing = self._refused = True
        self._wanted_bytes, self._pruned_then = more_bytes, self.pruned
        return False

    def status(self, held_bytes: int) -> str:
        """Elastic's three words."""
        if self.refusing:
            return "hard_limit"
        return "soft_limit" if self._used(held_bytes) > SOFT_SHARE else "ok"

    def prune_share(self, held_bytes: int) -> float:
        """Share of the prune window that is granted: 1, falling to 1/16 as the limit comes near."""
        used = self._used(held_bytes)
        if used <= SOFT_SHARE:
            return 1.0
        return max(1.0 - (used - SOFT_SHARE) / (1.0 - SOFT_SHARE), 1.0 / 16.0)

    def _used(self, held_bytes: int) -> float:
        return (held_bytes + self.elsewhere_bytes) / self.limit_bytes


def roomy(rows: int) -> int:
    """Rows to make room for when ``rows`` are needed."""
    return max(LEAST_ROWS, int(rows * GROWTH) + 1)
