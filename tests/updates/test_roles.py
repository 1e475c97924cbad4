"""Who may do what: the shipped roles, added up into the cluster's own, asked with real denials.

The stand-in, or with ``KUBEBUILDER_ASSETS`` a real API server and the real controller that adds up
aggregated roles. Whoever asks is a user with a RoleBinding in one namespace and nothing else.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from tests.support.either_apiserver import either_apiserver
from tests.support.processes import eventually
from tests.support.whole_cluster import ROOT, kubectl_program

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("roles")]

SHOP = "shop"
VIEWER, EDITOR, ADMIN, NOBODY = "a-viewer", "an-editor", "an-admin", "nobody"
ROLES = {VIEWER: "view", EDITOR: "edit", ADMIN: "admin"}
GROUP = "anomaly-operator.dev"


def manifest(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": SHOP} if kind != "MetricSource" else {})},
        "spec": spec,
    }


DETECTOR = {"target": {"kind": "Pod"}, "detectors": [{"metric": "memory_usage"}]}
BODIES = {
    "anomalydetectors": manifest("AnomalyDetector", "memory", **DETECTOR),
    "anomalyfilters": manifest("AnomalyFilter", "batch", items=["batch-*"]),
    "metricsources": manifest(
        "MetricSource", "prom", type="prometheus", prometheus={"url": "http://prom:9090"}
    ),
}
NAMES = {plural: body["metadata"]["name"] for plural, body in BODIES.items()}


@dataclass(frozen=True, slots=True)
class Api:
    """Kubectl, as whoever is named."""

    kubeconfig: Path

    def kubectl(
        self, *arguments: str, who: str = "", given: object = None
    ) -> subprocess.CompletedProcess[str]:
        person = [f"--as={who}"] if who else []
        return subprocess.run(
            [kubectl_program(), f"--kubeconfig={self.kubeconfig}", *person, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            input=json.dumps(given) if given is not None else None,
        )

    def admin(self, *arguments: str, given: object = None) -> str:
        done = self.kubectl(*arguments, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API server with the CRDs, the shipped roles, and a binding for each person."""
    with either_apiserver(tmp_path_factory.mktemp("roles"), aggregates_roles=True) as kubeconfig:
        made = Api(kubeconfig)
        made.admin("apply", "-k", "crds")
        made.admin("apply", "-f", "manifests/base/user-roles.yaml")
        made.admin("create", "namespace", SHOP)
        for who, role in ROLES.items():
            arguments = (f"--clusterrole={role}", f"--user={who}")
            made.admin("-n", SHOP, "create", "rolebinding", who, *arguments)
        crds = (f"crd/{plural}.{GROUP}" for plural in BODIES)
        made.admin("wait", "--for=condition=Established", *crds)
        eventually(lambda: allowed(made, EDITOR, "create", "anomalydetectors"), what="added up")
        eventually(
            lambda: allowed(made, ADMIN, "deletecollection", "anomalydetectors"), what="added up"
        )
        yield made


def allowed(
    api: Api,
    who: str,
    verb: str,
    resource: str,
    *,
    namespace: str = SHOP,
    group: str = GROUP,
) -> bool:
    """Ask the API server's own authorizer, as the person."""
    plural, _, subresource = resource.partition("/")
    attributes = {
        "namespace": namespace,
        "verb": verb,
        "group": group,
        "resource": plural,
        "subresource": subresource,
    }
    with config.new_client_from_config(config_file=str(api.kubeconfig)) as asking:
        asking.set_default_header("Impersonate-User", who)
        review = client.AuthorizationV1Api(asking).create_self_subject_access_review(
            {"spec": {"resourceAttributes": attributes}}
        )
    return bool(review.status.allowed)


MAY = {
    # who: what of AnomalyDetectors and AnomalyFilters in the namespace of the binding
    VIEWER: {"get", "list", "watch"},
    EDITOR: {"get", "list", "watch", "create", "update", "patch", "delete"},
    ADMIN: {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"},
    NOBODY: set(),
}
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@pytest.mark.parametrize("who", MAY)
@pytest.mark.parametrize("resource", ["anomalydetectors", "anomalyfilters"])
def test_each_role_may_what_it_says_and_no_more(api: Api, who: str, resource: str):
    assert {verb for verb in VERBS if allowed(api, who, verb, resource)} == MAY[who]


@pytest.mark.parametrize("who", MAY)
def test_nobody_may_anything_in_another_namespace_or_write_a_status(api: Api, who: str):
    elsewhere = {
        verb for verb in VERBS if allowed(api, who, verb, "anomalydetectors", namespace="default")
    }
    assert elsewhere == set()
    for verb in ("update", "patch"):
        assert not allowed(api, who, verb, "anomalydetectors/status")


@pytest.mark.parametrize("who", MAY)
def test_sources_are_the_cluster_administrators(api: Api, who: str):
    """They name addresses and Secrets; a tenant could make the operator read anything."""
    assert {verb for verb in VERBS if allowed(api, who, verb, "metricsources")} == set()
    done = api.kubectl("create", "-f", "-", who=who, given=BODIES["metricsources"])
    assert done.returncode != 0
    assert "(Forbidden)" in done.stderr
    assert f'User "{who}" cannot create resource "metricsources"' in done.stderr


@pytest.mark.parametrize("resource", ["anomalydetectors", "anomalyfilters"])
@pytest.mark.parametrize("who", [NOBODY, VIEWER])
def test_creating_needs_edit(api: Api, who: str, resource: str):
    done = api.kubectl("create", "-f", "-", who=who, given=BODIES[resource])
    assert done.returncode != 0
    assert (
        f'{resource}.{GROUP} is forbidden: User "{who}" cannot create resource "{resource}" in API '
        f'group "{GROUP}" in the namespace "{SHOP}"'
    ) in done.stderr


@pytest.mark.parametrize("resource", ["anomalydetectors", "anomalyfilters"])
def test_a_life_under_the_roles(api: Api, resource: str):
    """The editor makes and edits it, the viewer reads it, only they who may delete it."""
    name = NAMES[resource]
    created = api.kubectl("create", "-f", "-", who=EDITOR, given=BODIES[resource])
    assert created.returncode == 0, created.stderr
    seen = api.kubectl("-n", SHOP, "get", resource, name, "-o", "yaml", who=VIEWER)
    assert yaml.safe_load(seen.stdout)["metadata"]["name"] == name
    edit = ("patch", resource, name, "--type=merge", "-p", '{"spec":{"description":"new"}}')
    refused = api.kubectl("-n", SHOP, *edit, who=VIEWER)
    assert f'User "{VIEWER}" cannot patch resource "{resource}"' in refused.stderr
    taken = api.kubectl("-n", SHOP, *edit, who=EDITOR)
    assert taken.returncode == 0, taken.stderr
    assert "Forbidden" in api.kubectl("-n", SHOP, "get", resource, name, who=NOBODY).stderr
    assert "Forbidden" in api.kubectl("-n", SHOP, "delete", resource, name, who=VIEWER).stderr
    everything = ("-n", SHOP, "delete", resource, "--all")
    gone = api.kubectl(*everything, who=ADMIN)
    assert gone.returncode == 0, gone.stderr


def test_who_may_edit_detectors_cannot_reach_a_workers_token(api: Api):
    """Workers run in the operator's namespace, where a tenant's binding gives nothing."""
    for verb, resource in (("create", "pods/exec"), ("create", "pods"), ("get", "secrets")):
        assert allowed(api, ADMIN, verb, resource, group="")
        assert not allowed(api, ADMIN, verb, resource, group="", namespace="anomaly-system")
