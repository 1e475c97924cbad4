"""Whether the loop turns and whether the worker is ready: what the probes ask.

Written by the loop, read by the HTTP server's threads; single attributes, so no lock.
"""

from __future__ import annotations

_STUCK_AFTER_S = 900.0  # the longest honest turn: a slow source's long read, several times retried


class Health:
    """Latest heartbeat and readiness."""

    def __init__(self) -> None:
        self._beat_s: float | None = None
        self._unready_because = "starting"

    def beat(self, monotonic_s: float) -> None:
        """Say that the loop turned."""
        self._beat_s = monotonic_s

    def ready(self) -> None:
        """Say that models are restored and results are kept."""
        self._unready_because = ""

    def unready(self, because: str) -> None:
        """Say why not."""
        self._unready_because = because

    def liveness(self, monotonic_s: float) -> str:
        """Answer the liveness probe: empty when alive, else what is wrong."""
        if self._beat_s is None or monotonic_s - self._beat_s < _STUCK_AFTER_S:
            return ""
        return f"the loop has not turned for {monotonic_s - self._beat_s:.0f} s"

    def readiness(self) -> str:
        """Answer the readiness probe: empty when ready, else what is wrong."""
        return self._unready_because
