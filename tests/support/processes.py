"""Real servers for tests: on free loopback ports, ready when they say so, gone at the end."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx

Found = TypeVar("Found")

READY_S = 30.0
GONE_S = 10.0


class NotReadyError(RuntimeError):
    """A server did not come up by its deadline, or ended; says what it printed last."""


def free_port() -> int:
    """Find a TCP port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(
    attempt: Callable[[], Found | None], *, what: str, within_s: float = READY_S
) -> Found:
    """Repeat an attempt until it gives something true; fail with ``what`` at the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        found = attempt()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(0.05)


@contextmanager
def server(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready_url: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; it is ready once ``ready_url`` answers 200."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            cwd=cwd,
        )
    try:
        wait_for_url(ready_url, process, log=log)
        yield process
    finally:
        stop(process)


def wait_for_url(url: str, process: subprocess.Popen[bytes], *, log: Path) -> None:
    """Wait until the address answers 200."""
    deadline = time.monotonic() + READY_S
    while True:
        try:
            if httpx.get(url, timeout=2.0).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass  # not listening yet
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            state = "ended" if process.poll() is not None else "is not ready"
            raise NotReadyError(f"{process.args!r} {state}; {url} did not answer:\n{tail}")
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours, by force if it does not heed."""
    process.terminate()
    try:
        process.wait(GONE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(GONE_S)


def unprivileged_user() -> str | None:
    """User to start programs as that refuse root (PostgreSQL); None where we are not root."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam("nobody").pw_name
