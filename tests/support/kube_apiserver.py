"""A real API server for tests: kube-apiserver and etcd from the folder ``KUBEBUILDER_ASSETS``.

The envtest convention: no controller manager, no scheduler, no kubelet. What those would do is done
by the stand-in's own controllers and node agent, which speak only HTTP.
"""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
DEADLINE_S = 60.0  # a cold start on a busy two-core machine takes some ten seconds


class AssetsIncompleteError(RuntimeError):
    """The folder that was named does not hold both programs."""


def assets() -> Path | None:
    """The folder with kube-apiserver and etcd, or None when the variable is not set."""
    named = os.environ.get(ASSETS_VARIABLE)
    if not named:
        return None
    folder = Path(named)
    missing = [name for name in ("kube-apiserver", "etcd") if not (folder / name).is_file()]
    if missing:
        raise AssetsIncompleteError(f"{ASSETS_VARIABLE}={folder}: {' and '.join(missing)} missing")
    return folder


@contextmanager
def running_kube_apiserver(programs: Path, folder: Path) -> Iterator[Path]:
    """Start etcd and kube-apiserver under ``folder``; yields an admin kubeconfig."""
    folder.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n', encoding="utf-8")
    key = folder / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    client_port, peer_port, api_port = _free_ports(3)
    etcd = [
        str(programs / "etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client_port}",
        f"--advertise-client-urls=http://127.0.0.1:{client_port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}",
        f"--initial-cluster=default=http://127.0.0.1:{peer_port}",
    ]
    server = f"https://127.0.0.1:{api_port}"
    api = [
        str(programs / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{client_port}",
        f"--cert-dir={folder / 'certs'}",
        f"--secure-port={api_port}",
        "--bind-address=127.0.0.1",
        f"--service-account-issuer={server}",
        f"--service-account-signing-key-file={key}",
        f"--service-account-key-file={key}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
    ]
    kubeconfig = folder / "kubeconfig"
    with _running(etcd, folder / "etcd.log"), _running(api, folder / "kube-apiserver.log") as alive:
        _wait_until_ready(server, token, alive, folder / "kube-apiserver.log")
        # At its first start the server makes an authority of its own, and leaves it here.
        authority = folder / "certs" / "apiserver.crt"
        kubeconfig.write_text(
            yaml.safe_dump(_kubeconfig(server, token, authority)), encoding="utf-8"
        )
        yield kubeconfig


def _kubeconfig(server: str, token: str, authority: Path) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "real",
                "cluster": {"server": server, "certificate-authority": str(authority)},
            }
        ],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "admin"}}],
        "current-context": "real",
    }


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(server: str, token: str, process: subprocess.Popen[bytes], log: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    request = urllib.request.Request(
        f"{server}/readyz", headers={"Authorization": f"Bearer {token}"}
    )
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"kube-apiserver ended with {process.returncode}:\n{_tail(log)}")
        try:
            with urllib.request.urlopen(request, context=context, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)  # polls a condition; the deadline above decides
    raise RuntimeError(f"kube-apiserver not ready after {DEADLINE_S:.0f} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
