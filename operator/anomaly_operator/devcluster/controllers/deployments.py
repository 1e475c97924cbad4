"""Deployments become ReplicaSets, one a revision of the pod template."""

from __future__ import annotations

import copy

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    JsonObject,
    controller_of,
    key_of,
    owner_reference,
)
from anomaly_operator.devcluster.controllers import rollouts, templates
from anomaly_operator.devcluster.controllers.loops import WorkQueue

REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"


class Deployments:
    """Keeps one ReplicaSet per template, and moves replicas to the newest as the strategy says."""

    def __init__(self, view: ClusterView) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._deployments = view.mirror(DEPLOYMENTS)
        self._sets = view.mirror(REPLICA_SETS)
        self._pods = view.mirror(PODS)
        self.queue.follow(self._deployments, self._sets)
        self._pods.listeners.append(self._on_pod)

    def _on_pod(self, old: JsonObject | None, new: JsonObject | None) -> None:
        # Only Recreate waits for pods to be gone; everything else shows in the sets' status.
        if new is None and old is not None:
            owner = controller_of(old)
            if owner is not None and owner["kind"] == REPLICA_SETS.kind:
                replica_set = self._sets.get(old["metadata"]["namespace"], owner["name"])
                if replica_set is not None:
                    self.queue.add_controller_of(replica_set, DEPLOYMENTS)

    async def reconcile(self, namespace: str, name: str) -> None:
        """One step of the rollout, and the status."""
        deployment = self._deployments.get(namespace, name)
        if deployment is None or templates.is_terminating(deployment):
            return
        sets = templates.owned(self._sets.in_namespace(namespace), deployment)
        newest = next((each for each in sets if _same_template(each, deployment)), None)
        paused = deployment["spec"].get("paused", False)
        if newest is None and not paused:
            newest = await self._create_set(deployment, sets)
        old = [each for each in sets if newest is None or key_of(each) != key_of(newest)]
        if newest is not None:
            newest = await self._mark_revision(deployment, newest, old=old)
            if not paused:
                await self._scale(deployment, newest, old=old)
                await self._clean_up(deployment, old)
        await self._report(deployment, newest)

    async def _create_set(self, deployment: JsonObject, sets: list[JsonObject]) -> JsonObject:
        template = copy.deepcopy(deployment["spec"]["template"])
        word = templates.template_hash(template)
        labels = {
            **((template.get("metadata") or {}).get("labels") or {}),
            templates.TEMPLATE_HASH: word,
        }
        template.setdefault("metadata", {})["labels"] = labels
        selector = copy.deepcopy(deployment["spec"]["selector"])
        selector["matchLabels"] = {
            **(selector.get("matchLabels") or {}),
            templates.TEMPLATE_HASH: word,
        }
        revision = max((_revision(each) for each in sets), default=0) + 1
        return await self._view.create(
            REPLICA_SETS,
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{deployment['metadata']['name']}-{word}",
                    "namespace": deployment["metadata"]["namespace"],
                    "labels": labels,
                    "annotations": {REVISION: str(revision)},
                    "ownerReferences": [owner_reference(deployment, DEPLOYMENTS)],
                },
                "spec": {
                    "replicas": 0,
                    "minReadySeconds": deployment["spec"].get("minReadySeconds", 0),
                    "selector": selector,
                    "template": template,
                },
            },
        )

    async def _mark_revision(
        self, deployment: JsonObject, newest: JsonObject, *, old: list[JsonObject]
    ) -> JsonObject:
        highest = max((_revision(each) for each in old), default=0)
        if _revision(newest) <= highest:  # a roll-back makes an old set the newest again
            patch = {"metadata": {"annotations": {REVISION: str(highest + 1)}}}
            newest = await self._view.patch(REPLICA_SETS, newest, patch=patch)
        revision = str(_revision(newest))
        if (deployment["metadata"].get("annotations") or {}).get(REVISION) != revision:
            patch = {"metadata": {"annotations": {REVISION: revision}}}
            await self._view.patch(DEPLOYMENTS, deployment, patch=patch)
        return newest

    async def _scale(
        self, deployment: JsonObject, newest: JsonObject, *, old: list[JsonObject]
    ) -> None:
        wanted = deployment["spec"].get("replicas", 1)
        strategy = deployment["spec"].get("strategy") or {}
        states = [self._state(each) for each in old]
        if strategy.get("type") == "Recreate":
            plan = rollouts.plan_recreate(wanted, self._state(newest), old=states)
        else:
            limits = strategy.get("rollingUpdate") or {}
            plan = rollouts.plan_rolling(
                wanted,
                self._state(newest),
                old=states,
                limits=rollouts.resolve_limits(
                    wanted,
                    max_surge=limits.get("maxSurge", "25%"),
                    max_unavailable=limits.get("maxUnavailable", "25%"),
                ),
            )
        for each in [newest, *old]:
            replicas = plan[each["metadata"]["name"]]
            if each["spec"].get("replicas", 1) != replicas:
                patch = {
                    "metadata": {"annotations": {DESIRED: str(wanted)}},
                    "spec": {"replicas": replicas},
                }
                await self._view.patch(REPLICA_SETS, each, patch=patch)

    def _state(self, replica_set: JsonObject) -> rollouts.SetState:
        pods = templates.owned(
            self._pods.in_namespace(replica_set["metadata"]["namespace"]), replica_set
        )
        return rollouts.SetState(
            name=replica_set["metadata"]["name"],
            replicas=replica_set["spec"].get("replicas", 1),
            running=sum(not templates.is_finished(pod) for pod in pods),
            available=(replica_set.get("status") or {}).get("availableReplicas", 0),
        )

    async def _clean_up(self, deployment: JsonObject, old: list[JsonObject]) -> None:
        keep = deployment["spec"].get("revisionHistoryLimit", 10)
        empty = [
            each
            for each in sorted(old, key=_revision)
            if each["spec"].get("replicas", 1) == 0
            and not (each.get("status") or {}).get("replicas", 0)
            and not templates.is_terminating(each)
        ]
        for each in empty[: max(len(empty) - keep, 0)]:
            await self._view.delete(REPLICA_SETS, each)

    async def _report(self, deployment: JsonObject, newest: JsonObject | None) -> None:
        current = self._deployments.get(*key_of(deployment)) or deployment
        sets = templates.owned(
            self._sets.in_namespace(deployment["metadata"]["namespace"]), deployment
        )
        if newest is not None:
            newest = self._sets.get(*key_of(newest))
        status = render_status(current, sets=sets, newest=newest)
        # The status belongs to the generation that was acted on, which may be older by now.
        status["observedGeneration"] = deployment["metadata"].get("generation", 0)
        await self._view.replace_status(DEPLOYMENTS, {**current, "status": status})


def render_status(
    deployment: JsonObject, *, sets: list[JsonObject], newest: JsonObject | None
) -> JsonObject:
    """Status of a Deployment from the status of its ReplicaSets."""
    wanted = deployment["spec"].get("replicas", 1)

    def total(field: str) -> int:
        return sum((each.get("status") or {}).get(field, 0) for each in sets)

    updated = ((newest or {}).get("status") or {}).get("replicas", 0)
    available, replicas = total("availableReplicas"), total("replicas")
    strategy = deployment["spec"].get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    slack = 0
    if strategy.get("type") != "Recreate":
        limits = rollouts.resolve_limits(
            wanted,
            max_surge=rolling.get("maxSurge", "25%"),
            max_unavailable=rolling.get("maxUnavailable", "25%"),
        )
        slack = limits.unavailable
    is_available = available >= wanted - slack
    is_done = updated == wanted == available == replicas
    set_name = (newest or {"metadata": {"name": ""}})["metadata"]["name"]
    conditions = [
        templates.updated_condition(
            deployment,
            "Available",
            status=is_available,
            reason="MinimumReplicasAvailable" if is_available else "MinimumReplicasUnavailable",
            message="Deployment has minimum availability."
            if is_available
            else "Deployment does not have minimum availability.",
        ),
        templates.updated_condition(
            deployment,
            "Progressing",
            status=True,
            reason="NewReplicaSetAvailable" if is_done else "ReplicaSetUpdated",
            message=f'ReplicaSet "{set_name}" has successfully progressed.'
            if is_done
            else f'ReplicaSet "{set_name}" is progressing.',
        ),
    ]
    status: JsonObject = {
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(wanted - available, 0),
    }
    return {**{k: v for k, v in status.items() if v}, "conditions": conditions}


def _same_template(replica_set: JsonObject, deployment: JsonObject) -> bool:
    return templates.without_hash(replica_set["spec"]["template"]) == templates.without_hash(
        deployment["spec"]["template"]
    )


def _revision(replica_set: JsonObject) -> int:
    annotations = replica_set["metadata"].get("annotations") or {}
    return int(annotations.get(REVISION, 0))
