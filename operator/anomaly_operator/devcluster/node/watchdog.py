"""Ends every process of a cluster once the process that runs the cluster is gone, however it went.

Started as a program of its own with a pipe as its standard input; the pipe closes when the last
writer dies, by kill -9 too. Processes are found by a mark in their environment, which children
inherit, so no list has to be kept and none that was just being started is missed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 50  # a process that is starting while we look is found in a later round
PAUSE_S = 0.1


def start_watchdog(mark: str, value: str) -> subprocess.Popen[bytes]:
    """Start it; closing the pipe (or dying) makes it end everything marked, then itself."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and file
        [sys.executable, "-S", "-E", __file__, mark, value],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal must not reach it
    )


def marked(mark: str, value: str) -> list[int]:
    """Processes that carry the mark, this one excluded."""
    wanted = f"{mark}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue  # gone, or somebody else's
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def end_marked(mark: str, value: str) -> None:
    """Kill until a look finds nothing."""
    for _ in range(ROUNDS):
        found = marked(mark, value)
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(PAUSE_S)


def main() -> None:
    """Wait for the end of standard input, then end what is marked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mark, value = sys.argv[1:3]
    while sys.stdin.buffer.read(1):
        continue
    end_marked(mark, value)


if __name__ == "__main__":
    main()
