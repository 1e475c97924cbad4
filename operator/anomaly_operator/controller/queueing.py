"""Which detectors are to be looked at, and when: each once at a time, soon, and again after errors.

A key that is triggered many times while it waits is looked at once; one that is triggered while it
is being looked at is looked at again. Failures back off, each key by itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from anomaly_operator.errors import AnomalyOperatorError

logger = logging.getLogger(__name__)

_GATHER_S = 0.05  # events come in bursts; one look answers them all
_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 300.0


class Queue:
    """Calls ``handle`` for keys that are due; it returns when to look again, or None."""

    def __init__(self, handle: Callable[[str], Awaitable[float | None]], *, workers: int) -> None:
        self._handle = handle
        self._workers = workers
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Keys that wait, now or for later."""
        return len(self._due)

    def trigger(self, key: str, *, after_s: float = _GATHER_S) -> None:
        """Look at a key after a while, or sooner where that was planned already."""
        due = asyncio.get_running_loop().time() + after_s
        self._due[key] = min(due, self._due.get(key, due))
        self._wake.set()

    async def run(self) -> None:
        """Hand out keys until cancelled; what is under way is then waited for."""
        try:
            while True:
                self._hand_out()
                self._wake.clear()
                await self._until_next()
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=10.0)

    def _hand_out(self) -> None:
        now = asyncio.get_running_loop().time()
        waiting = sorted(self._due, key=self._due.__getitem__)
        for key in waiting:
            if self._due[key] > now or len(self._busy) >= self._workers:
                return
            if key in self._busy:
                continue
            del self._due[key]
            self._busy.add(key)
            task = asyncio.create_task(self._look(key), name=f"reconcile {key}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _until_next(self) -> None:
        now = asyncio.get_running_loop().time()
        free = len(self._busy) < self._workers
        times = [due for key, due in self._due.items() if free and key not in self._busy]
        timeout_s = max(0.0, min(times) - now) if times else None
        try:
            await asyncio.wait_for(self._wake.wait(), timeout=timeout_s)
        except TimeoutError:
            return

    async def _look(self, key: str) -> None:
        try:
            again_s = await self._handle(key)
        except Exception as error:
            if not isinstance(error, AnomalyOperatorError):
                logger.exception("%s: the operator itself is at fault", key)
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            longest = min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(failures, 20))
            # Jitter, so that an API server that comes back is not met by everybody at once.
            pause_s = longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            pause_s = max(pause_s, getattr(error, "retry_after_s", None) or 0.0)
            logger.warning("%s: %s; next try in %.1f s", key, error, pause_s)
            self.trigger(key, after_s=pause_s)
        else:
            self._failures.pop(key, None)
            if again_s is not None:
                self.trigger(key, after_s=again_s)
        finally:
            self._busy.discard(key)
            self._wake.set()
