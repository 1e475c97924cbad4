"""How to reach an API server: address and credentials, read from a kubeconfig.

Written anew rather than taken from the official client, because that one is synchronous and the
controllers and agents are many small loops in one process.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Address of an API server and what proves who we are."""

    server: str
    token: str = ""
    ca_pem: str = ""
    client_cert_pem: str = ""
    client_key_pem: str = ""
    insecure: bool = False

    @classmethod
    def from_kubeconfig(cls, path: Path) -> ApiAccess:
        """Read the current context of a kubeconfig file."""
        document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
        token = user.get("token", "")
        if not token and user.get("tokenFile"):
            token = _resolved(path, user["tokenFile"]).read_text(encoding="utf-8").strip()
        return cls(
            server=cluster["server"].rstrip("/"),
            token=token,
            ca_pem=_text(path, cluster, "certificate-authority"),
            client_cert_pem=_text(path, user, "client-certificate"),
            client_key_pem=_text(path, user, "client-key"),
            insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
        )

    def with_token(self, token: str) -> ApiAccess:
        """Same server, another identity."""
        return replace(self, token=token, client_cert_pem="", client_key_pem="")

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS settings, or None when the server speaks plain HTTP."""
        if not self.server.startswith("https:"):
            return None
        context = ssl.create_default_context(cadata=self.ca_pem or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert_pem:
            # The ssl module loads certificates from files only.
            with tempfile.TemporaryDirectory() as folder:
                cert, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
                cert.write_text(self.client_cert_pem, encoding="utf-8")
                key.touch(mode=0o600)
                key.write_text(self.client_key_pem, encoding="utf-8")
                context.load_cert_chain(cert, key)
        return context


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise LookupError(
        f"kubeconfig: nothing is named {name!r}; known: {[e['name'] for e in entries]}"
    )


def _resolved(kubeconfig: Path, value: str) -> Path:
    path = Path(value)
    return path if path.is_absolute() else kubeconfig.parent / path


def _text(kubeconfig: Path, section: dict[str, Any], field: str) -> str:
    if section.get(f"{field}-data"):
        return base64.b64decode(section[f"{field}-data"]).decode()
    if section.get(field):
        return _resolved(kubeconfig, section[field]).read_text(encoding="utf-8")
    return ""
