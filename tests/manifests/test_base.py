"""What ``kubectl apply -k`` would apply: complete, restricted, and with no right too many."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from anomaly_operator.adapters import kube
from anomaly_operator.api.problems import shown
from anomaly_operator.controller.own_image import with_own_image
from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.planning import plan
from tests.support.observing import child, detector, observed
from tests.support.operating import SYSTEM, Cluster, running_cluster, start_operator
from tests.support.operating import detector as manifest
from tests.support.processes import eventually

ROOT = Path(__file__).resolve().parents[2]
Body = dict[str, Any]


def built(folder: str) -> list[Body]:
    """Build with the real kubectl, as its users do."""
    done = subprocess.run(
        ["kubectl", "kustomize", folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [body for body in yaml.safe_load_all(done.stdout) if body]


@pytest.fixture(scope="module")
def base() -> list[Body]:
    return built("manifests/base")


def of_kind(bodies: list[Body], kind: str) -> list[Body]:
    return [body for body in bodies if body["kind"] == kind]


def test_the_base_holds_what_an_installation_needs(base: list[Body]):
    assert {body["kind"] for body in base} == {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "CustomResourceDefinition",
        "Deployment",
        "Namespace",
        "NetworkPolicy",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
    }
    assert len(of_kind(base, "CustomResourceDefinition")) == 3


def test_the_base_applies_where_no_other_operator_is_installed(base: list[Body]):
    """Kubectl fails on a kind it does not know, so none may come from elsewhere."""
    groups = {body["apiVersion"].partition("/")[0] for body in base}
    assert groups == {
        "v1",
        "apps",
        "apiextensions.k8s.io",
        "networking.k8s.io",
        "rbac.authorization.k8s.io",
    }


def test_the_crds_of_the_base_are_those_generated(base: list[Body]):
    files = [yaml.safe_load(file.read_text()) for file in (ROOT / "crds").glob("*.dev.yaml")]
    found = {body["metadata"]["name"]: body["spec"] for body in of_kind(base, files[0]["kind"])}
    assert found == {body["metadata"]["name"]: body["spec"] for body in files}


class OnePod:
    """An API server that knows one pod."""

    def __init__(self, pod: Body) -> None:
        self._pod = pod

    def list(self, resource: kube.Resource, **_: str) -> kube.Page:
        """Give it, as long as pods are asked for."""
        assert resource is kube.PODS
        return kube.Page([self._pod], "1")


def test_workers_get_the_operators_own_image_unless_told_otherwise(base: list[Body]):
    pod = of_kind(base, "Deployment")[0]["spec"]["template"]
    pod["spec"]["containers"][0]["image"] = "registry.example/anomaly:2"
    api: Any = OnePod(pod)
    config = with_own_image(api, OperatorConfig(), {"POD_NAME": "anomaly-operator-x"})
    assert config.worker_image == "registry.example/anomaly:2"
    named = OperatorConfig(worker_image="other:1")
    assert with_own_image(api, named, {"POD_NAME": "x"}).worker_image == "other:1"


_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def restricted(spec: Body) -> list[str]:
    """Say what of the Pod Security Standard ``restricted`` a pod does not meet."""
    pod = spec.get("securityContext") or {}
    problems = [
        f"volume {volume['name']}"
        for volume in spec.get("volumes") or []
        if set(volume) - {"name"} - _VOLUMES
    ]
    if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
        problems.append("host namespaces")
    for container in spec["containers"]:
        own = {**pod, **(container.get("securityContext") or {})}
        if own.get("allowPrivilegeEscalation") is not False:
            problems.append("privilege escalation")
        if (own.get("capabilities") or {}).get("drop") != ["ALL"]:
            problems.append("capabilities")
        if own.get("runAsNonRoot") is not True or not own.get("runAsUser"):
            problems.append("root")
        if (own.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
            problems.append("seccomp")
        if own.get("readOnlyRootFilesystem") is not True:
            problems.append("writable root")
        if not (container.get("resources") or {}).get("limits", {}).get("memory"):
            problems.append("no memory limit")
    return problems


def test_operator_and_workers_meet_the_restricted_standard(base: list[Body]):
    deployment = of_kind(base, "Deployment")[0]
    assert restricted(deployment["spec"]["template"]["spec"]) == []
    for given in (observed(), observed(detector(namespace="shop"))):
        worker = child(plan(given), "StatefulSet")
        assert restricted(worker["spec"]["template"]["spec"]) == []
    labels = of_kind(base, "Namespace")[0]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_there_is_one_operator_at_a_time(base: list[Body]):
    spec = of_kind(base, "Deployment")[0]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


def rules(base: list[Body], kind: str) -> dict[str, list[Body]]:
    return {body["metadata"]["name"]: body["rules"] for body in of_kind(base, kind)}


def test_no_role_has_a_wildcard_reads_secrets_or_reaches_the_node_proxy(base: list[Body]):
    for name, found in {**rules(base, "ClusterRole"), **rules(base, "Role")}.items():
        for rule in found:
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            forbidden = words & {"*", "secrets", "nodes/proxy", "pods/exec", "escalate"}
            assert not forbidden, f"{name}: {shown(sorted(forbidden))}"


def test_people_get_the_roles_aggregated(base: list[Body]):
    label = "rbac.authorization.k8s.io/aggregate-to-{}"
    roles = {body["metadata"]["name"]: body for body in of_kind(base, "ClusterRole")}
    for name, to in (
        ("anomaly-viewer", ("view", "edit", "admin")),
        ("anomaly-editor", ("edit", "admin")),
        ("anomaly-admin", ("admin",)),
    ):
        labels = roles[name]["metadata"]["labels"]
        assert set(labels) == {label.format(each) for each in to}
    viewing = {verb for rule in roles["anomaly-viewer"]["rules"] for verb in rule["verbs"]}
    assert viewing == {"get", "list", "watch"}
    editing = roles["anomaly-editor"]["rules"][0]
    assert "create" in editing["verbs"]


PLURAL = r"(?P<plural>[a-z]+)(/(?P<name>[^/?]+))?(/(?P<sub>status))?"
PATH = re.compile(rf"/(api|apis/(?P<group>[^/]+))/v[0-9a-z]+(/namespaces/[^/]+)?/{PLURAL}$")


def calls(log: str) -> set[tuple[str, str, str]]:
    """Read (group, resource, verb) of every call out of an operator's log."""
    found = set()
    for method, path in re.findall(r"adapters\.kube (\w+) (/\S+)", log):
        match = PATH.match(path)
        assert match, path
        verb = {"PATCH": "patch", "POST": "create", "DELETE": "delete"}.get(method)
        if method == "GET":
            verb = "get" if match["name"] else "list"
        resource = match["plural"] + ("/status" if match["sub"] else "")
        found.add((match["group"] or "", resource, str(verb)))
    return found


# Rights that stand for something else than a call through our client.
INDIRECT = {
    ("apiextensions.k8s.io", "customresourcedefinitions", "list"): "kopf",
    ("apiextensions.k8s.io", "customresourcedefinitions", "watch"): "kopf",
    ("anomaly-operator.dev", "anomalyfilters", "watch"): "kopf",
    ("anomaly-operator.dev", "metricsources", "watch"): "kopf",
    ("anomaly-operator.dev", "anomalydetectors", "watch"): "kopf",
    ("", "events", "patch"): "passed on to workers, which must not get what the operator lacks",
    ("anomaly-operator.dev", "anomalydetectors/status", "get"): "passed on to workers",
    ("rbac.authorization.k8s.io", "clusterroles", "bind"): "checked when a binding is made",
    ("", "pods", "patch"): "once a worker has reported and its document has changed since",
    ("", "events", "list"): "only while pods are not made or do not start",
    ("monitoring.coreos.com", "podmonitors", "create"): "where the Prometheus Operator is",
    ("monitoring.coreos.com", "podmonitors", "patch"): "where the Prometheus Operator is",
    ("monitoring.coreos.com", "podmonitors", "delete"): "where the Prometheus Operator is",
    ("monitoring.coreos.com", "podmonitors", "watch"): "where the Prometheus Operator is",
    ("monitoring.coreos.com", "prometheusrules", "create"): "where the Prometheus Operator is",
    ("monitoring.coreos.com", "prometheusrules", "patch"): "where the Prometheus Operator is",
    ("", "configmaps", "get"): "the alert rules, where the Prometheus Operator is",
}


@pytest.fixture
def cluster(tmp_path: Path):
    with running_cluster(tmp_path) as found:
        yield found


@pytest.mark.e2e
def test_the_operator_has_no_right_it_does_not_use(cluster: Cluster, base: list[Body]):
    """Its rights are what its calls need, and these are read from its log over a detector's life.

    That no right is missing is shown by the life itself: the operator runs with these rights only.
    """
    operator = start_operator(cluster)
    uid = cluster.apply(manifest())["metadata"]["uid"]
    claim = eventually(cluster.stateful_set, what="a worker")["spec"]["volumeClaimTemplates"][0]
    cluster.make_claim(claim, "data-0")
    eventually(lambda: len(cluster.children(uid)) == 10, what="all children and the claim")
    cluster.kubectl("apply", "-f", "manifests/samples/filter-batch.yaml")
    eventually(
        lambda: "anomalyfilters/batch-pods/status" in operator.log.read_text(encoding="utf-8"),
        what="the filter's status",
    )
    eventually(lambda: "0 of 1" in cluster.condition("Ready")["message"], what="a status")
    cluster.admin.delete(kube.ANOMALY_DETECTORS, "memory", namespace=SYSTEM)
    eventually(lambda: not cluster.children(uid), what="all gone")
    made = calls(operator.log.read_text(encoding="utf-8"))
    # An apply creates what is not there, and a watch is a list that goes on.
    made |= {(group, resource, "create") for group, resource, verb in made if verb == "patch"}
    made |= {(group, resource, "watch") for group, resource, verb in made if verb == "list"}
    granted = {
        (group, resource, verb)
        for rule in (
            *rules(base, "ClusterRole")["anomaly-operator"],
            *rules(base, "Role")["anomaly-operator"],
        )
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted - made - INDIRECT.keys() == set()


@pytest.mark.e2e
def test_the_samples_apply_and_every_one_gets_its_worker(cluster: Cluster):
    cluster.kubectl("apply", "-k", "manifests/samples")
    start_operator(cluster)
    samples = [body for body in built("manifests/samples") if body["kind"] == "AnomalyDetector"]
    assert len(samples) == 6
    for body in samples:
        name = body["metadata"]["name"]
        eventually(lambda name=name: cluster.stateful_set(name), what=f"a worker of {name}")
        eventually(
            lambda name=name: cluster.condition("Ready", name).get("reason") == "Opening",
            what=f"{name} opening: {cluster.status(name)}",
        )
    assert {
        (body["spec"]["target"]["kind"], body["spec"]["detectors"][0]["metric"]) for body in samples
    } == {
        (kind, metric)
        for kind in ("Pod", "Node")
        for metric in ("memory_usage", "network_in", "network_out")
    }
