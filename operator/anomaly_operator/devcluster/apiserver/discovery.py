"""Tells clients what is served: /api, /apis, and the aggregated form of newer clients."""

from __future__ import annotations

import base64
import hashlib

from anomaly_operator.devcluster.apiserver.catalog import Catalog
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.kinds import KindInfo

DISCOVERY_GROUP = "apidiscovery.k8s.io"
STATUS_VERBS = ("get", "patch", "update")


_CUSTOM_VERBS = (
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
)


def _storage_hash(kind: KindInfo) -> str:
    """Return the mark by which clients see that objects are stored in another version."""
    text = f"{kind.group}/{kind.storage_version}/{kind.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def subresources_of(kind: KindInfo) -> list[tuple[str, Document, tuple[str, ...]]]:
    """Return (name, group-version-kind, verbs) of each subresource."""
    own = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    found: list[tuple[str, Document, tuple[str, ...]]] = []
    if kind.has_status:
        found.append(("status", own, STATUS_VERBS))
    if kind.scale is not None:
        scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        found.append(("scale", scale, STATUS_VERBS))
    special: dict[str, tuple[Document, tuple[str, ...]]] = {
        "log": (own, ("get",)),
        "eviction": ({"group": "policy", "version": "v1", "kind": "Eviction"}, ("create",)),
        "binding": ({"group": "", "version": "v1", "kind": "Binding"}, ("create",)),
        "token": (
            {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"},
            ("create",),
        ),
        "finalize": (own, ("update",)),
        "proxy": ({"group": "", "version": "v1", "kind": "NodeProxyOptions"}, ("get",)),
    }
    found += [(name, *special[name]) for name in kind.more_subresources]
    return found


def resource_list(catalog: Catalog, group: str, version: str) -> Document:
    """Return the APIResourceList of a group and version."""
    resources: list[Document] = []
    for kind in catalog.kinds(group, version):
        entry: Document = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(kind.verbs),
        }
        if kind.is_custom:
            entry |= {"verbs": list(_CUSTOM_VERBS), "storageVersionHash": _storage_hash(kind)}
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        resources.append(entry)
        for name, target, verbs in subresources_of(kind):
            inner: Document = {
                "name": f"{kind.plural}/{name}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": target["kind"],
                "verbs": list(verbs),
            }
            if (target["group"], target["version"]) != (group, version):
                inner |= {"group": target["group"], "version": target["version"]}
            resources.append(inner)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def group_document(catalog: Catalog, group: str) -> Document:
    """Return the APIGroup."""
    versions = [
        {"groupVersion": f"{group}/{version}", "version": version}
        for version in catalog.versions(group)
    ]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": group,
        "versions": versions,
        "preferredVersion": versions[0],
    }


def group_list(catalog: Catalog) -> Document:
    """Return the APIGroupList: every group but the core one."""
    groups = []
    for group in filter(None, catalog.groups()):
        entry = group_document(catalog, group)
        del entry["kind"], entry["apiVersion"]
        groups.append(entry)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def core_versions(address: str) -> Document:
    """Return the APIVersions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def aggregated(catalog: Catalog, *, core: bool, version: str) -> Document:
    """Return the APIGroupDiscoveryList of the core group or of all others."""
    groups = [""] if core else [group for group in catalog.groups() if group]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"{DISCOVERY_GROUP}/{version}",
        "metadata": {},
        "items": [_aggregated_group(catalog, group) for group in groups],
    }


def _aggregated_group(catalog: Catalog, group: str) -> Document:
    return {
        "metadata": {"name": group, "creationTimestamp": None},
        "versions": [
            {
                "version": version,
                "resources": [_aggregated_kind(kind) for kind in catalog.kinds(group, version)],
                "freshness": "Current",
            }
            for version in catalog.versions(group)
        ],
    }


def _aggregated_kind(kind: KindInfo) -> Document:
    entry: Document = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    inner = [
        {"subresource": name, "responseKind": target, "verbs": list(verbs)}
        for name, target, verbs in subresources_of(kind)
    ]
    if inner:
        entry["subresources"] = inner
    return entry
