"""Workloads become pods, follow their templates, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.resources import (
    CLAIMS,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
    VOLUMES,
    JsonObject,
    Resource,
)
from anomaly_operator.devcluster.cluster import ClusterSettings
from tests.support import devclusters
from tests.support.devclusters import is_ready, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def template(name: str, *command: str, **spec: Any) -> JsonObject:
    container = {"name": "main", "image": "test:1", "command": list(command)}
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec},
    }


def workload(resource: Resource, name: str, command: list[str], **spec: Any) -> JsonObject:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, *command),
            **spec,
        },
    }


async def pods_of(client: ApiClient, name: str) -> list[JsonObject]:
    found: list[JsonObject] = (await client.list(PODS, "default", labels=f"app={name}"))["items"]
    return found


def commands(pods: list[JsonObject]) -> set[str]:
    return {pod["spec"]["containers"][0]["command"][1] for pod in pods if is_ready(pod)}


async def test_a_deployment_rolls_over_and_its_deletion_takes_all_with_it(tmp_path: Path) -> None:
    async with devclusters.running_cluster(tmp_path) as cluster:
        client = cluster.client
        await client.create(DEPLOYMENTS, workload(DEPLOYMENTS, "web", ["sleep", "601"], replicas=2))

        async def available() -> JsonObject | None:
            found = await client.get(DEPLOYMENTS, "default", "web")
            status = found.get("status") or {}
            is_current = status.get("observedGeneration") == found["metadata"]["generation"]
            done = status.get("updatedReplicas") == status.get("availableReplicas") == 2
            return found if is_current and done and status.get("replicas") == 2 else None

        found = await until("two replicas are available", available)
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
        assert commands(await pods_of(client, "web")) == {"601"}

        newer = {"spec": {"template": template("web", "sleep", "602")}}
        await client.patch(DEPLOYMENTS, "default", "web", patch=newer)

        async def rolled() -> bool:
            pods = await pods_of(client, "web")
            return commands(pods) == {"602"} and len(pods) == 2 and bool(await available())

        await until("only pods of the new template are left", rolled)
        found = await client.get(DEPLOYMENTS, "default", "web")
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
        sets = (await client.list(REPLICA_SETS, "default"))["items"]
        assert sorted(each["spec"]["replicas"] for each in sets) == [0, 2]

        await client.delete(DEPLOYMENTS, "default", "web")

        async def gone() -> bool:
            left = await pods_of(client, "web")
            return not left and not (await client.list(REPLICA_SETS, "default"))["items"]

        await until("pods and sets are collected", gone)


async def test_a_stateful_set_keeps_its_names_and_volumes(tmp_path: Path) -> None:
    """Scaled up in order, updated one by one, files kept; a claim of a foreign class waits."""
    async with devclusters.running_cluster(tmp_path) as cluster:
        client = cluster.client
        stateful = workload(STATEFUL_SETS, "db", ["sleep", "601"], replicas=2, serviceName="db")
        size = {"requests": {"storage": "1Gi"}}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": size}
        stateful["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
        mount = {"name": "data", "mountPath": "/data"}
        main = stateful["spec"]["template"]["spec"]["containers"][0]
        main["command"] = ["sh", "-c", "echo $HOSTNAME >> /data/starts; exec sleep 600"]
        main["volumeMounts"] = [mount]
        await client.create(STATEFUL_SETS, stateful)

        def up_to_date(replicas: int) -> Any:
            async def look() -> JsonObject | None:
                found = await client.get(STATEFUL_SETS, "default", "db")
                status = found.get("status") or {}
                counts = [status.get(n) for n in ("replicas", "readyReplicas", "updatedReplicas")]
                is_current = status.get("observedGeneration") == found["metadata"]["generation"]
                same = status.get("currentRevision") == status.get("updateRevision")
                return found if counts == [replicas] * 3 and is_current and same else None

            return look

        await until("both replicas are ready", up_to_date(2))
        pods = await pods_of(client, "db")
        assert [pod["metadata"]["name"] for pod in pods] == ["db-0", "db-1"]
        created = [pod["metadata"]["creationTimestamp"] for pod in pods]
        assert created == sorted(created)
        bound = await client.get(CLAIMS, "default", "data-db-0")
        assert bound["status"]["phase"] == "Bound"
        volume = await client.get(VOLUMES, "", bound["spec"]["volumeName"])
        starts = Path(volume["spec"]["hostPath"]["path"]) / "starts"
        assert starts.read_text() == "db-0\n"

        patch = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
        await client.patch(STATEFUL_SETS, "default", "db", patch=patch)
        await until("both replicas are updated", up_to_date(2))
        assert starts.read_text() == "db-0\ndb-0\n"

        await client.patch(STATEFUL_SETS, "default", "db", patch={"spec": {"replicas": 1}})
        await until("one replica is left", up_to_date(1))
        assert await client.find(CLAIMS, "default", "data-db-1") is not None

        never = {**claim, "storageClassName": "never"}
        waiting = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "waiting", "namespace": "default"},
            "spec": never,
        }
        await client.create(CLAIMS, waiting)
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "waiting"}}]
        await client.create(PODS, devclusters.pod("stuck", "sleep", "600", volumes=volumes))

        def says_so(found: JsonObject) -> bool:
            return "unbound immediate PersistentVolumeClaims" in str(found.get("status"))

        await devclusters.await_pod(client, "stuck", says_so)
        assert (await client.get(CLAIMS, "default", "waiting"))["status"]["phase"] == "Pending"


async def test_jobs_complete_and_daemons_run_on_every_node(tmp_path: Path) -> None:
    nodes = ClusterSettings(nodes=("node-1", "node-2"), stats_period_s=(0.5, 1.0))
    async with devclusters.running_cluster(tmp_path, nodes) as cluster:
        client = cluster.client
        job = workload(JOBS, "once", ["true"], completions=2)
        del job["spec"]["selector"]
        job["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        await client.create(JOBS, job)
        await client.create(DAEMON_SETS, workload(DAEMON_SETS, "agent", ["sleep", "600"]))

        async def complete() -> bool:
            status = (await client.get(JOBS, "default", "once")).get("status") or {}
            types = {entry["type"] for entry in status.get("conditions") or ()}
            return status.get("succeeded") == 2 and "Complete" in types

        await until("the job is complete", complete)

        async def everywhere() -> bool:
            pods = await pods_of(client, "agent")
            return {p["spec"].get("nodeName") for p in pods if is_ready(p)} == {"node-1", "node-2"}

        await until("a daemon runs on every node", everywhere)


async def test_owners_are_deleted_in_the_manner_that_was_asked_for(tmp_path: Path) -> None:
    async with devclusters.running_cluster(tmp_path) as cluster:
        client = cluster.client

        async def make(name: str, owner: JsonObject | None = None) -> JsonObject:
            metadata: JsonObject = {"name": name, "namespace": "default"}
            if owner is not None:
                reference = {"apiVersion": "v1", "kind": "ConfigMap", "blockOwnerDeletion": True}
                reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
                metadata["ownerReferences"] = [reference]
            document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            return await client.create(CONFIG_MAPS, document)

        async def gone(*names: str) -> bool:
            found = [await client.find(CONFIG_MAPS, "default", name) for name in names]
            return not any(found)

        for manner in ("Background", "Foreground", "Orphan"):
            await make(f"child-{manner.lower()}", await make(f"owner-{manner.lower()}"))
            owner = f"owner-{manner.lower()}"
            await client.delete(CONFIG_MAPS, "default", owner, propagation=manner)
        await until(
            "owners and two children are gone",
            lambda: gone(
                "owner-background",
                "child-background",
                "owner-foreground",
                "child-foreground",
                "owner-orphan",
            ),
        )
        orphan = await client.get(CONFIG_MAPS, "default", "child-orphan")
        assert not orphan["metadata"].get("ownerReferences")


async def test_a_namespace_starts_with_an_account_and_ends_with_all_its_content(
    tmp_path: Path,
) -> None:
    async with devclusters.running_cluster(tmp_path) as cluster:
        client = cluster.client
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        await client.create(NAMESPACES, document)

        async def furnished() -> bool:
            account = await client.find(SERVICE_ACCOUNTS, "shop", "default")
            return bool(account and await client.find(CONFIG_MAPS, "shop", "kube-root-ca.crt"))

        await until("the namespace has what every namespace has", furnished)
        await client.create(PODS, devclusters.pod("a", "sleep", "600", namespace="shop"))
        await devclusters.await_pod(client, "a", is_ready, namespace="shop")
        await client.delete(NAMESPACES, "", "shop")

        async def gone() -> bool:
            return await client.find(NAMESPACES, "", "shop") is None

        await until("the namespace is gone", gone)
        assert await client.find(PODS, "shop", "a") is None
