"""A whole stand-in cluster in one process: API server, control loops and nodes together."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anomaly_operator.devcluster.apiclient.access import ApiAccess
from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.crews import running_crew
from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    SERVICE_ACCOUNTS,
    STORAGE_CLASSES,
)
from anomaly_operator.devcluster.controllers.claims import render_storage_class
from anomaly_operator.devcluster.controllers.running import run_controllers
from anomaly_operator.devcluster.node.addresses import AddressPool
from anomaly_operator.devcluster.node.agent import NodeAgent
from anomaly_operator.devcluster.node.measuring import Measurer
from anomaly_operator.devcluster.node.settings import RUN_MARK, NodeSettings
from anomaly_operator.devcluster.node.watchdog import start_watchdog

STORAGE_CLASS = "standard"
# For tests of "the claim stays unbound": nothing here provisions for it.
UNPROVISIONED_CLASS = "never"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How many nodes of what size, and how fast their figures refresh."""

    nodes: Sequence[str] = ("node-1",)
    memory: str = "4Gi"
    cpu: str = "8"
    stats_period_s: tuple[float, float] = (10.0, 19.0)
    first_backoff_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Workloads:
    """What runs beside an API server: the nodes, and the client all of it uses."""

    client: ApiClient
    nodes: dict[str, NodeAgent]


def new_run_id() -> str:
    """Mark of one cluster's processes."""
    return uuid.uuid4().hex


@contextlib.asynccontextmanager
async def running_workloads(
    access: ApiAccess, folder: Path, *, settings: ClusterSettings | None = None
) -> AsyncIterator[Workloads]:
    """Run control loops and nodes against any API server that has none of its own.

    Every process ends with the context; if this process is killed, a watchdog ends them.
    """
    settings = settings or ClusterSettings()
    run_id = new_run_id()
    watchdog = start_watchdog(RUN_MARK, run_id)
    try:
        async with ApiClient(access) as client, contextlib.AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(running_crew())
            for name, provisioner in (
                (STORAGE_CLASS, None),
                (UNPROVISIONED_CLASS, NO_PROVISIONER),
            ):
                if await client.find(STORAGE_CLASSES, "", name) is None:
                    words = {"provisioner": provisioner} if provisioner else {}
                    await client.create(STORAGE_CLASSES, render_storage_class(name, **words))
            tasks.create_task(run_controllers(client, volumes_folder=folder / "volumes"))
            view = ClusterView(client, tasks)
            measurer, addresses = Measurer(), AddressPool()
            tasks.create_task(measurer.run())
            nodes: dict[str, NodeAgent] = {}
            for name in settings.nodes:
                agent = NodeAgent(
                    NodeSettings(
                        name=name,
                        folder=folder / "nodes" / name,
                        run_id=run_id,
                        memory=settings.memory,
                        cpu=settings.cpu,
                        stats_period_s=settings.stats_period_s,
                        first_backoff_s=settings.first_backoff_s,
                    ),
                    view,
                    measurer=measurer,
                    addresses=addresses,
                )
                await stack.enter_async_context(agent.running())
                nodes[name] = agent
            # Pods are admitted once their namespace has its account.
            accounts = view.mirror(SERVICE_ACCOUNTS)
            await accounts.wait_for("default", "default")
            yield Workloads(client, nodes)
    finally:
        assert watchdog.stdin is not None
        watchdog.stdin.close()
        await asyncio.to_thread(watchdog.wait)
