"""From the moment a pod's deletion is asked for, the worker knows that it is on its way out."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.conftest import detector
from tests.e2e.test_capacity import IMAGE
from tests.support.whole_cluster import SYSTEM, Body, WholeCluster

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]

NAMESPACE = "ending-shop"
NAME = "planned-ends"
# Takes all the time it is given to end, and has memory until then.
STUBBORN = (
    "import signal, time; signal.signal(15, lambda *_: None); [time.sleep(1) for _ in [0] * 999]"
)


def stubborn(name: str) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "terminationGracePeriodSeconds": 120,
            "containers": [{"name": "app", "image": IMAGE, "command": ["python3", "-c", STUBBORN]}],
        },
    }


def shown(cluster: WholeCluster) -> set[str]:
    """Pods that the worker shows on /metrics: those that are there to stay."""
    workers = cluster.workers(NAME)
    address = workers[0]["status"].get("podIP") if workers else None
    if not address:
        return set()
    try:
        text = httpx.get(f"http://{address}:8080/metrics", timeout=10).text
    except httpx.TransportError:
        return set()
    lines = [line for line in text.splitlines() if line.startswith("anomaly_record_score{")]
    return {name for name in ("leaver", "stayer") for line in lines if f'entity="{name}"' in line}


def test_a_pod_that_is_told_to_end_is_on_its_way_out_while_it_still_runs(cluster: WholeCluster):
    if not cluster.local:
        pytest.skip("workers' addresses are not reachable from here")
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    cluster.until(
        "the namespace's account",
        lambda: cluster.get("serviceaccount", "default", namespace=NAMESPACE) or None,
    )
    pods = [stubborn(name) for name in ("leaver", "stayer")]
    cluster.apply(*pods, detector(NAME, target={"kind": "Pod", "namespaces": [NAMESPACE]}))
    try:
        cluster.until("both", lambda: shown(cluster) == {"leaver", "stayer"}, within_s=120)
        cluster.kubectl("-n", NAMESPACE, "delete", "pod", "leaver", "--wait=false")
        cluster.until("the end of one", lambda: shown(cluster) == {"stayer"})
        leaver = cluster.get("pod", "leaver", namespace=NAMESPACE)
        assert leaver["status"]["phase"] == "Running", "it still runs, and is measured"
        assert leaver["metadata"]["deletionTimestamp"]
    finally:
        cluster.kubectl("-n", SYSTEM, "delete", "andet", NAME, "--wait=false", "--ignore-not-found")
        cluster.kubectl(
            "-n", NAMESPACE, "delete", "pod", "--all", "--grace-period=0", "--force", check=False
        )
