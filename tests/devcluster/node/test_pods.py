"""Pods bound to a stand-in node run as processes, and their status tells the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anomaly_operator.devcluster.apiclient.resources import (
    CONFIG_MAPS,
    EVENTS,
    PODS,
)
from anomaly_operator.devcluster.cluster import Workloads, running_workloads
from tests.support import devclusters
from tests.support.devclusters import await_pod, container_status, pod, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SERVE = "import http.server,os;http.server.ThreadingHTTPServer((os.environ['POD_IP'],8080),"
SERVER = SERVE + "http.server.SimpleHTTPRequestHandler).serve_forever()"
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


async def told(cluster: Workloads, name: str, *wanted: str) -> None:
    """Wait for Events about a pod: they are written beside its status, not before."""

    async def look() -> bool:
        events = await cluster.client.list(EVENTS, "default")
        found = {e["reason"] for e in events["items"] if e["involvedObject"]["name"] == name}
        return set(wanted) <= found

    await until(f"events about {name}: {wanted}", look)


def is_running(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


async def test_a_pods_life(tmp_path: Path) -> None:
    """Started with its files and variables, ready by its probe, refreshed, restarted, ended."""
    async with devclusters.running_cluster(tmp_path) as cluster:
        client = cluster.client
        settings = {"name": "settings", "namespace": "default"}
        await client.create(
            CONFIG_MAPS,
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": settings, "data": {"a": "1"}},
        )
        mount = {"name": "settings", "mountPath": "/etc/settings"}
        await client.create(
            PODS,
            pod(
                "web",
                "python3",
                "-c",
                "open('/var/out/seen','w').write(open('/etc/settings/a').read());" + SERVER,
                container={
                    "env": [POD_IP],
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
                    "volumeMounts": [mount, {"name": "out", "mountPath": "/var/out"}],
                },
                volumes=[
                    {"name": "settings", "configMap": {"name": "settings"}},
                    {"name": "out", "emptyDir": {}},
                ],
            ),
        )
        ready = await await_pod(client, "web", devclusters.is_ready)
        assert ready["spec"]["nodeName"] == "node-1"
        assert ready["status"]["podIP"].startswith("127.")
        run = next(iter(cluster.nodes["node-1"].pods.values()))
        seen = run.paths.volume("out") / "seen"
        assert seen.read_text() == "1"

        await client.patch(CONFIG_MAPS, "default", "settings", patch={"data": {"a": "2"}})
        shown = run.paths.root("main") / "etc/settings/a"

        async def refreshed() -> bool:
            return shown.read_text() == "2"

        await until("the mounted ConfigMap shows the change", refreshed, deadline_s=5)

        leader = run.containers["main"].leader
        assert leader is not None
        assert is_running(leader)
        await client.delete(PODS, "default", "web")

        async def gone() -> bool:
            return await client.find(PODS, "default", "web") is None

        await until("the pod is gone", gone)
        assert not is_running(leader)

        async def swept() -> bool:
            return not run.paths.folder.exists()

        await until("the pod's folder is gone, too", swept)
        await told(cluster, "web", "Scheduled", "Pulled", "Created", "Started", "Killing")


async def test_ends_of_containers(tmp_path: Path) -> None:
    """Exit codes, restarts with back-off, memory limits and init containers."""
    async with devclusters.running_cluster(tmp_path) as cluster:
        client = cluster.client
        done = pod("done", "sh", "-c", "echo bye; exit 0", restartPolicy="Never")
        failed = pod("failed", "sh", "-c", "exit 7", restartPolicy="Never")
        crashing = pod("crashing", "sh", "-c", "exit 3")
        eater = pod(
            "eater",
            "python3",
            "-c",
            "import time; held = bytearray(b'x') * (300 * 2**20); time.sleep(600)",
            container={"resources": {"limits": {"memory": "64Mi"}}},
        )
        prepared = pod(
            "prepared",
            "sh",
            "-c",
            "test -f /work/made && sleep 600",
            container={"volumeMounts": [{"name": "work", "mountPath": "/work"}]},
            volumes=[{"name": "work", "emptyDir": {}}],
            initContainers=[
                {
                    "name": "make",
                    "image": "test:1",
                    "command": ["sh", "-c", "echo made > /work/made"],
                    "volumeMounts": [{"name": "work", "mountPath": "/work"}],
                }
            ],
        )
        lost = pod("lost", container={"command": [], "image": "registry/unknown:1"})
        for each in (done, failed, crashing, eater, prepared, lost):
            await client.create(PODS, each)

        await await_pod(client, "done", devclusters.phase("Succeeded"))
        ended = await await_pod(client, "failed", devclusters.phase("Failed"))
        assert container_status(ended)["state"]["terminated"]["exitCode"] == 7

        def backing_off(found: dict[str, object]) -> bool:
            status = container_status(found)
            waiting = status.get("state", {}).get("waiting", {})
            return waiting.get("reason") == "CrashLoopBackOff" and status["restartCount"] >= 2

        crashed = await await_pod(client, "crashing", backing_off)
        assert container_status(crashed)["lastState"]["terminated"]["exitCode"] == 3
        await told(cluster, "crashing", "BackOff")

        def killed(found: dict[str, object]) -> bool:
            return container_status(found).get("restartCount", 0) >= 1

        eaten = await await_pod(client, "eater", killed)
        last = container_status(eaten)["lastState"].get("terminated", {})
        assert (last["reason"], last["exitCode"]) == ("OOMKilled", 137)

        ran = await await_pod(client, "prepared", devclusters.is_ready)
        assert ran["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0

        def not_started(found: dict[str, object]) -> bool:
            state = json.dumps(container_status(found))
            return "StartError" in state and "registry/unknown:1" in state

        await await_pod(client, "lost", not_started)


async def test_a_hanging_container_is_restarted_by_its_liveness_probe(tmp_path: Path) -> None:
    async with devclusters.running_cluster(tmp_path) as cluster:
        probe = {"exec": {"command": ["test", "!", "-e", "/state/hangs"]}}
        await cluster.client.create(
            PODS,
            pod(
                "hanger",
                "sh",
                "-c",
                "rm -f /state/hangs; sleep 1; touch /state/hangs; sleep 600",
                container={
                    "volumeMounts": [{"name": "state", "mountPath": "/state"}],
                    "livenessProbe": {**probe, "periodSeconds": 1, "failureThreshold": 1},
                },
                volumes=[{"name": "state", "emptyDir": {}}],
            ),
        )

        def restarted(found: dict[str, object]) -> bool:
            return container_status(found).get("restartCount", 0) >= 1

        await await_pod(cluster.client, "hanger", restarted)
        await told(cluster, "hanger", "Killing")


async def test_no_room_means_unschedulable_until_there_is(tmp_path: Path) -> None:
    async with devclusters.running_cluster(tmp_path) as cluster:
        client = cluster.client
        large = {"resources": {"requests": {"memory": "3Gi"}}}
        await client.create(PODS, pod("first", "sleep", "600", container=large))
        await await_pod(client, "first", devclusters.is_ready)
        await client.create(PODS, pod("second", "sleep", "600", container=large))

        def refused(found: dict[str, object]) -> bool:
            words = json.dumps(found.get("status"))
            return "0/1 nodes are available: 1 Insufficient memory." in words

        waiting = await await_pod(client, "second", refused)
        condition = waiting["status"]["conditions"][0]
        assert (condition["type"], condition["status"]) == ("PodScheduled", "False")
        assert condition["reason"] == "Unschedulable"
        await told(cluster, "second", "FailedScheduling")
        await client.delete(PODS, "default", "first")
        await await_pod(client, "second", devclusters.is_ready)


async def test_a_node_that_comes_back_starts_its_pods_again(tmp_path: Path) -> None:
    """Processes end with the agent; the next one starts them anew, counts it, keeps the volume."""
    async with devclusters.running_access(tmp_path) as access:
        folder, settings = tmp_path / "cluster", devclusters.QUICK
        script = "echo start >> /kept/starts; exec sleep 600"
        kept = {"name": "kept", "mountPath": "/kept"}
        async with running_workloads(access, folder, settings=settings) as cluster:
            keeper = pod(
                "keeper",
                "sh",
                "-c",
                script,
                container={"volumeMounts": [kept]},
                volumes=[{"name": "kept", "emptyDir": {}}],
            )
            await cluster.client.create(PODS, keeper)
            first = await await_pod(cluster.client, "keeper", devclusters.is_ready)
            run = next(iter(cluster.nodes["node-1"].pods.values()))
            leader = run.containers["main"].leader
            assert leader is not None
        assert not is_running(leader)
        async with running_workloads(access, folder, settings=settings) as cluster:

            def restarted(found: dict[str, object]) -> bool:
                status = container_status(found)
                return status["restartCount"] == 1 and "running" in status["state"]

            again = await await_pod(cluster.client, "keeper", restarted)
            assert again["status"]["podIP"] == first["status"]["podIP"]
            starts = run.paths.volume("kept") / "starts"

            async def started_twice() -> bool:
                return starts.read_text() == "start\nstart\n"

            await until("the volume kept what was there", started_twice)
