"""PromQL for the built-in metrics, and the matchers that keep a detector within its scope.

Pure text. Nothing a tenant writes reaches a query unescaped: names become quoted strings, and lists
become alternations of literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from anomaly_operator.adapters.sources.interfaces import VIRTUAL
from anomaly_operator.ports import MetricInfo, SampleKind, Scope

# As a PromQL string has it: a backslash stands twice.
VIRTUAL_INTERFACES = VIRTUAL.replace("\\", "\\\\")

# Labels of our own that a query's result carries, or that help to find them.
POD_LABELS = "namespace, pod, node"
NODE_LABELS = "node, instance, nodename, kubernetes_node"


@dataclass(frozen=True, slots=True)
class Query:
    """One metric as a server understands it.

    ``text`` has ``${matchers}`` and ``${range}`` in it; ``labels`` says what our labels are called
    in its result where they are called otherwise.
    """

    info: MetricInfo
    text: str
    labels: Mapping[str, str] = field(default_factory=dict)
    built_in: bool = True
    probe: str = ""  # selector of raw samples, whose spacing sets ${range}


MEMORY = MetricInfo("memory_usage", "bytes", SampleKind.GAUGE, 2.0**16)
NETWORK_IN = MetricInfo("network_in", "bytes/s", SampleKind.GAUGE, 1.0)
NETWORK_OUT = MetricInfo("network_out", "bytes/s", SampleKind.GAUGE, 1.0)

# Within a container or an interface the largest counts: two scrapes of one kubelet, or the remains
# of a restarted container beside the new one, would else count twice.
_POD_MEMORY = (
    "container_memory_working_set_bytes{container!='',container!='POD',image!='',${matchers}}"
)
_HOST_PODS = (
    " unless on (namespace, pod) max by (namespace, pod) "
    "(kube_pod_info{host_network='true',${matchers}})"
)


def pod_queries(by: str) -> dict[str, Query]:
    """Built-in metrics of pods."""
    outer = "namespace, pod, container, node" if by == "container" else POD_LABELS
    memory = f"sum by ({outer}) (max by (namespace, pod, container, node) ({_POD_MEMORY}))"
    return {
        "memory_usage": Query(MEMORY, memory, probe=_POD_MEMORY),
        "network_in": _pod_network(NETWORK_IN, "receive"),
        "network_out": _pod_network(NETWORK_OUT, "transmit"),
    }


def _pod_network(info: MetricInfo, direction: str) -> Query:
    selector = (
        f"container_network_{direction}_bytes_total"
        f"{{pod!='',interface!~'{VIRTUAL_INTERFACES}',${{matchers}}}}"
    )
    text = (
        f"sum by ({POD_LABELS}) (max by (namespace, pod, interface, node) "
        f"(rate({selector}[${{range}}]))){_HOST_PODS}"
    )
    return Query(info, text, probe=selector)


def node_queries() -> dict[str, Query]:
    """Built-in metrics of nodes, from node exporters."""
    total = "node_memory_MemTotal_bytes{${matchers}}"
    free = "node_memory_MemAvailable_bytes{${matchers}}"
    return {
        "memory_usage": Query(MEMORY, f"max by ({NODE_LABELS}) ({total} - {free})", probe=total),
        "network_in": _node_network(NETWORK_IN, "receive"),
        "network_out": _node_network(NETWORK_OUT, "transmit"),
    }


def _node_network(info: MetricInfo, direction: str) -> Query:
    selector = (
        f"node_network_{direction}_bytes_total{{device!~'{VIRTUAL_INTERFACES}',${{matchers}}}}"
    )
    text = f"sum by ({NODE_LABELS}) (max by ({NODE_LABELS}, device) (rate({selector}[${{range}}])))"
    return Query(info, text, probe=selector)


def matchers(scope: Scope, extra: Mapping[str, str], *, namespace_label: str = "namespace") -> str:
    r"""Label matchers that every selector of a query gets; never empty, as commas stand by it.

    Examples
    --------
    >>> matchers(Scope("Pod", ("shop", "a.b")), {"cluster": "prod"})
    'cluster="prod",namespace=~"shop|a\\\\.b"'
    """
    parts = [f"{name}={quoted(value)}" for name, value in sorted(extra.items())]
    if scope.target_kind == "Pod":
        parts.append(namespace_matcher(scope.namespaces, namespace_label))
    elif not parts:
        parts.append(f'{namespace_label}=~".*"')
    return ",".join(parts)


def namespace_matcher(namespaces: Sequence[str] | None, label: str = "namespace") -> str:
    """Match these namespaces alone; all but the empty one where no list is given.

    An empty list is nothing at all, and a matcher must say so.
    """
    if namespaces is None:
        return f'{label}!=""'
    if len(namespaces) == 1:
        return f"{label}={quoted(namespaces[0])}"
    return f"{label}=~{alternation(namespaces) if namespaces else quoted('$^')}"


def alternation(values: Iterable[str]) -> str:
    """Quoted regular expression that matches exactly these strings."""
    return quoted("|".join(literal(value) for value in values))


def literal(value: str) -> str:
    """Escape what RE2 would read as more than a character."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value)


def quoted(value: str) -> str:
    """PromQL string literal."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def narrowing(scope: Scope, extra: Mapping[str, str]) -> str:
    """Restrict to label selectors of pods and namespaces, which kube-state-metrics knows.

    Written behind a query, this keeps its values and drops what does not match.
    """
    inside = ",".join(f"{name}={quoted(value)}" for name, value in sorted(extra.items()))
    chosen = {
        "kube_pod_labels": ("namespace, pod", scope.selector),
        "kube_namespace_labels": ("namespace", scope.namespace_selector),
    }
    return "".join(
        _having(metric, on, selector, inside)
        for metric, (on, selector) in chosen.items()
        if selector and scope.target_kind == "Pod"
    )


def selected_nodes(selector: Mapping[str, object], extra: Mapping[str, str]) -> str:
    """Query for the names of the nodes that a label selector chooses."""
    inside = ",".join(f"{name}={quoted(value)}" for name, value in sorted(extra.items()))
    wanted = ",".join([*selector_matchers(selector), *([inside] if inside else [])])
    return f"max by (node) (kube_node_labels{{{wanted}}})"


def _having(metric: str, on: str, selector: Mapping[str, object], inside: str) -> str:
    wanted = [*selector_matchers(selector), *([inside] if inside else [])]
    return f" and on ({on}) max by ({on}) ({metric}{{{','.join(wanted)}}})"


def selector_matchers(selector: Mapping[str, object]) -> list[str]:
    """Write a label selector as matchers over kube-state-metrics' ``label_*`` labels."""
    found = []
    labels = selector.get("matchLabels") or {}
    if isinstance(labels, Mapping):
        found += [f"{label_name(key)}={quoted(value)}" for key, value in sorted(labels.items())]
    expressions = selector.get("matchExpressions") or ()
    if isinstance(expressions, Sequence):
        for one in expressions:
            name, values = label_name(one["key"]), [str(value) for value in one.get("values") or ()]
            found.append(
                {
                    "In": f"{name}=~{alternation(values)}",
                    "NotIn": f"{name}!~{alternation(values)}",
                    "Exists": f'{name}!=""',
                    "DoesNotExist": f'{name}=""',
                }[one["operator"]]
            )
    return found


def label_name(key: str) -> str:
    """Name that kube-state-metrics gives a Kubernetes label."""
    return "label_" + re.sub(r"[^a-zA-Z0-9_]", "_", key)
