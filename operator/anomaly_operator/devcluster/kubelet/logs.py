"""``/containerLogs``: what a container has written, from where and for as long as is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from anomaly_operator.devcluster.node.pods import PodRun

POLL_S = 0.2
CHUNK_BYTES = 1 << 16


def find_log(run: PodRun, container: str, *, previous: bool) -> Path:
    """File of a container's current or previous start."""
    if container not in run.containers:
        raise web.HTTPNotFound(text=f'container "{container}" not found in pod')
    restart = run.containers[container].state.restart_count - (1 if previous else 0)
    path = run.paths.log(container, restart)
    if not path.exists() and not previous and restart > 0:
        path = run.paths.log(container, restart - 1)  # it is about to be started again
    if not path.exists():
        raise web.HTTPBadRequest(text=f'container "{container}" has no log of this start')
    return path


def tail_offset(path: Path, lines: int) -> int:
    """Where the last ``lines`` lines of a file begin."""
    data = path.read_bytes()
    if lines <= 0:
        return len(data)
    position = len(data)
    if data.endswith(b"\n"):
        position -= 1
    for _ in range(lines):
        position = data.rfind(b"\n", 0, position)
        if position < 0:
            return 0
    return position + 1


async def stream_log(request: web.Request, run: PodRun, *, container: str) -> web.StreamResponse:
    """Answer with the log, and with what is added to it while the reader follows."""
    query = request.query
    path = find_log(run, container, previous=query.get("previous") in {"true", "1"})
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    left = int(query.get("limitBytes") or 0) or float("inf")
    with path.open("rb") as file:
        if query.get("tailLines"):
            file.seek(tail_offset(path, int(query["tailLines"])))
        while left > 0:
            is_running = run.containers[container].leader is not None and not run.ended.is_set()
            data = file.read(int(min(CHUNK_BYTES, left)))
            if data:
                left -= len(data)
                await response.write(data)
            elif query.get("follow") in {"true", "1"} and is_running:
                await asyncio.sleep(POLL_S)
            else:
                break
    await response.write_eof()
    return response
