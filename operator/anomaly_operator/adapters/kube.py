"""The Kubernetes API through the official client: get, list, watch, server-side apply, events.

Controller and worker both speak to the cluster through this one file. Bodies are plain
dictionaries, as the API sends them: the client's generated models would drop fields they do not
know. Calls block; the controller runs them in threads.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlencode

import urllib3
from kubernetes import client, config

from anomaly_operator.errors import AnomalyOperatorError

logger = logging.getLogger(__name__)

Body = dict[str, Any]

LIST_PAGE = 500  # what kubectl asks for; keeps one answer below a few megabytes
REQUEST_TIMEOUT_S = (5.0, 30.0)  # connect, read; an API server that hangs must not hang us
APPLY = "application/apply-patch+yaml"


class Resource(NamedTuple):
    """Where a kind lives in the API."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True


GROUP_VERSION = "anomaly-operator.dev/v1alpha1"
ANOMALY_DETECTORS = Resource(GROUP_VERSION, "AnomalyDetector", "anomalydetectors")
ANOMALY_FILTERS = Resource(GROUP_VERSION, "AnomalyFilter", "anomalyfilters")
METRIC_SOURCES = Resource(GROUP_VERSION, "MetricSource", "metricsources", namespaced=False)
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts")
SERVICES = Resource("v1", "Service", "services")
PODS = Resource("v1", "Pod", "pods")
NODES = Resource("v1", "Node", "nodes", namespaced=False)
NAMESPACES = Resource("v1", "Namespace", "namespaces", namespaced=False)
CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
EVENTS = Resource("v1", "Event", "events")
STATEFUL_SETS = Resource("apps/v1", "StatefulSet", "statefulsets")
NETWORK_POLICIES = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
ROLES = Resource("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
POD_MONITORS = Resource("monitoring.coreos.com/v1", "PodMonitor", "podmonitors")
PROMETHEUS_RULES = Resource("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules")

RESOURCES: Mapping[str, Resource] = {
    resource.kind: resource
    for resource in (
        ANOMALY_DETECTORS,
        ANOMALY_FILTERS,
        METRIC_SOURCES,
        CONFIG_MAPS,
        SERVICE_ACCOUNTS,
        SERVICES,
        PODS,
        NODES,
        NAMESPACES,
        CLAIMS,
        EVENTS,
        STATEFUL_SETS,
        NETWORK_POLICIES,
        ROLES,
        ROLE_BINDINGS,
        CLUSTER_ROLE_BINDINGS,
        POD_MONITORS,
        PROMETHEUS_RULES,
    )
}


class KubeError(AnomalyOperatorError):
    """The API server refused, failed, or could not be reached (status 0)."""

    def __init__(
        self, message: str, *, status: int, reason: str = "", retry_after_s: float | None = None
    ) -> None:
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(message)

    @property
    def lasting(self) -> bool:
        """Whether the same call would be refused again: the request is wrong or not allowed."""
        return self.status in {400, 401, 403, 404, 405, 409, 410, 415, 422}


class WatchExpired(KubeError):
    """The resource version is too old to watch from; list again."""


class Page(NamedTuple):
    """One whole list and the version to watch from."""

    items: list[Body]
    resource_version: str


class Access(NamedTuple):
    """How the API server is reached, for another client that should reach the same one."""

    server: str
    ca_path: str | None
    insecure: bool
    authorization: str  # the header, fresh; "" where a certificate says who we are
    certificate_path: str | None
    private_key_path: str | None


class Kube:
    """Calls against one API server; safe to share between threads."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    def connect(cls, kubeconfig: str | None = None) -> Self:
        """Connect as kubectl would: the file given, else KUBECONFIG, else the pod's own account."""
        settings = client.Configuration()
        path = kubeconfig or os.environ.get("KUBECONFIG")
        if path:
            _load(config.load_kube_config, config_file=path, client_configuration=settings)
        elif os.environ.get("KUBERNETES_SERVICE_HOST"):
            _load(config.load_incluster_config, client_configuration=settings)
        else:
            _load(config.load_kube_config, client_configuration=settings)
        settings.connection_pool_maxsize = 16  # a dozen watches and the calls beside them
        settings.retries = False  # the caller backs off; a write must not be sent twice unseen
        return cls(client.ApiClient(configuration=settings))

    def close(self) -> None:
        """Release connections."""
        close: Callable[[], None] = self._api.close
        close()

    def access(self) -> Access:
        """Return how this client reaches the API server, with a token that is valid now."""
        settings = self._api.configuration
        return Access(
            server=settings.host,
            ca_path=settings.ssl_ca_cert,
            insecure=not settings.verify_ssl,
            authorization=settings.get_api_key_with_prefix("BearerToken") or "",
            certificate_path=settings.cert_file,
            private_key_path=settings.key_file,
        )

    def get(
        self, resource: Resource, name: str, *, namespace: str = "", subresource: str = ""
    ) -> Body | None:
        """Return one object, or None where there is none."""
        path = _path(resource, name=name, namespace=namespace)
        try:
            return self._call("GET", f"{path}/{subresource}" if subresource else path)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def list(
        self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Page:
        """Return all matching objects, read page by page; "" is all namespaces."""
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(LIST_PAGE)}
        items: list[Body] = []
        while True:
            page = self._call("GET", _path(resource, namespace=namespace), query=query)
            for item in page.get("items") or []:
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                items.append(item)
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Page(items, metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    def watch(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        labels: str = "",
        resource_version: str = "",
        timeout_s: int = 300,
    ) -> Iterator[tuple[str, Body]]:
        """Yield (ADDED | MODIFIED | DELETED | BOOKMARK, object) until the server ends the stream.

        Raises WatchExpired where the version is too old, KubeError on anything else.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": labels,
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_s),
        }
        # Bookmarks come about every minute, so a silent stream is a dead one.
        response = self._send(
            "GET", _path(resource, namespace=namespace), query=query, timeout=(5.0, 90.0)
        )
        try:
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _status_error(event["object"], place=f"watch {resource.plural}")
                yield event["type"], event["object"]
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise KubeError(f"watch {resource.plural}: stream broke: {error}", status=0) from error
        finally:
            response.close()

    def apply(
        self, body: Body, *, field_manager: str, subresource: str = "", force: bool = True
    ) -> Body:
        """Server-side apply: own exactly the fields of ``body``; returns the stored object.

        Taking fields from others (``force``) is what a controller does with its own fields, so that
        drift heals; fields that ``body`` does not name stay as they are.
        """
        resource = RESOURCES[body["kind"]]
        metadata = body["metadata"]
        path = _path(resource, name=metadata["name"], namespace=metadata.get("namespace", "")) + (
            f"/{subresource}" if subresource else ""
        )
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        return self._call("PATCH", path, query=query, body=body, content_type=APPLY)

    def create(self, body: Body) -> Body | None:
        """Create; None where an object of that name exists already."""
        resource = RESOURCES[body["kind"]]
        path = _path(resource, namespace=body["metadata"].get("namespace", ""))
        try:
            return self._call("POST", path, body=body)
        except KubeError as error:
            if error.status == 409:
                return None
            raise

    def delete(
        self, resource: Resource, name: str, *, namespace: str = "", uid: str | None = None
    ) -> bool:
        """Delete in the background; False where it is gone, or another object has its name now."""
        options: Body = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self._call("DELETE", _path(resource, name=name, namespace=namespace), body=options)
        except KubeError as error:
            if error.status in {404, 409}:
                return False
            raise
        return True

    def serves(self, resource: Resource) -> bool:
        """Whether the API server has this kind at all (an optional CRD may be missing)."""
        try:
            found = self._call("GET", _root(resource.api_version))
        except KubeError as error:
            if error.status in {403, 404}:
                return False
            raise
        return any(entry.get("name") == resource.plural for entry in found.get("resources") or [])

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
    ) -> Body:
        response = self._send(method, path, query=query, body=body, content_type=content_type)
        try:
            answer: Body = json.loads(response.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise KubeError(f"{method} {path}: unreadable answer: {error}", status=0) from error
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = REQUEST_TIMEOUT_S,
    ) -> urllib3.HTTPResponse:
        # Method and path only: bodies may be large, and headers hold the token.
        logger.debug("%s %s", method, path)
        shown = {key: value for key, value in (query or {}).items() if value}
        url = f"{path}?{urlencode(shown)}" if shown else path
        request = self._api.param_serialize(
            method,
            url,
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._api.call_api(*request, _request_timeout=timeout)
        except client.ApiException as error:
            raise KubeError(f"{method} {path}: {error.reason}", status=error.status or 0) from error
        except urllib3.exceptions.HTTPError as error:
            raise KubeError(f"{method} {path}: {error}", status=0) from error
        response: urllib3.HTTPResponse = answer.response
        if 200 <= response.status <= 299:
            return response
        raise _response_error(response, place=f"{method} {path}")


def _load(load: Callable[..., None], **settings: Any) -> None:
    try:
        load(**settings)
    except config.ConfigException as error:
        raise KubeError(f"no way to reach a cluster: {error}", status=0) from error


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _path(resource: Resource, *, name: str = "", namespace: str = "") -> str:
    path = _root(resource.api_version)
    if resource.namespaced and namespace:
        path += f"/namespaces/{quote(namespace, safe='')}"
    path += f"/{resource.plural}"
    # RBAC names contain colons, which the API server takes as they are.
    return path + (f"/{quote(name, safe=':')}" if name else "")


def _lines(response: urllib3.HTTPResponse) -> Iterator[bytes]:
    buffer = b""
    for chunk in response.stream(amt=None, decode_content=True):
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        yield from (line for line in lines if line.strip())


def _response_error(response: urllib3.HTTPResponse, *, place: str) -> KubeError:
    try:
        status: Body = json.loads(response.data)
    except (urllib3.exceptions.HTTPError, ValueError):
        status = {}
    if not isinstance(status, dict):
        status = {}
    status.setdefault("code", response.status)
    status.setdefault("message", response.reason or "no message")
    header = response.headers.get("Retry-After", "")
    return _status_error(
        status, place=place, retry_after_s=float(header) if header.isdigit() else None
    )


def _status_error(
    status: Mapping[str, Any], *, place: str, retry_after_s: float | None = None
) -> KubeError:
    code = int(status.get("code") or 0)
    kind = WatchExpired if code == 410 else KubeError
    return kind(
        f"{place}: {code} {status.get('message', '')}",
        status=code,
        reason=status.get("reason", ""),
        retry_after_s=retry_after_s,
    )
