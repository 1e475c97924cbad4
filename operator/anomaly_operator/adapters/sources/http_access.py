"""One HTTP client for a metric source: credentials from mounted files, re-read when they change.

A Secret's mount is swapped as a whole when the Secret is edited; file identity and time show it, so
a rotated token or certificate is in use with the next request and no restart.
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx

from anomaly_operator.errors import SourceUnavailable


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach and sign in to a server; every credential is a file."""

    timeout_s: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict)
    header_files: Mapping[str, Path] = field(default_factory=dict)
    bearer_file: Path | None = None
    username_file: Path | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read."""
        named = (
            self.bearer_file,
            self.username_file,
            self.password_file,
            self.ca_file,
            self.cert_file,
            self.key_file,
        )
        return tuple(path for path in (*named, *self.header_files.values()) if path is not None)


class Connection:
    """Sends requests to one server, with a client that is rebuilt when a credential file changes.

    ``place`` names the source in messages, without anything secret.
    """

    def __init__(self, place: str, access: Access, *, connections: int = 8) -> None:
        self.place = place
        self._access = access
        self._connections = connections
        self._client: httpx.Client | None = None
        self._seen: tuple[tuple[int, int, int], ...] = ()

    def client(self) -> httpx.Client:
        """Return the client, new where credentials changed. Raises SourceUnavailable."""
        seen = self._identities()
        if self._client is None or seen != self._seen:
            self.close()
            self._client = self._connect()
            self._seen = seen
        return self._client

    def extensions(self) -> dict[str, str]:
        """Give what a request needs beside its client: the name expected in the certificate."""
        name = self._access.server_name
        return {"sni_hostname": name} if name else {}

    def close(self) -> None:
        """Release connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _identities(self) -> tuple[tuple[int, int, int], ...]:
        try:
            found = [path.stat() for path in self._access.files]
        except OSError as error:
            raise self._unreadable(error) from error
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)

    def _connect(self) -> httpx.Client:
        access = self._access
        try:
            headers = dict(access.headers)
            headers.update({name: read(path) for name, path in access.header_files.items()})
            if access.bearer_file is not None:
                headers["Authorization"] = f"Bearer {read(access.bearer_file)}"
            elif access.username_file is not None and access.password_file is not None:
                pair = f"{read(access.username_file)}:{read(access.password_file)}"
                headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
            return httpx.Client(
                headers=headers,
                verify=tls_context(access),
                timeout=httpx.Timeout(access.timeout_s, connect=min(10.0, access.timeout_s)),
                limits=httpx.Limits(max_connections=self._connections),
                follow_redirects=False,
                trust_env=os.environ.get("ANOMALY_SOURCE_PROXY") == "1",
            )
        except ssl.SSLError as error:
            message = f"{self.place}: a certificate or key file cannot be used: {error}"
            raise SourceUnavailable(message, reason="TLS") from error
        except (OSError, UnicodeError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> SourceUnavailable:
        where = getattr(error, "filename", None) or "a credential file"
        return SourceUnavailable(
            f"{self.place}: {where} cannot be read ({type(error).__name__}); "
            "the Secret must be mounted and hold this key",
            reason="CredentialsMissing",
        )


def read(path: Path) -> str:
    """Read a credential: one line, without the end of line that editors leave."""
    return path.read_text(encoding="utf-8").strip()


def tls_context(access: Access) -> ssl.SSLContext:
    """Check the server's certificate as told, and show ours where there is one."""
    context = ssl.create_default_context()
    if access.ca_file is not None:
        context = ssl.create_default_context(cafile=str(access.ca_file))
    if access.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.cert_file is not None and access.key_file is not None:
        context.load_cert_chain(str(access.cert_file), str(access.key_file))
    return context


def without_secrets(url: str) -> str:
    """Drop user, password and query: what is left may stand in a condition."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    place = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))


def is_tls_failure(error: BaseException) -> bool:
    """Whether a connection failed over certificates, which waiting will not mend."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
