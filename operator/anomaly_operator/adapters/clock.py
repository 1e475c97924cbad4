"""The machine's clock behind the worker's Clock port, with the stop signal as its alarm.

Waiting and being told to stop belong together: a worker that sleeps until the next bucket must wake
for SIGTERM at once, or it would spend its grace period asleep.
"""

from __future__ import annotations

import threading
import time


class SystemClock:
    """Wall and monotonic time; ``stop`` ends every wait from then on."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def now_s(self) -> float:
        """Epoch seconds."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Sleep; False at once when told to stop."""
        return not self._stopped.wait(max(0.0, seconds))

    def stop(self) -> None:
        """End every wait. From a thread only: a signal handler could hold the event's own lock."""
        self._stopped.set()
