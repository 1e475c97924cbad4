"""The exception tree, sorted by what the reader must do next.

::

    AnomalyOperatorError
      SpecError            the user must edit the resource  -> Stalled=True, no retry
      SourceUnavailable    wait, we retry                   -> SourceReady=False, back-off
      StoreUnavailable     wait, we retry; nothing is lost  -> logged, journal keeps the data
      SnapshotRejected     we start afresh and say so       -> Warning event

A message names the place, what is wrong with its value, and what would be right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class AnomalyOperatorError(Exception):
    """Root of every error this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a resource: its path, and what would be right."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class SpecError(AnomalyOperatorError):
    """The resource must be edited; carries every problem, not only the first."""

    def __init__(self, problems: Sequence[Problem], *, reason: str = "InvalidSpec") -> None:
        self.problems = tuple(problems)
        self.reason = reason
        super().__init__("; ".join(str(problem) for problem in self.problems))


class SourceUnavailable(AnomalyOperatorError):
    """The metric source did not answer usefully; trying again later is right."""

    def __init__(
        self, message: str, *, reason: str = "SourceUnavailable", retry_after_s: float | None = None
    ) -> None:
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(message)


class StoreUnavailable(AnomalyOperatorError):
    """Results or snapshots could not be written (full disk, refused volume, lost database)."""


class SnapshotRejected(AnomalyOperatorError):
    """A model snapshot cannot be used: torn, foreign, or newer than this worker."""
