"""Admission that users notice: namespaces that are there and alive, and Pod Security."""

from __future__ import annotations

from anomaly_operator.devcluster.apiserver import pod_security
from anomaly_operator.devcluster.apiserver.documents import Document, look_up
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.refusals import Refusal, forbidden, not_found
from anomaly_operator.devcluster.apiserver.storage import Store
from anomaly_operator.devcluster.apiserver.write_options import WriteOptions

# A control loop takes them off what is deleted and in use no more.
_IN_USE_MARKS = {
    "/persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "/persistentvolumes": "kubernetes.io/pv-protection",
}
NEVER_DELETED = {"default", "kube-system", "kube-public"}


def before_create(
    store: Store, kind: KindInfo, document: Document, *, options: WriteOptions
) -> None:
    """Refuse what may not be created here and now; complete what admission completes."""
    metadata = document["metadata"]
    if kind.namespaced:
        _check_namespace(store, kind, document)
    mark = _IN_USE_MARKS.get(kind.store)
    if mark is not None and mark not in metadata.setdefault("finalizers", []):
        metadata["finalizers"].append(mark)
    if kind.store == "/pods":
        _complete_pod(document)
        labels = _namespace_labels(store, str(metadata["namespace"]))
        pod_security.check_pod(document, labels, options=options)
    elif look_up(document, ("spec", "template", "spec", "containers")) and not kind.is_custom:
        labels = _namespace_labels(store, str(metadata["namespace"]))
        pod_security.warn_of_template(document, labels, options=options)


def before_update(
    store: Store, kind: KindInfo, document: Document, *, old: Document, options: WriteOptions
) -> None:
    """Warn of pod templates that the namespace's policy will refuse."""
    template = ("spec", "template", "spec")
    if kind.is_custom or look_up(document, template) == look_up(old, template):
        return
    if look_up(document, (*template, "containers")):
        labels = _namespace_labels(store, str(document["metadata"]["namespace"]))
        pod_security.warn_of_template(document, labels, options=options)


def refuse_namespace_deletion(name: str) -> None:
    """Refuse the deletion of the namespaces every cluster has."""
    if name in NEVER_DELETED:
        raise forbidden("namespaces", "", name=name, why="this namespace may not be deleted")


def _namespace_labels(store: Store, namespace: str) -> Document:
    stored = store.get("/namespaces", ("", namespace))
    labels = look_up(stored.document, ("metadata", "labels")) if stored else None
    return labels or {}


def _check_namespace(store: Store, kind: KindInfo, document: Document) -> None:
    name = str(document["metadata"]["namespace"])
    stored = store.get("/namespaces", ("", name))
    if stored is None:
        raise not_found("namespaces", "", name=name)
    if look_up(stored.document, ("status", "phase")) != "Terminating":
        return
    why = f"unable to create new content in namespace {name} because it is being terminated"
    refusal = forbidden(kind.plural, kind.group, name=str(document["metadata"]["name"]), why=why)
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {name} is being terminated",
        "field": "metadata.namespace",
    }
    details = (refusal.details or {}) | {"causes": [cause]}
    raise Refusal(403, "Forbidden", message=refusal.message, details=details)


def _complete_pod(pod: Document) -> None:
    spec = pod.setdefault("spec", {})
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(each.get("key") in {key, None} for each in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
            )
    containers = (spec.get("containers") or []) + (spec.get("initContainers") or [])
    pod.setdefault("status", {})["qosClass"] = _qos_class(containers)


def _qos_class(containers: list[Document]) -> str:
    demands = [each.get("resources") or {} for each in containers]
    if not any(each.get("limits") or each.get("requests") for each in demands):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= (each.get("limits") or {}).keys()
        and (each.get("requests") or each["limits"]) == each["limits"]
        for each in demands
    )
    return "Guaranteed" if guaranteed else "Burstable"
