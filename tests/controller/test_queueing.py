"""The queue: once at a time, soon, again after errors, and later than that after more."""

from __future__ import annotations

import asyncio

from anomaly_operator.adapters.kube import KubeError
from anomaly_operator.controller.queueing import Queue


class Handled:
    """What was handled, when, and how it should end."""

    def __init__(self, *endings: float | Exception | None) -> None:
        self.keys: list[str] = []
        self.times: list[float] = []
        self.at_once = 0
        self.most_at_once = 0
        self._endings = list(endings)
        self.hold = asyncio.Event()
        self.hold.set()
        self.changed = asyncio.Condition()

    async def __call__(self, key: str) -> float | None:
        """Handle a key as the next ending says."""
        self.keys.append(key)
        self.times.append(asyncio.get_running_loop().time())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self._tell()
        await self.hold.wait()
        self.at_once -= 1
        await self._tell()
        ending = self._endings.pop(0) if self._endings else None
        if isinstance(ending, Exception):
            raise ending
        return ending

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


async def until(handled: Handled, count: int) -> None:
    """Wait until as many keys were handled to their end."""
    async with asyncio.timeout(10), handled.changed:
        await handled.changed.wait_for(lambda: len(handled.keys) >= count and not handled.at_once)


async def begun(handled: Handled) -> None:
    """Wait until a first key is being handled."""
    async with asyncio.timeout(10), handled.changed:
        await handled.changed.wait_for(lambda: handled.keys)


def played(handled: Handled, script: object) -> None:
    """Run a queue beside a script."""

    async def play() -> None:
        queue = Queue(handled, workers=2)
        running = asyncio.create_task(queue.run())
        await script(queue)  # type: ignore[operator]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(play())


def test_a_key_triggered_many_times_is_looked_at_once():
    async def script(queue: Queue) -> None:
        for _ in range(50):
            queue.trigger("a")
        await until(handled, 1)
        await asyncio.sleep(0.2)

    handled = Handled()
    played(handled, script)
    assert handled.keys == ["a"]


def test_a_key_triggered_while_it_is_looked_at_is_looked_at_again_and_never_twice_at_once():
    async def script(queue: Queue) -> None:
        handled.hold.clear()
        queue.trigger("a", after_s=0)
        await begun(handled)
        queue.trigger("a", after_s=0)
        await asyncio.sleep(0.1)
        handled.hold.set()
        await until(handled, 2)

    handled = Handled()
    played(handled, script)
    assert handled.keys == ["a", "a"]
    assert handled.most_at_once == 1


def test_no_more_are_looked_at_than_there_are_workers():
    async def script(queue: Queue) -> None:
        handled.hold.clear()
        for key in "abcde":
            queue.trigger(key, after_s=0)
        await asyncio.sleep(0.2)
        handled.hold.set()
        await until(handled, 5)

    handled = Handled()
    played(handled, script)
    assert sorted(handled.keys) == list("abcde")
    assert handled.most_at_once == 2


def test_a_key_is_looked_at_again_when_its_look_says_so():
    async def script(queue: Queue) -> None:
        queue.trigger("a", after_s=0)
        await until(handled, 2)

    handled = Handled(0.2)
    played(handled, script)
    assert handled.times[1] - handled.times[0] >= 0.2


def test_a_failed_key_backs_off_as_long_as_the_server_asks():
    async def script(queue: Queue) -> None:
        queue.trigger("a", after_s=0)
        await until(handled, 2)

    handled = Handled(KubeError("429", status=429, retry_after_s=1.0))
    played(handled, script)
    assert handled.times[1] - handled.times[0] >= 1.0


def test_a_bug_in_one_look_ends_neither_the_queue_nor_other_keys():
    async def script(queue: Queue) -> None:
        queue.trigger("a", after_s=0)
        queue.trigger("b", after_s=0.1)
        await until(handled, 3)

    handled = Handled(ZeroDivisionError("a bug"))
    played(handled, script)
    assert handled.keys == ["a", "b", "a"]
