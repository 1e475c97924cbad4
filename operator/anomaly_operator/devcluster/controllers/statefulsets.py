"""StatefulSets become numbered pods with claims of their own, replaced one at a time."""

from __future__ import annotations

import copy

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    CLAIMS,
    PODS,
    STATEFUL_SETS,
    JsonObject,
    key_of,
    owner_reference,
)
from anomaly_operator.devcluster.controllers import templates
from anomaly_operator.devcluster.controllers.loops import WorkQueue

REVISION_LABEL = "controller-revision-hash"


class StatefulSets:
    """Pods 0..n-1: created upwards, removed and updated downwards, the claims kept.

    The revision of a pod is a hash of the template. A pod that is created again always gets the
    newest template, so a partition only holds back the deletion of running pods.
    """

    def __init__(self, view: ClusterView) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._sets = view.mirror(STATEFUL_SETS)
        self._pods = view.mirror(PODS)
        self._claims = view.mirror(CLAIMS)
        self.queue.follow(self._sets, self._pods)

    async def reconcile(self, namespace: str, name: str) -> None:
        """One step: at most one pod at a time where order is asked for."""
        stateful = self._sets.get(namespace, name)
        if stateful is None or templates.is_terminating(stateful):
            return
        revision = f"{name}-{templates.template_hash(stateful['spec']['template'])}"
        await self._step(stateful, revision)
        await self._report(stateful, revision)

    def _owned_pods(self, stateful: JsonObject) -> dict[int, JsonObject]:
        namespace = stateful["metadata"]["namespace"]
        pods = templates.owned(self._pods.in_namespace(namespace), stateful)
        return {int(pod["metadata"]["name"].rsplit("-", 1)[1]): pod for pod in pods}

    async def _step(self, stateful: JsonObject, revision: str) -> None:
        spec = stateful["spec"]
        ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        first = (spec.get("ordinals") or {}).get("start", 0)
        wanted = range(first, first + spec.get("replicas", 1))
        pods = self._owned_pods(stateful)
        for ordinal in wanted:
            pod = pods.get(ordinal)
            if pod is not None and templates.is_finished(pod) and not templates.is_terminating(pod):
                await self._view.delete(PODS, pod)
            elif pod is None:
                await self._create(stateful, ordinal, revision=revision)
            if ordered and (pod is None or not self._is_settled(pod, stateful)):
                # A pod stuck on an old revision must not hold up its repair.
                await self._update(stateful, revision, wanted=wanted, only_broken=True)
                return
        for ordinal in sorted(set(pods) - set(wanted), reverse=True):
            if not templates.is_terminating(pods[ordinal]):
                await self._view.delete(PODS, pods[ordinal])
            if ordered:
                return
        if not any(templates.is_terminating(pod) for pod in pods.values()):
            await self._update(stateful, revision, wanted=wanted, only_broken=False)

    def _is_settled(self, pod: JsonObject, stateful: JsonObject) -> bool:
        min_ready_s = stateful["spec"].get("minReadySeconds", 0)
        settled = templates.is_available(pod, min_ready_s=min_ready_s)
        if not settled and templates.is_ready(pod):
            self.queue.add(key_of(stateful), delay_s=1.0)
        return settled and not templates.is_terminating(pod)

    async def _update(
        self, stateful: JsonObject, revision: str, *, wanted: range, only_broken: bool
    ) -> None:
        strategy = stateful["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        pods = self._owned_pods(stateful)
        for ordinal in sorted(wanted, reverse=True):
            pod = pods.get(ordinal)
            if pod is None or templates.is_terminating(pod):
                return
            stale = pod["metadata"]["labels"].get(REVISION_LABEL) != revision
            broken = not templates.is_ready(pod)
            if stale and ordinal >= partition and (broken or not only_broken):
                await self._view.delete(PODS, pod)
                return
            if not self._is_settled(pod, stateful):
                return

    async def _create(self, stateful: JsonObject, ordinal: int, *, revision: str) -> None:
        name = f"{stateful['metadata']['name']}-{ordinal}"
        template = stateful["spec"]["template"]
        pod = templates.pod_from_template(stateful, STATEFUL_SETS, template=template, name=name)
        pod["metadata"]["labels"] |= {
            "apps.kubernetes.io/pod-index": str(ordinal),
            REVISION_LABEL: revision,
            "statefulset.kubernetes.io/pod-name": name,
        }
        pod["spec"].setdefault("hostname", name)
        if stateful["spec"].get("serviceName"):
            pod["spec"].setdefault("subdomain", stateful["spec"]["serviceName"])
        claims = {
            template["metadata"]["name"]: f"{template['metadata']['name']}-{name}"
            for template in stateful["spec"].get("volumeClaimTemplates") or ()
        }
        volumes = [v for v in pod["spec"].get("volumes") or () if v["name"] not in claims]
        pod["spec"]["volumes"] = volumes + [
            {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
            for volume, claim in claims.items()
        ]
        for template in stateful["spec"].get("volumeClaimTemplates") or ():
            await self._ensure_claim(stateful, template, name=claims[template["metadata"]["name"]])
        await self._view.create(PODS, pod)

    async def _ensure_claim(self, stateful: JsonObject, template: JsonObject, *, name: str) -> None:
        namespace = stateful["metadata"]["namespace"]
        if self._claims.get(namespace, name) is not None:
            return
        labels = (stateful["spec"]["selector"].get("matchLabels") or {}) | (
            template["metadata"].get("labels") or {}
        )
        metadata: JsonObject = {"name": name, "namespace": namespace, "labels": labels}
        retention = stateful["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        if retention.get("whenDeleted") == "Delete":
            metadata["ownerReferences"] = [owner_reference(stateful, STATEFUL_SETS)]
        await self._view.create(
            CLAIMS,
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": metadata,
                "spec": copy.deepcopy(template["spec"]),
            },
        )

    async def _report(self, stateful: JsonObject, revision: str) -> None:
        current = self._sets.get(*key_of(stateful)) or stateful
        pods = [p for p in self._owned_pods(stateful).values() if templates.is_active(p)]
        wanted = stateful["spec"].get("replicas", 1)
        updated = [p for p in pods if p["metadata"]["labels"].get(REVISION_LABEL) == revision]
        ready = [p for p in pods if templates.is_ready(p)]
        min_ready_s = stateful["spec"].get("minReadySeconds", 0)
        available = [p for p in ready if templates.is_available(p, min_ready_s=min_ready_s)]
        old_revision = (current.get("status") or {}).get("currentRevision") or revision
        complete = len(updated) == len(ready) == len(pods) == wanted
        current_revision = revision if complete else old_revision
        on_current = [
            p for p in pods if p["metadata"]["labels"].get(REVISION_LABEL) == current_revision
        ]
        status: JsonObject = {
            "observedGeneration": stateful["metadata"].get("generation", 0),
            "replicas": len(pods),
            "readyReplicas": len(ready),
            "availableReplicas": len(available),
            "currentReplicas": len(on_current),
            "updatedReplicas": len(updated),
            "currentRevision": current_revision,
            "updateRevision": revision,
            "collisionCount": 0,
        }
        await self._view.replace_status(STATEFUL_SETS, {**current, "status": status})
