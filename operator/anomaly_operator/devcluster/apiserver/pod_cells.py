"""How a pod is, in the few words of ``kubectl get pods``."""

from __future__ import annotations

from anomaly_operator.devcluster.apiserver.documents import Document, look_up
from anomaly_operator.devcluster.apiserver.printer_columns import age


def _statuses(pod: Document) -> list[Document]:
    return look_up(pod, ("status", "containerStatuses")) or []


def pod_ready(pod: Document) -> str:
    """Return ``1/2``: containers that are ready, of all."""
    ready = sum(1 for each in _statuses(pod) if each.get("ready"))
    return f"{ready}/{len(look_up(pod, ('spec', 'containers')) or [])}"


def pod_status(pod: Document) -> str:
    """Return the one word for how a pod is: its phase, or what is wrong with a container."""
    status = pod.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    initialising = _init_reason(pod)
    if initialising is not None:
        reason = initialising
    else:
        running = False
        for each in reversed(_statuses(pod)):
            state = each.get("state") or {}
            waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
            if waiting.get("reason"):
                reason = str(waiting["reason"])
            elif ended:
                reason = str(ended.get("reason") or _exit_text(ended))
            elif each.get("ready") and "running" in state:
                running = True
        if reason == "Completed" and running:
            reason = "Running" if _is_ready(pod) else "NotReady"
    if look_up(pod, ("metadata", "deletionTimestamp")):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return reason


def _init_reason(pod: Document) -> str | None:
    statuses = look_up(pod, ("status", "initContainerStatuses")) or []
    for index, each in enumerate(statuses):
        state = each.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if ended is not None:
            return f"Init:{ended.get('reason') or _exit_text(ended)}"
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(look_up(pod, ('spec', 'initContainers')) or [])}"
    return None


def _exit_text(ended: Document) -> str:
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _is_ready(pod: Document) -> bool:
    conditions = look_up(pod, ("status", "conditions")) or []
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def pod_restarts(pod: Document) -> str:
    """Return how often containers were restarted, and when last: ``3 (2m ago)``."""
    count = sum(int(each.get("restartCount") or 0) for each in _statuses(pod))
    last = [
        finished
        for each in _statuses(pod)
        if (finished := look_up(each, ("lastState", "terminated", "finishedAt")))
    ]
    return f"{count} ({age(max(last))} ago)" if count and last else str(count)
