"""The real operator as a process against a stand-in API server, with its shipped rights only.

The API server is real enough (server-side apply, RBAC, watches); no controllers run beside it, so
tests play the StatefulSet's controller and the workers where they need them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Body, Kube
from anomaly_operator.devcluster.apiserver.background import RunningApiServer, running_apiserver
from tests.support.kube_apiserver import assets, running_kube_apiserver
from tests.support.processes import eventually, free_port

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "anomaly-system"


@dataclass
class Cluster:
    """An API server with the shipped base applied, and the admin's hand on it."""

    kubeconfig: Path
    admin: Kube
    folder: Path
    operators: list[Operator] = field(default_factory=list)
    api: RunningApiServer | None = None  # the stand-in itself, where it is one

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Run the real kubectl as admin."""
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.kubeconfig), *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout + done.stderr

    def make_claim(self, template: Body, name: str) -> None:
        """Make a claim as the StatefulSet's controller does.

        Without the mark by which a claim in use is kept: no control loop runs that takes it off.
        """
        known = {k: v for k, v in template["metadata"].items() if k in {"labels", "annotations"}}
        self.admin.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {**known, "name": name, "namespace": SYSTEM},
                "spec": template["spec"],
            }
        )
        unmarked = '{"metadata": {"finalizers": null}}'
        self.kubectl("-n", SYSTEM, "patch", "pvc", name, "--type=merge", "-p", unmarked)

    def apply(self, body: Body) -> Body:
        """Apply as a user would."""
        return self.admin.apply(body, field_manager="a-user")

    def detector(self, name: str = "memory", *, namespace: str = SYSTEM) -> Body | None:
        """Get a detector as stored."""
        return self.admin.get(kube.ANOMALY_DETECTORS, name, namespace=namespace)

    def status(self, name: str = "memory", *, namespace: str = SYSTEM) -> Body:
        """Get a detector's status; empty where there is none."""
        return (self.detector(name, namespace=namespace) or {}).get("status") or {}

    def condition(self, kind: str, name: str = "memory", *, namespace: str = SYSTEM) -> Body:
        """Get one condition; empty where there is none."""
        found = self.status(name, namespace=namespace).get("conditions") or []
        return next((c for c in found if c["type"] == kind), {})

    def children(self, uid: str) -> list[tuple[str, str, str]]:
        """List everything that carries a detector's UID."""
        found = []
        for resource in (
            kube.CONFIG_MAPS,
            kube.SERVICE_ACCOUNTS,
            kube.SERVICES,
            kube.STATEFUL_SETS,
            kube.NETWORK_POLICIES,
            kube.CLAIMS,
            kube.ROLES,
            kube.ROLE_BINDINGS,
            kube.CLUSTER_ROLE_BINDINGS,
        ):
            page = self.admin.list(resource, labels=f"anomaly-operator.dev/detector-uid={uid}")
            found += [
                (body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])
                for body in page.items
            ]
        return found

    def stateful_set(self, name: str = "memory", *, namespace: str = SYSTEM) -> Body | None:
        """Get the StatefulSet made for a detector."""
        detector = self.detector(name, namespace=namespace)
        uid = detector["metadata"]["uid"] if detector else ""
        labels = f"anomaly-operator.dev/detector-uid={uid}"
        items = self.admin.list(kube.STATEFUL_SETS, namespace=SYSTEM, labels=labels).items
        return items[0] if items else None

    def kubeconfig_of(self, account: str, *, namespace: str = SYSTEM) -> Path:
        """Write a kubeconfig of a ServiceAccount, with exactly its rights."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.admin._call("POST", path, body=request)["status"]["token"]
        config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        config["users"][0]["user"] = {"token": token}
        file = self.folder / f"{account}.kubeconfig"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        return file


@dataclass
class Operator:
    """One running operator process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        """Ask its web server."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """Sum the samples of a metric over its labels."""
        lines = self.get("/metrics")[1].splitlines()
        values = [
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.split("{")[0].split(" ")[0] == name
        ]
        return sum(values)

    def kill(self) -> None:
        """End it without a chance to say anything."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """End it as Kubernetes does; returns its exit code."""
        self.process.terminate()
        return self.process.wait(20)


@contextmanager
def running_cluster(folder: Path, *, stand_in: bool = False) -> Iterator[Cluster]:
    """Run an API server with ``manifests/base`` and a tenant's namespace in it.

    A real one where ``KUBEBUILDER_ASSETS`` names one, unless ``stand_in`` is wanted.
    """
    with ExitStack() as stack:
        programs = None if stand_in else assets()
        api = None
        if programs is not None:
            kubeconfig = stack.enter_context(running_kube_apiserver(programs, folder / "api"))
        else:
            api = stack.enter_context(running_apiserver(folder / "api"))
            kubeconfig = api.kubeconfig
        admin = Kube.connect(str(kubeconfig))
        cluster = Cluster(kubeconfig, admin, folder, api=api)
        cluster.kubectl("apply", "-k", "manifests/base")
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        try:
            yield cluster
        finally:
            for operator in cluster.operators:
                if operator.process.poll() is None:
                    operator.kill()
            admin.close()


def start_operator(cluster: Cluster, *flags: str, ready: bool = True) -> Operator:
    """Start ``anomaly operator`` as its own ServiceAccount."""
    port = free_port()
    number = len(cluster.operators)
    log = cluster.folder / f"operator-{number}.log"
    environment = {**os.environ, "ANOMALY_LISTEN_ADDRESS": "127.0.0.1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                Path(sys.executable).parent / "anomaly",
                "operator",
                f"--kubeconfig={cluster.kubeconfig_of('anomaly-operator')}",
                f"--listen-port={port}",
                "--log-level=debug",
                *flags,
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    operator = Operator(process, port, log)
    cluster.operators.append(operator)
    if ready:
        eventually(
            lambda: operator.get("/readyz")[0] == 200 or process.poll() is not None,
            what=f"operator ready; {operator.get('/readyz')}",
        )
        assert process.poll() is None, log.read_text(encoding="utf-8")[-4000:]
    return operator


def detector(name: str = "memory", *, namespace: str = SYSTEM, **spec: Any) -> Body:
    """Give a detector's manifest."""
    return {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "AnomalyDetector",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "target": {"kind": "Pod"},
            "detectors": [{"metric": "memory_usage"}],
            "analysisLimits": {"modelMemoryLimit": "64mb"},
            **spec,
        },
    }
