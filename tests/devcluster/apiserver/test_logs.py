"""Logs: fetched from the kubelet at the address in the pod's node, and streamed as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from anomaly_operator.devcluster.apiserver.background import RunningApiServer
from anomaly_operator.devcluster.apiserver.node_proxy import SCHEME_ANNOTATION

FOLLOWING = web.AppKey("following", asyncio.Event)
RELEASED = web.AppKey("released", asyncio.Event)
PODS = "/api/v1/namespaces/default/pods"


async def _log(request: web.Request) -> web.StreamResponse:
    """Answer as a kubelet does: the path and the options, line by line."""
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    for line in (request.path, request.query_string):
        await response.write(f"{line}\n".encode())
    if "follow" in request.query:
        request.app[FOLLOWING].set()
        await request.app[RELEASED].wait()
        await response.write(b"more\n")
    return response


@pytest.fixture(scope="module")
def kubelet(apiserver: RunningApiServer, api: httpx.Client) -> Iterator[web.Application]:
    """Run a kubelet's log endpoint on the server's loop, and a node that names it."""
    application = web.Application()
    application[FOLLOWING], application[RELEASED] = asyncio.Event(), asyncio.Event()
    application.router.add_get("/containerLogs/{tail:.*}", _log)
    runner = web.AppRunner(application)

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return int(runner.addresses[0][1])

    port = asyncio.run_coroutine_threadsafe(start(), apiserver.loop).result(10)
    node = {
        "metadata": {"name": "n1", "annotations": {SCHEME_ANNOTATION: "http"}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }
    assert api.post("/api/v1/nodes", json=node).status_code == 201
    containers = [{"name": "one", "image": "i"}, {"name": "two", "image": "i"}]
    for name, names in (("single", containers[:1]), ("double", containers)):
        spec = {"nodeName": "n1", "containers": names}
        made = api.post(PODS, json={"metadata": {"name": name}, "spec": spec})
        assert made.status_code == 201
    yield application
    asyncio.run_coroutine_threadsafe(runner.cleanup(), apiserver.loop).result(10)


def test_a_log_comes_from_the_pods_node(api: httpx.Client, kubelet: web.Application) -> None:
    del kubelet
    answer = api.get(f"{PODS}/single/log", params={"tailLines": "5", "limitBytes": "9"})
    assert answer.text.splitlines() == [
        "/containerLogs/default/single/one",
        "tailLines=5&limitBytes=9",
    ]


def test_one_of_several_containers_must_be_named(
    api: httpx.Client, kubelet: web.Application
) -> None:
    del kubelet
    refused = api.get(f"{PODS}/double/log")
    assert refused.status_code == 400
    assert refused.json()["message"] == (
        "a container name must be specified for pod double, choose one of: [one two]"
    )
    answer = api.get(f"{PODS}/double/log", params={"container": "two"})
    assert answer.text.startswith("/containerLogs/default/double/two")


def test_a_followed_log_arrives_while_it_is_written(
    api: httpx.Client, apiserver: RunningApiServer, kubelet: web.Application
) -> None:
    with api.stream("GET", f"{PODS}/single/log", params={"follow": "true"}) as response:
        lines = response.iter_lines()
        assert next(lines) == "/containerLogs/default/single/one"
        assert next(lines) == "follow=true"
        apiserver.loop.call_soon_threadsafe(kubelet[RELEASED].set)
        assert next(lines) == "more"


def test_a_node_that_does_not_answer_is_named(api: httpx.Client, kubelet: web.Application) -> None:
    del kubelet
    node = {
        "metadata": {"name": "dead"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
        },
    }
    api.post("/api/v1/nodes", json=node)
    spec = {"nodeName": "dead", "containers": [{"name": "one", "image": "i"}]}
    api.post(PODS, json={"metadata": {"name": "lost"}, "spec": spec})
    answer = api.get(f"{PODS}/lost/log")
    assert answer.status_code == 500
    assert 'Get "https://127.0.0.1:1/containerLogs/default/lost/one' in answer.json()["message"]


def test_kubelets_are_shown_a_client_certificate(apiserver: RunningApiServer) -> None:
    folder = Path(apiserver.server.authority.certificate).parent
    assert (folder / "kubelet-client.crt").exists()
    assert oct((folder / "kubelet-client.key").stat().st_mode)[-3:] == "600"
