"""What tests of the stand-in's API server share: an HTTP client, and a CRD that uses everything."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from anomaly_operator.devcluster.apiserver.background import RunningApiServer

Document = dict[str, Any]


def client_for(server: RunningApiServer, token: str | None = None) -> httpx.Client:
    """Return an HTTP client with the admin's token, or another."""
    context = ssl.create_default_context(cafile=str(server.server.authority.certificate))
    return httpx.Client(
        base_url=server.url,
        verify=context,
        headers={"Authorization": f"Bearer {token or server.server.admin_token}"},
        timeout=20,
    )


WIDGET_SCHEMA: Document = {
    "type": "object",
    "x-kubernetes-validations": [
        {
            "rule": "!has(self.status) || !has(self.status.used) || "
            "self.spec.limit == oldSelf.spec.limit || self.spec.limit >= self.status.used",
            "messageExpression": "'limit is below the %d in use'.format([self.status.used])",
            "fieldPath": ".spec.limit",
            "reason": "FieldValueForbidden",
        }
    ],
    "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-validations": [
                {
                    "rule": "has(oldSelf.profile) == has(self.profile)",
                    "message": "profile may not come or go",
                }
            ],
            "properties": {
                "color": {"type": "string", "enum": ["red", "green"]},
                "limit": {"type": "integer", "minimum": 1, "default": 100},
                "profile": {
                    "type": "string",
                    "x-kubernetes-validations": [
                        {"rule": "self == oldSelf", "message": "profile is immutable"}
                    ],
                },
                "memory": {"x-kubernetes-int-or-string": True, "maxLength": 20},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
                    },
                },
                "tags": {
                    "type": "array",
                    "x-kubernetes-list-type": "set",
                    "items": {"type": "string"},
                },
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "used": {"type": "integer"},
                "conditions": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                    "items": {
                        "type": "object",
                        "required": ["type", "status"],
                        "properties": {
                            "type": {"type": "string"},
                            "status": {"type": "string"},
                            "reason": {"type": "string"},
                        },
                    },
                },
            },
        },
    },
}


def definition(plural: str = "widgets", kind: str = "Widget", **schema: Any) -> Document:
    """Return a CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, "shortNames": [plural[:3]]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".spec.color"}],
                    "additionalPrinterColumns": [
                        {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                        {
                            "name": "Ready",
                            "type": "string",
                            "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
                        },
                        {
                            "name": "Age",
                            "type": "date",
                            "jsonPath": ".metadata.creationTimestamp",
                        },
                    ],
                    "schema": {"openAPIV3Schema": schema or WIDGET_SCHEMA},
                }
            ],
        },
    }


WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def widget(name: str, **spec: Any) -> Document:
    """Return a widget."""
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": spec,
    }
