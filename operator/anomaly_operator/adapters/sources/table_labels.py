"""Labels of a table's series: a workload where the file has none, and what is in the target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from anomaly_operator.adapters.workloads import workload_of_name

Labels = Mapping[str, str]


class Narrowed(Protocol):
    """Where a detector looks: a target of the API, or a worker's scope."""

    @property
    def namespaces(self) -> Collection[str] | None:
        """Namespaces; empty or None is all."""

    @property
    def node_names(self) -> Collection[str]:
        """Nodes; empty is all."""


def with_workload(labels: Labels) -> Labels:
    """Add the workload that a pod's name tells of, where the file does not say."""
    if "workload" in labels or not labels.get("pod"):
        return labels
    return {**labels, "workload": workload_of_name(labels["pod"], labels.get("node", ""))}


def within_target(labels: Labels, target: Narrowed) -> bool:
    """Whether a series is looked at; a label that the file does not have excludes nothing."""
    namespace, node = labels.get("namespace"), labels.get("node")
    if namespace is not None and target.namespaces and namespace not in target.namespaces:
        return False
    return node is None or not target.node_names or node in target.node_names
