"""Defaults of built-in kinds: fixed ones go into the schema, dependent ones are computed here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anomaly_operator.devcluster.apiserver.builtin_types import builtin_schema
from anomaly_operator.devcluster.apiserver.documents import Document, look_up
from anomaly_operator.devcluster.apiserver.kinds import KindInfo

FIXED: dict[tuple[str, str], Any] = {
    ("V1PodSpec", "restartPolicy"): "Always",
    ("V1PodSpec", "dnsPolicy"): "ClusterFirst",
    ("V1PodSpec", "schedulerName"): "default-scheduler",
    ("V1PodSpec", "terminationGracePeriodSeconds"): 30,
    ("V1PodSpec", "securityContext"): {},
    ("V1Container", "terminationMessagePath"): "/dev/termination-log",
    ("V1Container", "terminationMessagePolicy"): "File",
    ("V1Container", "resources"): {},
    ("V1ContainerPort", "protocol"): "TCP",
    ("V1ServicePort", "protocol"): "TCP",
    ("V1Probe", "timeoutSeconds"): 1,
    ("V1Probe", "periodSeconds"): 10,
    ("V1Probe", "successThreshold"): 1,
    ("V1Probe", "failureThreshold"): 3,
    ("V1HTTPGetAction", "scheme"): "HTTP",
    ("V1HTTPGetAction", "path"): "/",
    ("V1ObjectFieldSelector", "apiVersion"): "v1",
    ("V1ConfigMapVolumeSource", "defaultMode"): 420,
    ("V1SecretVolumeSource", "defaultMode"): 420,
    ("V1ProjectedVolumeSource", "defaultMode"): 420,
    ("V1DownwardAPIVolumeSource", "defaultMode"): 420,
    ("V1ServiceAccountTokenProjection", "expirationSeconds"): 3600,
    ("V1DeploymentSpec", "replicas"): 1,
    ("V1DeploymentSpec", "revisionHistoryLimit"): 10,
    ("V1DeploymentSpec", "progressDeadlineSeconds"): 600,
    ("V1DeploymentSpec", "strategy"): {},
    ("V1DeploymentStrategy", "type"): "RollingUpdate",
    ("V1ReplicaSetSpec", "replicas"): 1,
    ("V1StatefulSetSpec", "replicas"): 1,
    ("V1StatefulSetSpec", "revisionHistoryLimit"): 10,
    ("V1StatefulSetSpec", "podManagementPolicy"): "OrderedReady",
    ("V1StatefulSetSpec", "updateStrategy"): {},
    ("V1StatefulSetSpec", "persistentVolumeClaimRetentionPolicy"): {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    },
    ("V1StatefulSetUpdateStrategy", "type"): "RollingUpdate",
    ("V1DaemonSetSpec", "revisionHistoryLimit"): 10,
    ("V1DaemonSetSpec", "updateStrategy"): {},
    ("V1DaemonSetUpdateStrategy", "type"): "RollingUpdate",
    ("V1RollingUpdateDaemonSet", "maxUnavailable"): 1,
    ("V1RollingUpdateDaemonSet", "maxSurge"): 0,
    ("V1JobSpec", "backoffLimit"): 6,
    ("V1JobSpec", "completionMode"): "NonIndexed",
    ("V1JobSpec", "suspend"): False,
    ("V1CronJobSpec", "concurrencyPolicy"): "Allow",
    ("V1CronJobSpec", "suspend"): False,
    ("V1CronJobSpec", "successfulJobsHistoryLimit"): 3,
    ("V1CronJobSpec", "failedJobsHistoryLimit"): 1,
    ("V1ServiceSpec", "type"): "ClusterIP",
    ("V1ServiceSpec", "sessionAffinity"): "None",
    ("V1ServiceSpec", "internalTrafficPolicy"): "Cluster",
    ("V1Secret", "type"): "Opaque",
    ("V1PersistentVolumeClaimSpec", "volumeMode"): "Filesystem",
    ("V1PersistentVolumeSpec", "volumeMode"): "Filesystem",
    ("V1PersistentVolumeSpec", "persistentVolumeReclaimPolicy"): "Retain",
    ("V1StorageClass", "reclaimPolicy"): "Delete",
    ("V1StorageClass", "volumeBindingMode"): "Immediate",
    ("V1PriorityClass", "preemptionPolicy"): "PreemptLowerPriority",
    ("V1NetworkPolicyPort", "protocol"): "TCP",
    ("V1RoleRef", "apiGroup"): "rbac.authorization.k8s.io",
    ("V1CustomResourceDefinitionSpec", "conversion"): {"strategy": "None"},
}


def install_fixed() -> None:
    """Put the fixed defaults into the schemas of the built-in types."""
    for (owner, field), value in FIXED.items():
        properties = builtin_schema(owner).properties
        # A copy, for the node of a type is shared by all fields of that type.
        properties[field] = replace(properties[field], has_default=True, default=value)


def fill_dependent(kind: KindInfo, document: Document) -> None:
    """Fill in defaults that depend on other fields."""
    spec = document.get("spec") or {}
    for pod in _pod_specs(kind, spec):
        _fill_pod(pod)
    if kind.store == "apps/deployments":
        _fill_rollout(spec.get("strategy") or {}, {"maxSurge": "25%", "maxUnavailable": "25%"})
    elif kind.store == "apps/statefulsets":
        _fill_rollout(spec.get("updateStrategy") or {}, {"partition": 0})
        for claim in spec.get("volumeClaimTemplates") or []:
            claim.setdefault("apiVersion", "v1")
            claim.setdefault("kind", "PersistentVolumeClaim")
            claim.setdefault("status", {"phase": "Pending"})
    elif kind.store == "apps/daemonsets":
        _fill_rollout(spec.get("updateStrategy") or {}, {"maxSurge": 0, "maxUnavailable": 1})
        annotations = document["metadata"].setdefault("annotations", {})
        annotations.setdefault("deprecated.daemonset.template.generation", "1")
    elif kind.store == "batch/jobs":
        _fill_job(document)
    elif kind.store == "/services":
        _fill_service(spec)
    elif kind.store == "/events":
        _fill_event(document)
    elif kind.store == "apiextensions.k8s.io/customresourcedefinitions":
        _fill_definition(spec)
    elif kind.store.startswith("rbac.authorization.k8s.io/"):
        _fill_subjects(document)


def _pod_specs(kind: KindInfo, spec: Document) -> list[Document]:
    if kind.store == "/pods":
        return [spec]
    for path in (("template", "spec"), ("jobTemplate", "spec", "template", "spec")):
        found = look_up(spec, path)
        if isinstance(found, dict):
            return [found]
    return []


def _fill_pod(pod: Document) -> None:
    if pod.get("serviceAccountName"):
        pod["serviceAccount"] = pod["serviceAccountName"]
    for container in (pod.get("containers") or []) + (pod.get("initContainers") or []):
        image = str(container.get("image") or "")
        tag = image.rpartition("/")[2].partition(":")[2]
        latest = "@" not in image and tag in {"", "latest"}
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        resources = container.get("resources") or {}
        if resources.get("limits"):
            requests = resources.setdefault("requests", {})
            for name, value in resources["limits"].items():
                requests.setdefault(name, value)


def _fill_rollout(strategy: Document, values: Document) -> None:
    if strategy.get("type") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        for name, value in values.items():
            rolling.setdefault(name, value)


def _fill_service(spec: Document) -> None:
    for port in spec.get("ports") or []:
        port.setdefault("targetPort", port.get("port"))
    if spec.get("clusterIP") == "None":
        spec.setdefault("clusterIPs", ["None"])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")


def _fill_event(event: Document) -> None:
    event.setdefault("eventTime", None)
    event.setdefault("reportingComponent", "")
    event.setdefault("reportingInstance", "")


def _fill_job(job: Document) -> None:
    spec = job.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    uid = job["metadata"].get("uid")
    if uid and not spec.get("selector"):
        labels = {"batch.kubernetes.io/controller-uid": uid}
        spec["selector"] = {"matchLabels": dict(labels)}
        template = spec.setdefault("template", {}).setdefault("metadata", {})
        name = job["metadata"]["name"]
        template.setdefault("labels", {}).update(
            labels | {"controller-uid": uid, "batch.kubernetes.io/job-name": name, "job-name": name}
        )


def _fill_definition(spec: Document) -> None:
    names = spec.setdefault("names", {})
    kind = str(names.get("kind") or "")
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")


def _fill_subjects(document: Document) -> None:
    for subject in document.get("subjects") or []:
        if subject.get("kind") in {"User", "Group"}:
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


_QUANTITY_MAPS = {"limits", "requests", "capacity", "allocatable", "overhead", "hard", "used"}


def quantities_to_text(value: Any) -> None:
    """Turn numbers in maps of quantities into texts, in place; that is how they are served."""
    if isinstance(value, list):
        for item in value:
            quantities_to_text(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in _QUANTITY_MAPS and isinstance(item, dict):
                for key, amount in item.items():
                    if isinstance(amount, int | float) and not isinstance(amount, bool):
                        item[key] = str(amount)
            else:
                quantities_to_text(item)
