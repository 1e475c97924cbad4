"""Who may ask a kubelet what: the API server is asked, as on a real node."""

from __future__ import annotations

import time
from dataclasses import dataclass

from aiohttp import web

from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.resources import JsonObject

# A kubelet remembers answers for minutes; tests change permissions faster than that.
REMEMBER_S = 2.0


@dataclass(frozen=True, slots=True)
class _Answer:
    until_s: float
    user: JsonObject | None
    allowed: bool


def subresources(path: str) -> list[str]:
    """Subresources of nodes any one of which permits a path."""
    parts = path.strip("/").split("/")
    match parts[0]:
        case "stats" | "metrics":
            return [parts[0]]
        case "logs":
            return ["log"]
        case "pods" | "healthz":
            return [parts[0], "proxy"]
    return ["proxy"]


class Gate:
    """Lets a request in, or raises 401 or 403 with a kubelet's own words."""

    def __init__(self, client: ApiClient, *, node: str) -> None:
        self._client = client
        self._node = node
        self._answers: dict[tuple[str, str], _Answer] = {}

    async def check(self, request: web.Request) -> None:
        """Authenticate the client certificate or bearer token, and authorise the path."""
        wanted = subresources(request.path)
        transport = request.transport
        shown = transport.get_extra_info("peercert") if transport is not None else None
        if shown:
            user = _user_of(shown)
            self._judge(user, wanted, allowed=await self._may_any(user, wanted))
            return
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise web.HTTPUnauthorized(text="Unauthorized")
        key = (token, wanted[0])
        answer = self._answers.get(key)
        if answer is None or answer.until_s < time.monotonic():
            answer = await self._ask(token, wanted)
            now_s = time.monotonic()
            self._answers = {k: a for k, a in self._answers.items() if a.until_s >= now_s}
            self._answers[key] = answer
        if answer.user is None:
            raise web.HTTPUnauthorized(text="Unauthorized")
        self._judge(answer.user, wanted, allowed=answer.allowed)

    def _judge(self, user: JsonObject, wanted: list[str], *, allowed: bool) -> None:
        if not allowed:
            words = f"verb=get, resource=nodes, subresource(s)=[{' '.join(wanted)}]"
            raise web.HTTPForbidden(text=f"Forbidden (user={user['username']}, {words})")

    async def _ask(self, token: str, wanted: list[str]) -> _Answer:
        until_s = time.monotonic() + REMEMBER_S
        review = await self._client.request(
            "POST",
            "/apis/authentication.k8s.io/v1/tokenreviews",
            body={
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "spec": {"token": token},
            },
        )
        if not review.get("status", {}).get("authenticated"):
            return _Answer(until_s, None, allowed=False)
        user = review["status"]["user"]
        return _Answer(until_s, user, allowed=await self._may_any(user, wanted))

    async def _may_any(self, user: JsonObject, wanted: list[str]) -> bool:
        for subresource in wanted:
            if await self._may(user, subresource):
                return True
        return False

    async def _may(self, user: JsonObject, subresource: str) -> bool:
        attributes = {
            "verb": "get",
            "group": "",
            "version": "v1",
            "resource": "nodes",
            "subresource": subresource,
            "name": self._node,
        }
        answer = await self._client.request(
            "POST",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            body={
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": user["username"],
                    "groups": user.get("groups") or [],
                    "uid": user.get("uid", ""),
                    "resourceAttributes": attributes,
                },
            },
        )
        return bool(answer.get("status", {}).get("allowed"))


def _user_of(certificate: JsonObject) -> JsonObject:
    """User of a verified client certificate: its common name, with its organisations as groups."""
    fields = [pair for part in certificate.get("subject", ()) for pair in part]
    names = [value for field, value in fields if field == "commonName"]
    groups = [value for field, value in fields if field == "organizationName"]
    return {"username": names[0] if names else "", "groups": [*groups, "system:authenticated"]}
