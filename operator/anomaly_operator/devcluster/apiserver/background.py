"""Runs the server in a thread of its own, for tests and for programs that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anomaly_operator.devcluster.apiserver.server import ApiServer
from anomaly_operator.devcluster.hanging_up import settle

_START_S = 20.0


@dataclass(frozen=True, slots=True)
class RunningApiServer:
    """A server that answers; ``kubeconfig`` is the admin's."""

    server: ApiServer
    url: str
    kubeconfig: Path
    loop: asyncio.AbstractEventLoop

    def compact(self) -> None:
        """Forget the history of all watches, as etcd's compaction does."""
        done = threading.Event()

        def run() -> None:
            self.server.state.store.compact()
            done.set()

        self.loop.call_soon_threadsafe(run)
        done.wait(_START_S)


@contextmanager
def running_apiserver(
    data_dir: Path, *, port: int = 0, enforce_rbac: bool = True, persist: bool = True
) -> Iterator[RunningApiServer]:
    """Run a server while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(
        target=_run_loop, args=(loop,), name="devcluster-apiserver", daemon=True
    )
    thread.start()
    server = ApiServer(data_dir, port, enforce_rbac=enforce_rbac, persist=persist)
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(_START_S)
        kubeconfig = server.write_kubeconfig(data_dir / "admin.kubeconfig")
        yield RunningApiServer(server, server.url, kubeconfig, loop)
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(_START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_S)
        loop.close()


async def _stop(server: ApiServer) -> None:
    """Stop, and end what the loop would leave half done: a handshake, say."""
    await server.stop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await settle()


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
