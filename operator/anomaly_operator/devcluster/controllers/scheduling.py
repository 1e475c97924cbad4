"""The scheduler: pods without a node get one, or a condition that says why not."""

from __future__ import annotations

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    CLAIMS,
    NODES,
    PODS,
    JsonObject,
    key_of,
)
from anomaly_operator.devcluster.controllers import fitting, templates
from anomaly_operator.devcluster.controllers.events import EventRecorder
from anomaly_operator.devcluster.controllers.loops import WorkQueue

SCHEDULER = "default-scheduler"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


class Scheduler:
    """Binds each waiting pod to the fitting node with the fewest pods, once there is room."""

    def __init__(self, view: ClusterView) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._pods = view.mirror(PODS)
        self._nodes = view.mirror(NODES)
        self._claims = view.mirror(CLAIMS)
        self._events = EventRecorder(view.client, component=SCHEDULER)
        # Bound by us, though the mirror may not show it yet: their room is taken.
        self._assumed: dict[str, str] = {}
        self._pods.listeners.append(self._on_pod)
        self._nodes.listeners.append(self._on_room)
        self._claims.listeners.append(self._on_room)

    def _on_pod(self, old: JsonObject | None, new: JsonObject | None) -> None:
        if new is None or templates.is_finished(new):
            gone = old or new or {}
            self._assumed.pop(gone["metadata"]["uid"], None)
            self._on_room(old, new)
        elif _waits(new):
            self.queue.add(key_of(new))
        else:
            self._assumed.pop(new["metadata"]["uid"], None)

    def _on_room(self, old: JsonObject | None, new: JsonObject | None) -> None:
        is_node = new is not None and new["kind"] == "Node"
        if old is not None and new is not None and is_node and _room(old) == _room(new):
            return  # a heartbeat
        for pod in self._pods.objects.values():
            if _waits(pod):
                self.queue.add(key_of(pod))

    async def reconcile(self, namespace: str, name: str) -> None:
        """Place one pod, if it still waits."""
        pod = self._pods.get(namespace, name)
        if pod is None or not _waits(pod) or pod["metadata"]["uid"] in self._assumed:
            return
        nodes = sorted(self._nodes.objects.values(), key=lambda node: str(key_of(node)))
        if self._has_unbound_claim(pod):
            message = f"0/{len(nodes)} nodes are available: {UNBOUND}."
            await self._refuse(pod, message)
            return
        placed = {node["metadata"]["name"]: self._placed_on(node) for node in nodes}
        obstacles = {
            node["metadata"]["name"]: fitting.obstacle(
                pod, node, placed=placed[node["metadata"]["name"]]
            )
            for node in nodes
        }
        fitting_nodes = [node for node, obstacle in obstacles.items() if not obstacle]
        if not fitting_nodes:
            await self._refuse(pod, fitting.explain(obstacles.values()))
            return
        await self._bind(pod, min(fitting_nodes, key=lambda node: len(placed[node])))

    def _has_unbound_claim(self, pod: JsonObject) -> bool:
        for volume in pod["spec"].get("volumes") or ():
            source = volume.get("persistentVolumeClaim")
            if source is None:
                continue
            claim = self._claims.get(pod["metadata"]["namespace"], source["claimName"])
            if claim is None or (claim.get("status") or {}).get("phase") != "Bound":
                return True
        return False

    def _placed_on(self, node: JsonObject) -> list[JsonObject]:
        name = node["metadata"]["name"]
        return [
            pod
            for pod in self._pods.objects.values()
            if (pod["spec"].get("nodeName") or self._assumed.get(pod["metadata"]["uid"])) == name
            and not templates.is_finished(pod)
        ]

    async def _bind(self, pod: JsonObject, node: str) -> None:
        namespace, name = key_of(pod)
        uid = pod["metadata"]["uid"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self._assumed[uid] = node
        try:
            await self._view.client.create(PODS, binding, subresource="binding", name=name)
        except BaseException:
            self._assumed.pop(uid, None)
            raise
        message = f"Successfully assigned {namespace}/{name} to {node}"
        await self._events.record(pod, "Scheduled", message=message)

    async def _refuse(self, pod: JsonObject, message: str) -> None:
        if templates.condition(pod, "PodScheduled").get("message") == message:
            return
        refused = templates.updated_condition(
            pod, "PodScheduled", status=False, reason="Unschedulable", message=message
        )
        others = [
            entry
            for entry in (pod.get("status") or {}).get("conditions") or ()
            if entry["type"] != "PodScheduled"
        ]
        status = {"phase": "Pending", "conditions": [*others, refused]}
        await self._view.patch(PODS, pod, patch={"status": status}, subresource="status")
        await self._events.record(pod, "FailedScheduling", message=message, warning=True)


def _room(node: JsonObject) -> tuple[object, ...]:
    """All of a node that decides where pods fit."""
    allocatable = (node.get("status") or {}).get("allocatable")
    is_ready = templates.condition_status(node, "Ready")
    return node["spec"], node["metadata"].get("labels"), allocatable, is_ready


def _waits(pod: JsonObject) -> bool:
    return (
        not pod["spec"].get("nodeName")
        and not pod["spec"].get("schedulingGates")
        and templates.is_active(pod)
        and pod["spec"].get("schedulerName", SCHEDULER) == SCHEDULER
    )
