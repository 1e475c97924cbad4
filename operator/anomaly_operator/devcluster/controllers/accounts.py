"""What every namespace starts with: a default ServiceAccount and the cluster's root certificate."""

from __future__ import annotations

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
    JsonObject,
    Resource,
    key_of,
)
from anomaly_operator.devcluster.controllers import templates
from anomaly_operator.devcluster.controllers.loops import WorkQueue

ROOT_CA = "kube-root-ca.crt"
# An OpenShift API server's admission mounts this one beside it, and its pods wait for it.
SERVICE_CA = "openshift-service-ca.crt"


class NamespaceDefaults:
    """Creates both again when somebody deletes them."""

    def __init__(self, view: ClusterView) -> None:
        self._is_openshift = False
        self.queue = WorkQueue()
        self._view = view
        self._namespaces = view.mirror(NAMESPACES)
        self._namespaces.listeners.append(self._on_namespace)
        for resource in (SERVICE_ACCOUNTS, CONFIG_MAPS):
            view.mirror(resource).listeners.append(self._on_content)
        view.mirror(PODS).listeners.append(self._on_pod)

    def _on_namespace(self, old: JsonObject | None, new: JsonObject | None) -> None:
        self.queue.add(key_of(new or old or {}))

    def _on_content(self, old: JsonObject | None, new: JsonObject | None) -> None:
        if new is None and old is not None:
            self.queue.add(("", old["metadata"]["namespace"]))

    def _on_pod(self, _old: JsonObject | None, new: JsonObject | None) -> None:
        # Nothing else tells OpenShift's build of the API server from any other.
        if new is not None and not self._is_openshift and SERVICE_CA in str(new["spec"]):
            self._is_openshift = True
            for key in self._namespaces.objects:
                self.queue.add(key)

    async def reconcile(self, _namespace: str, name: str) -> None:
        """Fill one namespace."""
        namespace = self._namespaces.get("", name)
        if namespace is None or templates.is_terminating(namespace):
            return
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": name},
        }
        await self._ensure(SERVICE_ACCOUNTS, account)
        published = {ROOT_CA: ("ca.crt", self._view.client.access.ca_pem)}
        if self._is_openshift:
            published[SERVICE_CA] = ("service-ca.crt", "")
        for published_name, (file, text) in published.items():
            certificate = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": published_name, "namespace": name},
                "data": {file: text},
            }
            await self._ensure(CONFIG_MAPS, certificate)

    async def _ensure(self, resource: Resource, obj: JsonObject) -> None:
        if self._view.mirror(resource).get(*key_of(obj)) is not None:
            return
        # The mirror of a collection lags a moment behind the namespace's own.
        if await self._view.client.find(resource, *key_of(obj)) is None:
            await self._view.create(resource, obj)
