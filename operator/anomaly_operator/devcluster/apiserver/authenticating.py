"""Who is asking: bearer tokens, client certificates, and impersonation on top of either."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from anomaly_operator.devcluster.apiserver.refusals import unauthorized
from anomaly_operator.devcluster.apiserver.tokens import TokenMint
from anomaly_operator.devcluster.apiserver.write_options import ANONYMOUS, User

AUTHENTICATED = "system:authenticated"


class Authenticator:
    """Turns the credentials of a request into a user."""

    def __init__(self, mint: TokenMint, static: Mapping[str, User]) -> None:
        self._mint = mint
        self._static = dict(static)

    def user_of(self, headers: Mapping[str, str], certificate: Mapping[str, Any] | None) -> User:
        """Return the user; no credentials are anonymous, wrong ones are refused with 401."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return self.user_of_token(token.strip())
        if certificate:
            return _certificate_user(certificate)
        if scheme:
            raise unauthorized()
        return ANONYMOUS

    def user_of_token(self, token: str) -> User:
        """Return whose token it is, or refuse."""
        for known, user in self._static.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                return user
        found = self._mint.check(token)
        if found is None:
            raise unauthorized()
        return found


def _certificate_user(certificate: Mapping[str, Any]) -> User:
    parts = [pair for group in certificate.get("subject", ()) for pair in group]
    names = [value for key, value in parts if key == "commonName"]
    groups = tuple(value for key, value in parts if key == "organizationName")
    return User(names[0] if names else "", (*groups, AUTHENTICATED))


def impersonated(headers: Any) -> User | None:
    """Return the user that a request wants to act as (``kubectl --as``), or None."""
    name = headers.get("Impersonate-User")
    groups = tuple(headers.getall("Impersonate-Group", ()))
    if not name:
        return None
    extra: dict[str, list[str]] = {}
    for key, value in headers.items():
        if key.lower().startswith("impersonate-extra-"):
            extra.setdefault(unquote(key[len("Impersonate-Extra-") :]).lower(), []).append(value)
    if name.startswith("system:serviceaccount:") and not groups:
        namespace = name.split(":")[2]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    if name != ANONYMOUS.name and AUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    return User(name, groups, headers.get("Impersonate-Uid", ""), extra)
