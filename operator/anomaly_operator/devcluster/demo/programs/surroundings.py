"""What every demo program needs of its pod: its address, its orders, its peers."""

from __future__ import annotations

import json
import os
import ssl
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

PORT = 8080


def pod_address() -> str:
    """Address this pod listens on and sends from."""
    return os.environ.get("POD_IP", "127.0.0.1")


def is_ordered(fault: str) -> bool:
    """Whether the mounted orders tell this pod to misbehave."""
    try:
        return Path(os.environ["ORDERS"], fault).read_text(encoding="utf-8").strip() == "on"
    except (KeyError, OSError):
        return False


def find_peers(selector: str) -> list[str]:
    """Addresses of running pods of this namespace with a label, asked of the API server."""
    path = os.environ.get("KUBECONFIG")
    if not path:
        return []
    document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    cluster = document["clusters"][0]["cluster"]
    token = Path(document["users"][0]["user"]["tokenFile"]).read_text(encoding="utf-8").strip()
    namespace = document["contexts"][0]["context"]["namespace"]
    url = f"{cluster['server']}/api/v1/namespaces/{namespace}/pods?labelSelector={quote(selector)}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - the cluster's own address
    context = None
    if url.startswith("https:"):
        context = ssl.create_default_context(cafile=cluster.get("certificate-authority"))
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310 - as above
        pods = json.load(answer)["items"]
    return [
        pod["status"]["podIP"]
        for pod in pods
        if pod.get("status", {}).get("phase") == "Running" and pod["status"].get("podIP")
    ]
