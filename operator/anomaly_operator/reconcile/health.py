"""Why workers are not running: from the API server's refusal down to the crash of a process.

Every one of these goes away by itself when its cause does; nothing has to be restarted by hand.
"""

from __future__ import annotations

from anomaly_operator.api.v1alpha1.conditions import Reason
from anomaly_operator.reconcile import pods, reasons
from anomaly_operator.reconcile.children.stateful_set import REFUSED_AT
from anomaly_operator.reconcile.naming import Body
from anomaly_operator.reconcile.state import Finding, Observed

_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_MOUNTS = frozenset({"FailedMount", "FailedAttachVolume"})


def children_are_accepted(observed: Observed) -> Finding | None:
    """Tell what the API server refused when the plan was last carried out."""
    if observed.apply_error:
        return Finding(reasons.CHILDREN_REFUSED, observed.apply_error)
    return None


def pods_can_be_created(observed: Observed) -> Finding | None:
    """Tell of quota or admission that keeps the StatefulSet from creating pods."""
    refused = [refusal for refusal in observed.refusals if refusal.reason == "FailedCreate"]
    if refused and not observed.pods:
        return Finding(reasons.PODS_REFUSED, refused[-1].message)
    return None


def claims_are_bound(observed: Observed) -> Finding | None:
    """Tell of a claim that nobody gives a volume to."""
    patience_s = observed.config.claim_patience_s
    unbound = [
        claim
        for claim in observed.claims
        if not pods.is_bound(claim) and pods.age_s(claim, observed.now_s) >= patience_s
    ]
    if not unbound or any(_is_about_room(text) for text in _unschedulable(observed)):
        return None
    claim = unbound[0]
    storage_class = claim["spec"].get("storageClassName") or "the cluster's default"
    more = f" and {len(unbound) - 1} more" if len(unbound) > 1 else ""
    return Finding(
        Reason.VOLUME_UNBOUND,
        f"PersistentVolumeClaim {observed.config.namespace}/{claim['metadata']['name']}{more} "
        f"is not bound (storage class: {storage_class}); install a provisioner, or configure "
        "the operator with volume mode emptyDir",
    )


def nodes_have_room(observed: Observed) -> Finding | None:
    """Tell of workers that fit on no node, now or when it was last tried."""
    lazy = getattr(observed.spec, "allow_lazy_open", False)
    reason = Reason.WAITING_FOR_CAPACITY if lazy else Reason.INSUFFICIENT_CAPACITY
    for text in _unschedulable(observed):
        if _is_about_room(text):
            return Finding(reason, f"no node has room for the worker: {text}")
    stateful_set = observed.child("StatefulSet") or {"metadata": {}}
    noted = (stateful_set["metadata"].get("annotations") or {}).get(REFUSED_AT)
    if noted and not lazy and not stateful_set.get("spec", {}).get("replicas"):
        return Finding(
            Reason.INSUFFICIENT_CAPACITY,
            f"no node had room for the worker at {noted}; it is tried again every "
            f"{observed.config.capacity_retry_s / 60:g} min, at once when the spec changes, and "
            "waits for room with allowLazyOpen: true",
        )
    return None


def image_can_be_pulled(observed: Observed) -> Finding | None:
    """Tell of an image that the node cannot get."""
    for pod in observed.pods:
        state = pods.waiting(pod)
        if state and state[0] in _IMAGE:
            return Finding(
                reasons.IMAGE_UNAVAILABLE,
                f"pod {pod['metadata']['name']}: {state[0]}: {state[1] or _image(pod)}",
            )
    return None


def volumes_can_be_mounted(observed: Observed) -> Finding | None:
    """Tell of a Secret or volume that is not there."""
    refused = [refusal for refusal in observed.refusals if refusal.reason in _MOUNTS]
    if refused and any(not pods.is_ready(pod) for pod in observed.pods):
        return Finding(reasons.MOUNT_FAILED, refused[-1].message)
    return None


def workers_stay_up(observed: Observed) -> Finding | None:
    """Tell of a worker that ends again and again, with its last words."""
    for pod in observed.pods:
        state = pods.waiting(pod)
        name = pod["metadata"]["name"]
        if state and state[0] not in _IMAGE:
            words = pods.last_words(pod) or state[1] or "no message"
            return Finding(Reason.WORKER_FAILING, f"pod {name}: {state[0]}: {words}")
        if pods.is_over(pod):
            words = pods.last_words(pod) or (pod.get("status") or {}).get("message") or "ended"
            return Finding(Reason.WORKER_FAILING, f"pod {name}: {words}")
    return None


def _unschedulable(observed: Observed) -> list[str]:
    found = (pods.unschedulable(pod) for pod in observed.pods)
    return [text for text in found if text is not None]


def _is_about_room(text: str) -> bool:
    # The scheduler reports unbound and missing claims as Unschedulable too.
    lowered = text.lower()
    return not any(word in lowered for word in ("persistentvolumeclaim", "persistent volume"))


def _image(pod: Body) -> str:
    containers = pod.get("spec", {}).get("containers") or [{}]
    return str(containers[0].get("image", "unknown image"))
