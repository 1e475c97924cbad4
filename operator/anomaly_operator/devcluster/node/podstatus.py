"""A pod's status from its containers' states: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.devcluster.controllers.templates import updated_condition
from anomaly_operator.devcluster.node.containers import ContainerState


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the node knows of a pod it runs."""

    address: str
    host_address: str
    started_at: str
    initialised: bool
    init: Sequence[ContainerState]
    main: Sequence[ContainerState]


def render_pod_status(pod: JsonObject, facts: PodFacts) -> JsonObject:
    """Phase, conditions and container statuses."""
    phase = _phase(pod, facts)
    finished = phase in {"Succeeded", "Failed"}
    unready = [state.name for state in facts.main if not state.ready]
    ready_words = _ready_words(phase, unready)
    uninitialised = [state.name for state in facts.init if state.exit_code != 0]
    init_words = (
        {}
        if facts.initialised
        else {
            "reason": "ContainersNotInitialized",
            "message": f"containers with incomplete status: [{' '.join(uninitialised)}]",
        }
    )
    conditions = [
        updated_condition(pod, "PodReadyToStartContainers", status=not finished),
        updated_condition(pod, "Initialized", status=facts.initialised, **init_words),
        updated_condition(pod, "Ready", status=not unready, **ready_words),
        updated_condition(pod, "ContainersReady", status=not unready, **ready_words),
        updated_condition(pod, "PodScheduled", status=True),
    ]
    return {
        "phase": phase,
        "conditions": conditions,
        "hostIP": facts.host_address,
        "hostIPs": [{"ip": facts.host_address}],
        "podIP": facts.address,
        "podIPs": [{"ip": facts.address}],
        "startTime": facts.started_at,
        "qosClass": (pod.get("status") or {}).get("qosClass") or _quality(pod),
        "containerStatuses": [_container_status(state) for state in facts.main],
        **(
            {"initContainerStatuses": [_container_status(state) for state in facts.init]}
            if facts.init
            else {}
        ),
    }


def _ready_words(phase: str, unready: Sequence[str]) -> dict[str, str]:
    if phase == "Succeeded":
        return {"reason": "PodCompleted"}
    if phase == "Failed":
        return {"reason": "PodFailed"}
    if not unready:
        return {}
    message = f"containers with unready status: [{' '.join(unready)}]"
    return {"reason": "ContainersNotReady", "message": message}


def _phase(pod: JsonObject, facts: PodFacts) -> str:
    policy = pod["spec"].get("restartPolicy", "Always")
    if not facts.initialised:
        failed = any(state.exit_code not in {None, 0} for state in facts.init)
        return "Failed" if failed and policy == "Never" else "Pending"
    codes = [state.exit_code for state in facts.main]
    if policy != "Always" and all(code is not None for code in codes):
        if all(code == 0 for code in codes):
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    begun = any("waiting" not in s.state or s.last_state or s.restart_count for s in facts.main)
    return "Running" if begun else "Pending"


def _quality(pod: JsonObject) -> str:
    resources = [container.get("resources") or {} for container in pod["spec"]["containers"]]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(each.get("limits") or {})
        and all(
            (each.get("requests") or {}).get(name, limit) == limit
            for name, limit in each["limits"].items()
        )
        for each in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _container_status(state: ContainerState) -> JsonObject:
    return {
        "name": state.name,
        "image": state.image,
        "imageID": "",
        "containerID": state.container_id,
        "state": state.state,
        "lastState": state.last_state,
        "restartCount": state.restart_count,
        "ready": state.ready,
        "started": state.started,
    }
