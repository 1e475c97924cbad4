"""Ask an API server about the cases, through the official client.

Used against the stand-in by the fast tests, and by the end-to-end suite against a real server: all
it needs is a kubeconfig.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from anomaly_operator.adapters.kube import Kube
from anomaly_operator.api.crd import custom_resource_definition
from anomaly_operator.api.group import GROUP, VERSION
from anomaly_operator.api.v1alpha1.kinds import KINDS, Kind
from tests.api.cases import Case, Update
from tests.support.either_apiserver import either_apiserver

ESTABLISHED_S = 30.0
UNPROCESSABLE = 422
_KINDS = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of a refusal."""

    field: str
    message: str


class Server:
    """An API server on which the CRDs of this version are installed."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = config.new_client_from_config(config_file=str(kubeconfig))
        self._objects = client.CustomObjectsApi(self._client)
        self._definitions = client.ApiextensionsV1Api(self._client)
        self._made = 0

    def close(self) -> None:
        """Close the connections, so that the server can end."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()

    def install(self) -> None:
        """Create the CRDs, and wait until they are served."""
        for kind in KINDS:
            self._definitions.create_custom_resource_definition(custom_resource_definition(kind))
        deadline = time.monotonic() + ESTABLISHED_S
        for kind in KINDS:
            while not self._established(kind):
                assert time.monotonic() < deadline, f"{kind.crd_name} is not established"
                time.sleep(0.1)  # a poll with a deadline: watches are another test's subject

    def _established(self, kind: Kind) -> bool:
        found = self._definitions.read_custom_resource_definition(kind.crd_name)
        return any(
            c.type == "Established" and c.status == "True" for c in found.status.conditions or ()
        )

    def refusal(self, case: Case) -> list[Cause]:
        """Why the server would not take the document; empty where it would."""
        return self._causes(lambda: self._create(case.document, dry_run="All"))

    def refusal_of_update(self, update: Update) -> list[Cause]:
        """Why the server would not take the change of a stored object; empty where it would."""
        kind = _KINDS[update.old["kind"]]
        stored = self._create(self._named(update.old))
        name = stored["metadata"]["name"]
        arguments = (GROUP, VERSION, stored["metadata"]["namespace"], kind.plural, name)
        try:
            if update.model_bytes is not None:
                stored["status"] = {"modelSizeStats": {"modelBytes": update.model_bytes}}
                stored = self._objects.replace_namespaced_custom_object_status(*arguments, stored)
            body = {**stored, "spec": update.new["spec"]}
            return self._causes(
                lambda: self._objects.replace_namespaced_custom_object(*arguments, body)
            )
        finally:
            self._objects.delete_namespaced_custom_object(*arguments)

    def write_status(self, update: Update) -> list[Cause]:
        """Why the server would not take a status with these model bytes for the old spec."""
        kind = _KINDS[update.old["kind"]]
        stored = self._create(self._named(update.old))
        name, namespace = stored["metadata"]["name"], stored["metadata"]["namespace"]
        arguments = (GROUP, VERSION, namespace, kind.plural, name)
        stored["status"] = {"modelSizeStats": {"modelBytes": update.model_bytes}}
        try:
            return self._causes(
                lambda: self._objects.replace_namespaced_custom_object_status(*arguments, stored)
            )
        finally:
            self._objects.delete_namespaced_custom_object(*arguments)

    def defaulted(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Give the document as the server would store it."""
        return self._create(document, dry_run="All")

    def _named(self, document: Mapping[str, Any]) -> dict[str, Any]:
        self._made += 1
        named = copy.deepcopy(dict(document))
        named["metadata"]["name"] = f"case-{self._made}"
        return named

    def _create(self, document: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        kind = _KINDS[document["kind"]]
        body = dict(document)
        if kind.scope == "Cluster":
            created = self._objects.create_cluster_custom_object(
                GROUP, VERSION, kind.plural, body, **options
            )
        else:
            namespace = body["metadata"]["namespace"]
            created = self._objects.create_namespaced_custom_object(
                GROUP, VERSION, namespace, kind.plural, body, **options
            )
        return dict(created)

    @staticmethod
    def _causes(call: Any) -> list[Cause]:
        try:
            call()
        except ApiException as error:
            if error.status != UNPROCESSABLE:
                raise
            details = json.loads(error.body).get("details", {})
            return [Cause(c["field"], c["message"]) for c in details.get("causes", ())]
        return []


def speaks_of(case: Case | Update, causes: list[Cause]) -> bool:
    """Whether the server named the case's field with the case's message."""
    field = case.path if case.field is None else case.field
    message = (case.message or "") if case.server is None else case.server
    return any(cause.field == field and message in cause.message for cause in causes)


@contextmanager
def apiserver_with_our_kinds(folder: Path) -> Iterator[tuple[Path, Kube]]:
    """Run an API server that has our definitions; yields an admin's kubeconfig and client."""
    with either_apiserver(folder) as kubeconfig:
        server = Server(kubeconfig)
        server.install()
        server.close()
        kube = Kube.connect(str(kubeconfig))
        yield kubeconfig, kube
        kube.close()
