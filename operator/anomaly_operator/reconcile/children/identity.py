"""Who a worker is and what it may do: its own account, and no right it has no use for.

Accounts and workers stand in the operator's namespace, where no tenant can mount their tokens. In
the detector's namespace stands only a Role that names this one detector, and a binding of it.
"""

from __future__ import annotations

from anomaly_operator.api.group import GROUP
from anomaly_operator.reconcile.children.worker import Worker
from anomaly_operator.reconcile.naming import Body

RBAC = "rbac.authorization.k8s.io"
POD_READER = "anomaly-worker-pods"
CLUSTER_READER = "anomaly-worker-cluster"
KUBELET_READER = "anomaly-worker-kubelet"


def render(worker: Worker, *, sees_cluster: bool, reads_kubelets: bool) -> list[Body]:
    """Render the account, the Role to report with, and the bindings to read with."""
    documents = [_account(worker), _reporting_role(worker), _reporting_binding(worker)]
    if sees_cluster:
        documents.append(_cluster_binding(worker, CLUSTER_READER, suffix=""))
    else:
        documents.append(_namespace_binding(worker))
    if reads_kubelets:
        documents.append(_cluster_binding(worker, KUBELET_READER, suffix="-kubelet"))
    return documents


def _account(worker: Worker) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": worker.metadata(worker.name),
        "automountServiceAccountToken": False,
    }


def _reporting_role(worker: Worker) -> Body:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": worker.metadata(worker.name, namespace=worker.detector_namespace),
        "rules": [
            {
                "apiGroups": [GROUP],
                "resources": ["anomalydetectors/status"],
                "resourceNames": [worker.detector_name],
                "verbs": ["get", "patch"],  # get: to keep what it said before it had to start again
            },
            {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        ],
    }


def _reporting_binding(worker: Worker) -> Body:
    return _binding(
        worker,
        kind="RoleBinding",
        metadata=worker.metadata(worker.name, namespace=worker.detector_namespace),
        role={"apiGroup": RBAC, "kind": "Role", "name": worker.name},
    )


def _namespace_binding(worker: Worker) -> Body:
    return _binding(
        worker,
        kind="RoleBinding",
        metadata=worker.metadata(f"{worker.name}-pods", namespace=worker.detector_namespace),
        role={"apiGroup": RBAC, "kind": "ClusterRole", "name": POD_READER},
    )


def _cluster_binding(worker: Worker, role: str, *, suffix: str) -> Body:
    return _binding(
        worker,
        kind="ClusterRoleBinding",
        metadata=worker.metadata(f"{worker.name}{suffix}", namespace=""),
        role={"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
    )


def _binding(worker: Worker, *, kind: str, metadata: Body, role: Body) -> Body:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": role,
        "subjects": [
            {"kind": "ServiceAccount", "name": worker.name, "namespace": worker.namespace}
        ],
    }
