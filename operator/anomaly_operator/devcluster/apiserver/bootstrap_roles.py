"""The default ClusterRoles: view, edit and admin, aggregated, cluster-admin, and discovery.

The lists are what matters to this project's users of the real ones: every kind the stand-in serves
stands in the same role, with the same verbs, as in a cluster with the usual defaults.
"""

from __future__ import annotations

from collections.abc import Sequence

from anomaly_operator.devcluster.apiserver.documents import Document

RBAC = "rbac.authorization.k8s.io"
READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
_BOOTSTRAPPING = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

_CORE_VIEW = (
    "configmaps",
    "endpoints",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "pods",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "serviceaccounts",
    "services",
    "services/status",
    "bindings",
    "events",
    "limitranges",
    "namespaces/status",
    "pods/log",
    "pods/status",
    "replicationcontrollers/status",
    "resourcequotas",
    "resourcequotas/status",
    "namespaces",
)
_APPS = (
    "daemonsets",
    "deployments",
    "deployments/scale",
    "replicasets",
    "replicasets/scale",
    "statefulsets",
    "statefulsets/scale",
)
_APPS_VIEW = (
    "controllerrevisions",
    *_APPS,
    "daemonsets/status",
    "deployments/status",
    "replicasets/status",
    "statefulsets/status",
)
_BATCH = ("cronjobs", "jobs")


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Document:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _view_rules() -> list[Document]:
    return [
        _rule("", _CORE_VIEW, READ),
        _rule("discovery.k8s.io", ("endpointslices",), READ),
        _rule("apps", _APPS_VIEW, READ),
        _rule("autoscaling", ("horizontalpodautoscalers",), READ),
        _rule("batch", (*_BATCH, "cronjobs/status", "jobs/status"), READ),
        _rule("policy", ("poddisruptionbudgets", "poddisruptionbudgets/status"), READ),
        _rule("networking.k8s.io", ("ingresses", "ingresses/status", "networkpolicies"), READ),
    ]


def _edit_rules() -> list[Document]:
    attach = (
        "pods/attach",
        "pods/exec",
        "pods/portforward",
        "pods/proxy",
        "secrets",
        "services/proxy",
    )
    return [
        _rule("", attach, READ),
        _rule("", ("serviceaccounts",), ("impersonate",)),
        _rule("", ("pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"), WRITE),
        _rule("", ("pods/eviction",), ("create",)),
        _rule(
            "",
            (
                "configmaps",
                "events",
                "persistentvolumeclaims",
                "replicationcontrollers",
                "replicationcontrollers/scale",
                "secrets",
                "serviceaccounts",
                "services",
                "services/proxy",
            ),
            WRITE,
        ),
        _rule("", ("serviceaccounts/token",), ("create",)),
        _rule("apps", (*_APPS, "deployments/rollback"), WRITE),
        _rule("autoscaling", ("horizontalpodautoscalers",), WRITE),
        _rule("batch", _BATCH, WRITE),
        _rule("policy", ("poddisruptionbudgets",), WRITE),
        _rule("networking.k8s.io", ("ingresses", "networkpolicies"), WRITE),
        _rule("coordination.k8s.io", ("leases",), (*WRITE, *READ)),
    ]


def _admin_rules() -> list[Document]:
    return [
        _rule("authorization.k8s.io", ("localsubjectaccessreviews",), ("create",)),
        _rule(RBAC, ("rolebindings", "roles"), (*WRITE, *READ)),
    ]


def _role(
    name: str, rules: list[Document] | None, *, aggregate_to: str = "", gathers: str = ""
) -> Document:
    labels = dict(_BOOTSTRAPPING)
    if aggregate_to:
        labels[_AGGREGATE + aggregate_to] = "true"
    role: Document = {"metadata": {"name": name, "labels": labels}, "rules": rules or []}
    if gathers:
        selector = {"matchLabels": {_AGGREGATE + gathers: "true"}}
        role["aggregationRule"] = {"clusterRoleSelectors": [selector]}
    return role


def roles() -> list[Document]:
    """Return the default ClusterRoles; aggregated ones fill themselves."""
    everything = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]
    health = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
    paths = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *health]
    reviews = ("selfsubjectaccessreviews", "selfsubjectrulesreviews")
    view = _role("view", None, aggregate_to="edit", gathers="view")
    edit = _role("edit", None, aggregate_to="admin", gathers="edit")
    return [
        _role("cluster-admin", everything),
        _role("system:aggregate-to-view", _view_rules(), aggregate_to="view"),
        _role("system:aggregate-to-edit", _edit_rules(), aggregate_to="edit"),
        _role("system:aggregate-to-admin", _admin_rules(), aggregate_to="admin"),
        view,
        edit,
        _role("admin", None, gathers="admin"),
        _role("system:discovery", [{"nonResourceURLs": paths, "verbs": ["get"]}]),
        _role("system:public-info-viewer", [{"nonResourceURLs": health, "verbs": ["get"]}]),
        _role(
            "system:basic-user",
            [
                _rule("authorization.k8s.io", reviews, ("create",)),
                _rule("authentication.k8s.io", ("selfsubjectreviews",), ("create",)),
            ],
        ),
        _role(
            "system:auth-delegator",
            [
                _rule("authentication.k8s.io", ("tokenreviews",), ("create",)),
                _rule("authorization.k8s.io", ("subjectaccessreviews",), ("create",)),
            ],
        ),
    ]


def bindings() -> list[Document]:
    """Return the default ClusterRoleBindings."""
    pairs = (
        ("cluster-admin", ("system:masters",)),
        ("system:discovery", ("system:authenticated",)),
        ("system:basic-user", ("system:authenticated",)),
        ("system:public-info-viewer", ("system:authenticated", "system:unauthenticated")),
    )
    return [
        {
            "metadata": {"name": name, "labels": dict(_BOOTSTRAPPING)},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group} for group in groups],
        }
        for name, groups in pairs
    ]
