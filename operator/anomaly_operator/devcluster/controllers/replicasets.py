"""ReplicaSets become pods."""

from __future__ import annotations

import asyncio

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    PODS,
    REPLICA_SETS,
    JsonObject,
    key_of,
)
from anomaly_operator.devcluster.controllers import templates
from anomaly_operator.devcluster.controllers.loops import WorkQueue


class ReplicaSets:
    """Creates missing pods and deletes surplus ones; unready and young ones go first."""

    def __init__(self, view: ClusterView) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._sets = view.mirror(REPLICA_SETS)
        self._pods = view.mirror(PODS)
        self.queue.follow(self._sets, self._pods)

    async def reconcile(self, namespace: str, name: str) -> None:
        """Bring the number of pods to what the set asks for, and report it."""
        replica_set = self._sets.get(namespace, name)
        if replica_set is None or templates.is_terminating(replica_set):
            return
        pods = [
            pod
            for pod in templates.owned(self._pods.in_namespace(namespace), replica_set)
            if templates.is_active(pod)
        ]
        wanted = replica_set["spec"].get("replicas", 1)
        if len(pods) < wanted:
            await asyncio.gather(*(self._create(replica_set) for _ in range(wanted - len(pods))))
        elif len(pods) > wanted:
            surplus = sorted(pods, key=_worth)[: len(pods) - wanted]
            await asyncio.gather(*(self._view.delete(PODS, pod) for pod in surplus))
        await self._report(replica_set)

    async def _create(self, replica_set: JsonObject) -> None:
        name = f"{replica_set['metadata']['name']}-{templates.random_suffix()}"
        template = replica_set["spec"]["template"]
        pod = templates.pod_from_template(replica_set, REPLICA_SETS, template=template, name=name)
        await self._view.create(PODS, pod)

    async def _report(self, replica_set: JsonObject) -> None:
        namespace, name = key_of(replica_set)
        min_ready_s = replica_set["spec"].get("minReadySeconds", 0)
        pods = [
            pod
            for pod in templates.owned(self._pods.in_namespace(namespace), replica_set)
            if templates.is_active(pod)
        ]
        ready = [pod for pod in pods if templates.is_ready(pod)]
        available = [pod for pod in ready if templates.is_available(pod, min_ready_s=min_ready_s)]
        status = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": len(ready),
            "availableReplicas": len(available),
            "observedGeneration": replica_set["metadata"].get("generation", 0),
        }
        status = {k: v for k, v in status.items() if v or k in {"replicas", "observedGeneration"}}
        await self._view.replace_status(REPLICA_SETS, {**replica_set, "status": status})
        if len(available) < len(ready):
            self.queue.add((namespace, name), delay_s=1.0)


def _worth(pod: JsonObject) -> tuple[bool, bool, str]:
    """Order of deletion: unassigned first, then unready, then the youngest."""
    created = str(pod["metadata"].get("creationTimestamp", ""))
    # Times sort upwards, the youngest must come first: compare the complement of each character.
    inverted = "".join(chr(0x7F - ord(letter)) for letter in created)
    return bool(pod["spec"].get("nodeName")), templates.is_ready(pod), inverted
