"""DaemonSets run one pod on every node."""

from __future__ import annotations

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    DAEMON_SETS,
    NODES,
    PODS,
    JsonObject,
)
from anomaly_operator.devcluster.controllers import fitting, templates
from anomaly_operator.devcluster.controllers.loops import WorkQueue

REVISION_LABEL = "controller-revision-hash"


class DaemonSets:
    """Keeps one pod of the newest template on every node that the template selects."""

    def __init__(self, view: ClusterView) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._sets = view.mirror(DAEMON_SETS)
        self._nodes = view.mirror(NODES)
        self._pods = view.mirror(PODS)
        self.queue.follow(self._sets, self._pods)
        self._nodes.listeners.append(self._on_node)

    def _on_node(self, old: JsonObject | None, new: JsonObject | None) -> None:
        if old is None or new is None:
            for key in self._sets.objects:
                self.queue.add(key)

    async def reconcile(self, namespace: str, name: str) -> None:
        """Create, replace and remove pods node by node, and report."""
        daemon = self._sets.get(namespace, name)
        if daemon is None or templates.is_terminating(daemon):
            return
        revision = templates.template_hash(daemon["spec"]["template"])
        selected = {
            node["metadata"]["name"]
            for node in self._nodes.objects.values()
            if fitting.selects_node(daemon["spec"]["template"]["spec"], node)
        }
        pods = templates.owned(self._pods.in_namespace(namespace), daemon)
        by_node = {fitting.bound_node(pod): pod for pod in pods}
        for pod in pods:
            stale = pod["metadata"]["labels"].get(REVISION_LABEL) != revision
            misplaced = fitting.bound_node(pod) not in selected
            if (stale or misplaced or templates.is_finished(pod)) and not templates.is_terminating(
                pod
            ):
                await self._view.delete(PODS, pod)
        for node in sorted(selected - set(by_node)):
            await self._create(daemon, node=node, revision=revision)
        ready = sum(templates.is_ready(pod) for pod in pods)
        current = sum(templates.is_active(pod) for pod in pods)
        status: JsonObject = {
            "observedGeneration": daemon["metadata"].get("generation", 0),
            "desiredNumberScheduled": len(selected),
            "currentNumberScheduled": current,
            "updatedNumberScheduled": sum(
                p["metadata"]["labels"].get(REVISION_LABEL) == revision for p in pods
            ),
            "numberReady": ready,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
        }
        await self._view.replace_status(DAEMON_SETS, {**daemon, "status": status})

    async def _create(self, daemon: JsonObject, *, node: str, revision: str) -> None:
        name = f"{daemon['metadata']['name']}-{templates.random_suffix()}"
        template = daemon["spec"]["template"]
        pod = templates.pod_from_template(daemon, DAEMON_SETS, template=template, name=name)
        pod["metadata"]["labels"][REVISION_LABEL] = revision
        pod["spec"]["affinity"] = fitting.pinned_to(node)
        await self._view.create(PODS, pod)
