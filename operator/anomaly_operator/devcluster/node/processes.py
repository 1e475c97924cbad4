"""Processes of containers: starting, ending, and what is in use by each with all its children."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Launch:
    """All it takes to start a container's process."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path


async def start(launch: Launch) -> asyncio.subprocess.Process:
    """Start a process as leader of its own session, writing to its log."""
    launch.folder.mkdir(parents=True, exist_ok=True)
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        return await asyncio.create_subprocess_exec(
            *launch.argv,
            env=dict(launch.environment),
            cwd=launch.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


async def run_once(
    argv: Sequence[str], launch: Launch, *, timeout_s: float
) -> tuple[int | None, str]:
    """Run a command where a container runs; exit code (None when it took too long), output."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=dict(launch.environment),
        cwd=launch.folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except TimeoutError:
        return None, ""
    finally:
        signal_session(process.pid, signal.SIGKILL)
        await process.wait()
    return process.returncode, output.decode(errors="replace")


def exit_code(returncode: int) -> int:
    """Exit code as a container runtime tells it: 128 + signal for one that was killed."""
    return returncode if returncode >= 0 else 128 - returncode


def signal_session(leader: int, number: signal.Signals) -> None:
    """Signal a container's process group; nothing happens when it is gone."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What one process has in use, and where it stands."""

    pid: int
    parent: int
    session: int
    rss_bytes: int
    cpu_s: float


def scan() -> list[ProcessUse]:
    """All processes of this machine, in one pass over /proc.

    psutil would read the whole table once for every tree; a node has many trees.
    """
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            text = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has just ended
        # The name may contain spaces and brackets; what follows the last bracket does not.
        fields = text[text.rindex(")") + 2 :].split()
        found.append(
            ProcessUse(
                pid=int(entry.name),
                parent=int(fields[1]),
                session=int(fields[3]),
                rss_bytes=int(fields[21]) * PAGE_BYTES,
                cpu_s=(int(fields[11]) + int(fields[12])) / TICKS,
            )
        )
    return found


def trees(table: Sequence[ProcessUse], leaders: Iterable[int]) -> dict[int, list[ProcessUse]]:
    """Processes of each leader: its session, and children that made sessions of their own."""
    found: dict[int, list[ProcessUse]] = {leader: [] for leader in leaders}
    belongs: dict[int, int] = {}
    parents = {use.pid: use.parent for use in table}
    for use in table:
        leader = use.session if use.session in found else None
        step = use.parent
        while leader is None and step in parents:
            leader = belongs.get(step, step if step in found else None)
            step = parents[step]
        if leader is not None:
            belongs[use.pid] = leader
            found[leader].append(use)
    return found


def socket_inodes(pids: Iterable[int]) -> set[int]:
    """Inodes of the sockets that processes hold open."""
    inodes = set()
    for pid in pids:
        try:
            entries = list(os.scandir(f"/proc/{pid}/fd"))
        except OSError:
            continue
        for entry in entries:
            try:
                target = os.readlink(entry.path)  # noqa: PTH115 - a thousand of them each look
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    return inodes
