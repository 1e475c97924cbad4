"""Whether a pod fits a node, and why not in the scheduler's own words: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.devcluster.controllers.templates import condition_status
from anomaly_operator.reconcile.quantities import parse_quantity

COUNTED = ("cpu", "memory")


def requests(pod: JsonObject) -> dict[str, Decimal]:
    """What a pod asks for: the sum over containers, or its largest init container if more."""
    total: dict[str, Decimal] = dict.fromkeys(COUNTED, Decimal(0))
    for container in pod["spec"].get("containers") or ():
        for name, amount in _requests_of(container).items():
            total[name] += amount
    for container in pod["spec"].get("initContainers") or ():
        for name, amount in _requests_of(container).items():
            if container.get("restartPolicy") == "Always":
                total[name] += amount
            else:
                total[name] = max(total[name], amount)
    return total


def _requests_of(container: JsonObject) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    # A limit without a request is a request of the same size.
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: parse_quantity(asked.get(name, 0)) for name in COUNTED}


def bound_node(pod: JsonObject) -> str:
    """Node the pod is on, or the one it is pinned to by name."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    for term in _node_terms(pod["spec"]):
        for entry in term.get("matchFields") or ():
            if entry["key"] == "metadata.name" and entry["operator"] == "In":
                return str(entry["values"][0])
    return ""


def pinned_to(node: str) -> JsonObject:
    """Affinity that admits one node only, as DaemonSets use it."""
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def selects_node(pod_spec: JsonObject, node: JsonObject) -> bool:
    """Node selector and required node affinity admit the node."""
    labels = node["metadata"].get("labels") or {}
    selector = pod_spec.get("nodeSelector") or {}
    if any(labels.get(name) != value for name, value in selector.items()):
        return False
    terms = _node_terms(pod_spec)
    fields = {"metadata.name": node["metadata"]["name"]}
    return not terms or any(
        all(_matches(entry, labels) for entry in term.get("matchExpressions") or ())
        and all(_matches(entry, fields) for entry in term.get("matchFields") or ())
        for term in terms
    )


def _node_terms(pod_spec: JsonObject) -> list[JsonObject]:
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms: list[JsonObject] = required.get("nodeSelectorTerms") or []
    return terms


def _matches(entry: JsonObject, values: Mapping[str, str]) -> bool:
    key, operator, wanted = entry["key"], entry["operator"], entry.get("values") or []
    match operator:
        case "In":
            return values.get(key) in wanted
        case "NotIn":
            return values.get(key) not in wanted
        case "Exists":
            return key in values
        case "DoesNotExist":
            return key not in values
        case "Gt":
            return key in values and int(values[key]) > int(wanted[0])
        case "Lt":
            return key in values and int(values[key]) < int(wanted[0])
    return False


def obstacle(pod: JsonObject, node: JsonObject, *, placed: Iterable[JsonObject]) -> str:
    """Why the pod cannot go to the node, or nothing when it can."""
    if node["spec"].get("unschedulable"):
        return "node(s) were unschedulable"
    if condition_status(node, "Ready") != "True":
        return "node(s) had untolerated taint(s) {node.kubernetes.io/not-ready: }"
    taint = _untolerated(pod, node)
    if taint:
        return f"node(s) had untolerated taint(s) {{{taint}}}"
    if not selects_node(pod["spec"], node):
        return "node(s) didn't match Pod's node affinity/selector"
    neighbours = list(placed)
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    if len(neighbours) + 1 > parse_quantity(allocatable.get("pods", 110)):
        return "Too many pods"
    wanted = requests(pod)
    for name in COUNTED:
        used = sum(requests(neighbour)[name] for neighbour in neighbours)
        if wanted[name] and used + wanted[name] > parse_quantity(allocatable.get(name, 0)):
            return f"Insufficient {name}"
    return ""


def _untolerated(pod: JsonObject, node: JsonObject) -> str:
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] == "PreferNoSchedule":
            continue
        tolerated = any(
            (not t.get("key") or t["key"] == taint["key"])
            and (t.get("operator") == "Exists" or t.get("value", "") == taint.get("value", ""))
            and (not t.get("effect") or t["effect"] == taint["effect"])
            for t in pod["spec"].get("tolerations") or ()
        )
        if not tolerated:
            return f"{taint['key']}: {taint.get('value', '')}"
    return ""


def explain(obstacles: Iterable[str]) -> str:
    """Message of a pod that fits nowhere, as the scheduler writes it."""
    counts = Counter(obstacles)
    total = sum(counts.values())
    if not total:
        return "no nodes available to schedule pods"
    reasons = ", ".join(f"{count} {text}" for text, count in sorted(counts.items()))
    helpful = any(text.startswith(("Insufficient", "Too many")) for text in counts)
    words = (
        "No preemption victims found for incoming pod"
        if helpful
        else "Preemption is not helpful for scheduling"
    )
    return (
        f"0/{total} nodes are available: {reasons}. "
        f"preemption: 0/{total} nodes are available: {total} {words}."
    )
