"""What pods and claims say about themselves: readings of dictionaries, no decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from anomaly_operator.reconcile.conditions import seconds
from anomaly_operator.reconcile.naming import REOPEN_HASH, Body


def condition(body: Body, type_: str) -> Mapping[str, Any]:
    """Return a condition of a pod or claim; empty where there is none."""
    found: Iterable[Mapping[str, Any]] = (body.get("status") or {}).get("conditions") or []
    return next((c for c in found if c.get("type") == type_), {})


def is_ready(pod: Body) -> bool:
    """Whether the pod serves and is not on its way out."""
    return condition(pod, "Ready").get("status") == "True" and not is_ending(pod)


def is_ending(pod: Body) -> bool:
    """Whether the pod was told to stop."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_running(pod: Body) -> bool:
    """Whether the worker's process runs, ready or not (it may still be catching up)."""
    running = (pod.get("status") or {}).get("phase") == "Running"
    return running and waiting(pod) is None and not is_ending(pod)


def is_over(pod: Body) -> bool:
    """Whether the pod's processes have ended for good."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def follows(pod: Body, reopen_hash: str) -> bool:
    """Whether the pod was started with the settings of this hash."""
    return bool((pod["metadata"].get("annotations") or {}).get(REOPEN_HASH) == reopen_hash)


def ordinal(pod: Body) -> int:
    """Number of the shard the pod is."""
    tail = str(pod["metadata"]["name"]).rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1


def unschedulable(pod: Body) -> str | None:
    """Return the scheduler's message where no node has room; None where it has or was not asked."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return str(scheduled.get("message") or "no node fits")
    return None


def waiting(pod: Body) -> tuple[str, str] | None:
    """Reason and message of a container that cannot run: crash loop, image, configuration."""
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        state = (container.get("state") or {}).get("waiting") or {}
        if state.get("reason") and state["reason"] not in {"ContainerCreating", "PodInitializing"}:
            return str(state["reason"]), str(state.get("message") or "")
    return None


def last_words(pod: Body) -> str:
    """How the worker's last run ended: reason, exit code and its last message."""
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        state = container.get("state") or {}
        over = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
        if over:
            said = str(over.get("message") or "").strip()
            ended = f"{over.get('reason') or 'Error'}, exit code {over.get('exitCode')}"
            return f"{ended}: {said}" if said else ended
    return ""


def age_s(body: Body, now_s: float) -> float:
    """Seconds since the object was created; 0 where the API gave no time."""
    created = seconds(body["metadata"].get("creationTimestamp"))
    return max(0.0, now_s - created) if created is not None else 0.0


def is_bound(claim: Body) -> bool:
    """Whether the claim has its volume."""
    return (claim.get("status") or {}).get("phase") == "Bound"
