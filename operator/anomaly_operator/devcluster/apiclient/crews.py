"""Tasks that run for ever beside a body of code, and end with it.

An asyncio.TaskGroup would wrap the body's own exceptions in groups and wait for tasks that have no
end of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol

logger = logging.getLogger(__name__)


class TaskStarter(Protocol):
    """Starts tasks: a crew or an asyncio.TaskGroup."""

    def create_task(self, coroutine: Coroutine[Any, Any, None], /) -> asyncio.Task[None]:
        """Run a coroutine in the background."""


class Crew:
    """Background tasks; a failure is logged at once and raised when the crew is dismissed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def create_task(self, coroutine: Coroutine[Any, Any, None], /) -> asyncio.Task[None]:
        """Run a coroutine in the background."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
            logger.error("a background task failed", exc_info=task.exception())

    async def dismiss(self) -> None:
        """Cancel all tasks and wait for them."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def raise_failure(self) -> None:
        """Raise what made a task fail, if one did."""
        if self._failure is not None:
            raise self._failure


@contextlib.asynccontextmanager
async def running_crew() -> AsyncIterator[Crew]:
    """Crew that is dismissed at the end of the context."""
    crew = Crew()
    try:
        yield crew
    finally:
        await crew.dismiss()
    crew.raise_failure()
