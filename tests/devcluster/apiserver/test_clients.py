"""The clients people use, unmodified: the official Python client, kopf, and kubectl old and new."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import kubernetes
import pytest
from kubernetes.dynamic import DynamicClient

from anomaly_operator.devcluster.apiserver.background import RunningApiServer
from tests.support import debian_packages
from tests.support.apiservers import definition, widget

Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def python_client(apiserver: RunningApiServer) -> Iterator[Any]:
    """Return the official client on the server."""
    with kubernetes.config.new_client_from_config(str(apiserver.kubeconfig)) as client:
        yield client


def test_the_python_client_lists_watches_and_deletes(python_client: Any) -> None:
    core = kubernetes.client.CoreV1Api(python_client)
    body = kubernetes.client.V1ConfigMap(
        metadata=kubernetes.client.V1ObjectMeta(name="typed"), data={"a": "b"}
    )
    core.create_namespaced_config_map("default", body)
    listed = core.list_namespaced_config_map("default", field_selector="metadata.name=typed")
    assert listed.items[0].data == {"a": "b"}
    core.delete_namespaced_config_map("typed", "default")
    events = kubernetes.watch.Watch().stream(
        core.list_namespaced_config_map,
        "default",
        resource_version=listed.metadata.resource_version,
        timeout_seconds=2,
    )
    assert [(event["type"], event["object"].metadata.name) for event in events] == [
        ("DELETED", "typed")
    ]


def test_the_dynamic_client_applies(python_client: Any, widgets: str) -> None:
    del widgets
    dynamic = DynamicClient(python_client)
    resource = dynamic.resources.get(api_version="example.com/v1", kind="Widget")
    body = widget("dynamic", color="red")
    body["metadata"]["namespace"] = "default"
    made = resource.server_side_apply(body=body, field_manager="one")
    assert made.spec.limit == 100
    body["spec"]["color"] = "green"
    with pytest.raises(kubernetes.dynamic.exceptions.ConflictError, match="conflict with"):
        resource.server_side_apply(body=body, field_manager="two")
    forced = resource.server_side_apply(body=body, field_manager="two", force_conflicts=True)
    assert forced.spec.color == "green"
    status = {"apiVersion": "example.com/v1", "kind": "Widget", "status": {"used": 3}}
    status["metadata"] = {"name": "dynamic", "namespace": "default"}
    shown = resource.status.server_side_apply(body=status, field_manager="three")
    assert shown.status.used == 3
    owner = [each for each in shown.metadata.managedFields if each.manager == "three"]
    assert owner[0].subresource == "status"


OPERATOR = """
import kopf

@kopf.on.startup()
def configure(settings, **_):
    storage = kopf.AnnotationsProgressStorage(prefix="example.dev")
    settings.persistence.progress_storage = storage
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="example.dev")

@kopf.on.create("example.com", "v1", "widgets")
@kopf.on.update("example.com", "v1", "widgets", field="spec")
def react(spec, patch, body, **_):
    color = spec["color"]
    def condition(raw):
        raw.setdefault("status", {})["conditions"] = [
            {"type": "Ready", "status": "True", "reason": color.capitalize()}
        ]
    patch.fns.append(condition)
    kopf.info(body, reason="Seen", message=f"it is {color}")
"""


def eventually(what: str, look: Callable[[], bool], *, deadline_s: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + deadline_s
    while not look():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.1)  # between two looks; the deadline above decides


def test_a_kopf_operator_reacts(
    api: httpx.Client, apiserver: RunningApiServer, widgets: str, tmp_path: Path
) -> None:
    script = tmp_path / "operator_under_test.py"
    script.write_text(OPERATOR, encoding="utf-8")
    path = widgets
    command = [sys.executable, "-m", "kopf", "run", "-n", "default", "--standalone", str(script)]
    environment = os.environ | {"KUBECONFIG": str(apiserver.kubeconfig)}
    log = tmp_path / "operator.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT
        ) as operator,
    ):
        try:
            api.post(path, json=widget("watched", color="red"))

            def reason() -> str:
                conditions = api.get(f"{path}/watched").json().get("status", {}).get("conditions")
                return str(conditions[0]["reason"]) if conditions else ""

            eventually("the condition of the creation", lambda: reason() == "Red")
            patch = {"spec": {"color": "green"}}
            headers = {"Content-Type": "application/merge-patch+json"}
            api.patch(f"{path}/watched", json=patch, headers=headers)
            eventually("the condition of the update", lambda: reason() == "Green")
            events = "/api/v1/namespaces/default/events"
            query = {"fieldSelector": "involvedObject.name=watched,reason=Seen"}
            eventually(
                "two events", lambda: len(api.get(events, params=query).json()["items"]) == 2
            )
            annotations = api.get(f"{path}/watched").json()["metadata"]["annotations"]
            assert "example.dev/last-handled-configuration" in annotations
        finally:
            operator.terminate()
    assert operator.returncode == 0, log.read_text()


@pytest.fixture(params=["present", "debian"])
def kubectl(request: pytest.FixtureRequest, apiserver: RunningApiServer, tmp_path: Path) -> Kubectl:
    """Return a function that runs kubectl: the one at hand, and Debian's 1.20."""
    beside = Path(sys.executable).with_name("kubectl")
    present = str(beside) if beside.exists() else shutil.which("kubectl")
    if request.param == "present":
        if present is None:
            pytest.skip("there is no kubectl in PATH nor beside the interpreter")
        program = present
    else:
        program = str(debian_packages.program("kubernetes-client", "kubectl"))
    environment = os.environ | {"KUBECONFIG": str(apiserver.kubeconfig), "HOME": str(tmp_path)}

    def run(*arguments: str, document: Any = None, fails: bool = False, **more: str) -> str:
        done = subprocess.run(
            [program, *arguments],
            env=environment | more,
            input=json.dumps(document),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def deployment(name: str, image: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    }


def test_kubectl_works_on_custom_resources(kubectl: Kubectl, tmp_path: Path) -> None:
    plural = "gizmos"
    define = definition(plural, "Gizmo")
    gizmo = widget("g1", color="red", profile="p") | {"kind": "Gizmo"}
    kubectl("apply", "-f", "-", document=define)
    kubectl("wait", "--for=condition=Established", f"crd/{plural}.example.com")
    assert "created" in kubectl("apply", "-f", "-", document=gizmo)
    assert "unchanged" in kubectl("apply", "-f", "-", document=gizmo)
    changed = gizmo | {"spec": {"color": "blue", "profile": "p"}}
    refused = kubectl("apply", "-f", "-", document=changed, fails=True)
    assert 'The Gizmo "g1" is invalid: \n* spec.color: Unsupported value: "blue"' in refused
    assert "g1     red" in kubectl("get", "giz", "g1").replace("READY", "")
    assert "Color:    red" in kubectl("describe", "gizmo", "g1")
    editor = tmp_path / "editor.sh"
    editor.write_text("#!/bin/sh\nsed -i 's/limit: 100/limit: 70/' \"$1\"\n", encoding="utf-8")
    editor.chmod(0o755)
    kubectl("edit", "gizmo", "g1", EDITOR=str(editor))
    shown = json.loads(kubectl("get", "gizmo", "g1", "-o", "json"))
    assert shown["spec"]["limit"] == 70
    kubectl(
        "delete", "-f", "-", document={"apiVersion": "v1", "kind": "List", "items": [gizmo, define]}
    )


def test_kubectl_works_on_workloads(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", document=deployment("web", "busybox:1"))
    kubectl("apply", "-f", "-", document=deployment("web", "busybox:2"))
    kubectl("patch", "deploy", "web", "-p", '{"spec":{"replicas":3}}')
    assert "0/3" in kubectl("get", "deploy", "web")
    kubectl("scale", "deploy", "web", "--replicas=2")
    kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", document=deployment("web", "b:3")
    )
    shown = json.loads(kubectl("get", "deploy", "web", "-o", "json"))
    assert shown["spec"]["template"]["spec"]["containers"][0]["image"] == "b:3"
    assert shown["spec"]["replicas"] == 2
    kubectl("delete", "deploy", "web")


def test_kubectl_creates_and_asks_with_typed_clients(
    kubectl: Kubectl, request: pytest.FixtureRequest
) -> None:
    # Nothing empties a namespace here, so each kubectl gets one of its own.
    name = f"typed-{request.node.callspec.params['kubectl']}"
    here = ("-n", name)
    kubectl("create", "namespace", name)
    kubectl("create", "configmap", "c", "--from-literal=a=b", *here)
    kubectl("create", "serviceaccount", "bob", *here)
    account = f"system:serviceaccount:{name}:bob"
    asking = ("auth", "can-i", "create", "pods", "--as", account, *here)
    assert kubectl(*asking, fails=True).splitlines()[-1] == "no"
    subject = f"--serviceaccount={name}:bob"
    kubectl("create", "rolebinding", "b", "--clusterrole=edit", subject, *here)
    assert kubectl(*asking).strip() == "yes"
    kubectl("run", "p", "--image=busybox", *here)
    assert "Pending" in kubectl("get", "pods", *here)
    kubectl("delete", "namespace", name, "--wait=false")
    ending = json.loads(kubectl("get", "ns", name, "-o", "json"))
    assert ending["status"]["phase"] == "Terminating"


def test_kubectl_explains_custom_resources(
    kubectl: Kubectl, request: pytest.FixtureRequest
) -> None:
    if "debian" in request.node.name:
        pytest.skip(
            "kubectl before 1.27 explains from /openapi/v2, which the stand-in leaves empty"
        )
    kubectl("apply", "-f", "-", document=definition("explained", "Explained"))
    assert "color\t<string>" in kubectl("explain", "explained.spec")
    assert "image\t<string>" in kubectl("explain", "pod.spec.containers")
