"""All control loops of a cluster together, over one client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    CLAIMS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Key,
    Resource,
)
from anomaly_operator.devcluster.controllers.accounts import NamespaceDefaults
from anomaly_operator.devcluster.controllers.claims import Claims
from anomaly_operator.devcluster.controllers.daemonsets import DaemonSets
from anomaly_operator.devcluster.controllers.deployments import Deployments
from anomaly_operator.devcluster.controllers.garbage import GarbageCollector
from anomaly_operator.devcluster.controllers.jobs import Jobs
from anomaly_operator.devcluster.controllers.loops import Controller, run_controller
from anomaly_operator.devcluster.controllers.namespaces import NamespaceDeletion
from anomaly_operator.devcluster.controllers.protection import Protection
from anomaly_operator.devcluster.controllers.replicasets import ReplicaSets
from anomaly_operator.devcluster.controllers.scheduling import Scheduler
from anomaly_operator.devcluster.controllers.statefulsets import StatefulSets


async def run_controllers(client: ApiClient, *, volumes_folder: Path) -> None:
    """Run every control loop until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        view = ClusterView(client, tasks)
        loops: list[tuple[Controller, Resource]] = [
            (Deployments(view), DEPLOYMENTS),
            (ReplicaSets(view), REPLICA_SETS),
            (StatefulSets(view), STATEFUL_SETS),
            (DaemonSets(view), DAEMON_SETS),
            (Jobs(view), JOBS),
            (Scheduler(view), PODS),
            (Claims(view, folder=volumes_folder), CLAIMS),
            (Protection(view), CLAIMS),
            (NamespaceDefaults(view), NAMESPACES),
            (NamespaceDeletion(view), NAMESPACES),
        ]
        for controller, resource in loops:
            keys = _keys_of(view, resource)
            tasks.create_task(run_controller(view, controller, keys=keys))
        garbage = GarbageCollector(view)
        tasks.create_task(garbage.follow_discovery())
        tasks.create_task(run_controller(view, garbage, keys=garbage.keys))


def _keys_of(view: ClusterView, resource: Resource) -> Callable[[], list[Key]]:
    return lambda: list(view.mirror(resource).objects)
