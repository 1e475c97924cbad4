"""Bearer tokens: the admin's, and service accounts' as signed JSON web tokens.

Tokens of service accounts look like a real server's (RFC 7519, ES256), so whatever decodes one to
read its expiry or namespace works; they die with the account, and with the pod they are bound to.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from anomaly_operator.devcluster.apiserver.documents import Document, look_up
from anomaly_operator.devcluster.apiserver.storage import Store
from anomaly_operator.devcluster.apiserver.write_options import User

ISSUER = "https://kubernetes.default.svc.cluster.local"
DEFAULT_LIFE_S = 3600
SHORTEST_LIFE_S = 600
_HALF = 32  # bytes of r and of s in an ES256 signature


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _from_text(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def account_user(namespace: str, name: str, *, uid: str, pod: Document | None = None) -> User:
    """Return the user a service account acts as."""
    extra: dict[str, list[str]] = {}
    if pod:
        extra = {
            "authentication.kubernetes.io/pod-name": [str(pod.get("name"))],
            "authentication.kubernetes.io/pod-uid": [str(pod.get("uid"))],
        }
    groups = (
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "system:authenticated",
    )
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra)


class TokenMint:
    """Makes and checks service account tokens with one key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, store: Store) -> None:
        self._key = key
        self._store = store

    def issue(
        self,
        account: Document,
        *,
        audiences: Sequence[str] = (),
        life_s: int = DEFAULT_LIFE_S,
        bound_pod: Document | None = None,
    ) -> tuple[str, str]:
        """Return a token and the RFC 3339 time it expires."""
        now = int(time.time())
        expires = now + max(SHORTEST_LIFE_S, life_s)
        metadata = account["metadata"]
        private: Document = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        if bound_pod:
            private["pod"] = {"name": bound_pod["name"], "uid": bound_pod["uid"]}
        claims = {
            "aud": list(audiences) or [ISSUER],
            "exp": expires,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        header = {"alg": "ES256", "kid": "devcluster", "typ": "JWT"}
        signed = f"{_to_text(orjson.dumps(header))}.{_to_text(orjson.dumps(claims))}"
        r, s = utils.decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        signature = _to_text(r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big"))
        end = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{signed}.{signature}", end

    def check(self, token: str, *, audiences: Sequence[str] = (ISSUER,)) -> User | None:
        """Return whose token it is, or None: not ours, expired, or its account is gone."""
        claims = self._verified_claims(token)
        if claims is None or not claims["nbf"] - 1 <= time.time() < claims["exp"]:
            return None
        if not set(audiences) & set(claims["aud"]):
            return None
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        if self._uid("/serviceaccounts", namespace, name=account["name"]) != account["uid"]:
            return None
        pod = private.get("pod")
        if pod and self._uid("/pods", namespace, name=pod["name"]) != pod["uid"]:
            return None
        return account_user(namespace, account["name"], uid=account["uid"], pod=pod)

    def _uid(self, table: str, namespace: str, *, name: str) -> str | None:
        stored = self._store.get(table, (namespace, name))
        return look_up(stored.document, ("metadata", "uid")) if stored else None

    def _verified_claims(self, token: str) -> Document | None:
        try:
            signed, _, encoded = token.rpartition(".")
            signature = _from_text(encoded)
            r = int.from_bytes(signature[:_HALF], "big")
            s = int.from_bytes(signature[_HALF:], "big")
            self._key.public_key().verify(
                utils.encode_dss_signature(r, s), signed.encode(), ec.ECDSA(SHA256())
            )
            claims: Document = orjson.loads(_from_text(signed.split(".")[1]))
        except (InvalidSignature, ValueError, IndexError):
            return None
        return claims
