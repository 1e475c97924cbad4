"""Probes: is a container started, alive, ready? HTTP, TCP and exec, with Kubernetes' thresholds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.devcluster.node.processes import Launch, run_once

EAGER_PERIOD_S = 0.5  # until the first success, so that a pod is ready soon after it could be
OUTPUT_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Target:
    """What a probe is pointed at."""

    container: JsonObject
    address: str
    launch: Launch


class ProbeFailed(Exception):
    """The container did not answer as it should; the message says how."""


async def probe_once(probe: JsonObject, target: Target) -> None:
    """Ask once; ProbeFailed says what was wrong."""
    timeout_s = probe.get("timeoutSeconds", 1)
    if "exec" in probe:
        command = probe["exec"]["command"]
        code, output = await run_once(command, target.launch, timeout_s=timeout_s)
        if code is None:
            raise ProbeFailed(f"command timed out: {command} timed out after {timeout_s}s")
        if code != 0:
            raise ProbeFailed(output.strip()[:OUTPUT_SHOWN] or f"command exited with {code}")
        return
    try:
        async with asyncio.timeout(timeout_s):
            if "httpGet" in probe:
                await _http(probe["httpGet"], target)
            else:
                port = _port(probe["tcpSocket"]["port"], target.container)
                host = probe["tcpSocket"].get("host") or target.address
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
    except TimeoutError:
        raise ProbeFailed("context deadline exceeded (Client.Timeout exceeded)") from None
    except (OSError, aiohttp.ClientError) as error:
        raise ProbeFailed(str(error)) from error


async def _http(action: JsonObject, target: Target) -> None:
    port = _port(action["port"], target.container)
    scheme = action.get("scheme", "HTTP").lower()
    host = action.get("host") or target.address
    headers = {each["name"]: each["value"] for each in action.get("httpHeaders") or ()}
    insecure = ssl.create_default_context()
    insecure.check_hostname = False
    insecure.verify_mode = ssl.CERT_NONE
    async with (
        aiohttp.ClientSession(headers={"User-Agent": "kube-probe/1.36", **headers}) as session,
        session.get(
            f"{scheme}://{host}:{port}{action.get('path', '/')}",
            ssl=insecure,
            allow_redirects=False,
        ) as response,
    ):
        if not 200 <= response.status < 400:
            raise ProbeFailed(f"HTTP probe failed with statuscode: {response.status}")


def _port(value: int | str, container: JsonObject) -> int:
    if isinstance(value, int) or value.isdigit():
        return int(value)
    for port in container.get("ports") or ():
        if port.get("name") == value:
            return int(port["containerPort"])
    raise ProbeFailed(f"container {container['name']} has no port named {value!r}")


async def follow(
    probe: JsonObject,
    target: Target,
    *,
    on_success: Callable[[], None],
    on_failure: Callable[[str], Awaitable[None]],
    on_miss: Callable[[str], Awaitable[None]],
) -> None:
    """Probe for ever: tell of successes and failures past their thresholds, and of every miss."""
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    period_s = probe.get("periodSeconds", 10)
    successes = failures = 0
    succeeded = False
    loop = asyncio.get_running_loop()
    counted_at = loop.time()
    while True:
        try:
            await probe_once(probe, target)
        except ProbeFailed as error:
            successes = 0
            # Eager misses between two periods are the same failure.
            if failures == 0 or loop.time() - counted_at >= period_s:
                failures += 1
                counted_at = loop.time()
                if succeeded or failures > 1:
                    await on_miss(str(error))
            if failures >= probe.get("failureThreshold", 3):
                await on_failure(str(error))
        else:
            failures = 0
            successes += 1
            if successes >= probe.get("successThreshold", 1):
                succeeded = True
                on_success()
        await asyncio.sleep(period_s if succeeded else min(period_s, EAGER_PERIOD_S))
