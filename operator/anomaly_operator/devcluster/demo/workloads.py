"""The demo's workloads: a shop whose pods really hold memory and really send traffic."""

from __future__ import annotations

from collections.abc import Mapping

from anomaly_operator.devcluster.apiclient.resources import JsonObject

NAMESPACE = "shop"
ORDERS = "orders"  # ConfigMap by which the demo tells pods to misbehave
ORDERS_PATH = "/etc/orders"
PROGRAMS = "anomaly_operator.devcluster.demo.programs"


def render_workloads() -> list[JsonObject]:
    """Namespace, permissions and Deployments, in the order to apply them."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *_permissions(),
        render_orders(leak=False, surge=False),
        _deployment("web", "web", replicas=3, variables={}),
        _deployment(
            "browser",
            "client",
            replicas=2,
            variables={"PACE": "8", "ASK": "30000", "SEND": "500", "SURGE": "1"},
        ),
        _deployment(
            "uploader",
            "client",
            replicas=1,
            variables={"PACE": "6", "ASK": "500", "SEND": "12000", "SURGE": "25"},
        ),
        _deployment(
            "cache",
            "cache",
            replicas=2,
            variables={
                "SIZE_MB": "24",
                "BREATH_MB": "1",
                "LEAK_MB_S": "0",
                "LEAK_LIMIT_MB": "0",
            },
        ),
        _deployment(
            "basket",
            "cache",
            replicas=1,
            variables={
                "SIZE_MB": "20",
                "BREATH_MB": "1",
                "LEAK_MB_S": "8",
                "LEAK_LIMIT_MB": "160",
            },
        ),
    ]


def render_orders(*, leak: bool, surge: bool) -> JsonObject:
    """What pods are told; each looks at the file of its own fault."""
    words = {"leak": "on" if leak else "off", "surge": "on" if surge else "off"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": ORDERS, "namespace": NAMESPACE},
        "data": words,
    }


def _permissions() -> list[JsonObject]:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "see-pods"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}
    metadata = {"name": "see-pods", "namespace": NAMESPACE}
    api_version = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": api_version, "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": api_version,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def _deployment(
    name: str, program: str, *, replicas: int, variables: Mapping[str, str]
) -> JsonObject:
    address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    environment = [
        address,
        {"name": "ORDERS", "value": ORDERS_PATH},
        *({"name": key, "value": value} for key, value in variables.items()),
    ]
    container: JsonObject = {
        "name": program,
        "image": f"demo/{program}:1",
        "command": ["python3", "-m", f"{PROGRAMS}.{program}"],
        "env": environment,
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"memory": "256Mi"},
        },
        "volumeMounts": [{"name": "orders", "mountPath": ORDERS_PATH}],
    }
    if program == "web":
        container["ports"] = [{"name": "http", "containerPort": 8080}]
        container["readinessProbe"] = {"tcpSocket": {"port": "http"}, "periodSeconds": 10}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [container],
                    "volumes": [{"name": "orders", "configMap": {"name": ORDERS}}],
                },
            },
        },
    }
