"""Calls of the Kubernetes API over HTTP: read, write, watch, and errors with their reasons."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Self

import aiohttp

from anomaly_operator.devcluster.apiclient.access import ApiAccess
from anomaly_operator.devcluster.apiclient.resources import JsonObject, Resource

CALL_TIMEOUT_S = 30.0
WATCH_SPAN_S = 300  # the server ends a watch after this; a fresh one starts where it stopped
# One watched object with its whole status fits; the default line limit of 64 KiB does not do.
READ_BUFFER_BYTES = 4 * 2**20
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class ApiError(Exception):
    """The API server refused a call; ``reason`` is the API's own word, such as Conflict."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(f"{status} {reason}: {message}")

    @property
    def is_gone(self) -> bool:
        """The object is not there (any more)."""
        return self.status == 404

    @property
    def is_conflict(self) -> bool:
        """Somebody else was quicker; read again and retry."""
        return self.status == 409


class ApiClient:
    """Calls one API server under one identity; use as an asynchronous context manager."""

    def __init__(self, access: ApiAccess, *, user_agent: str = "devcluster") -> None:
        self.access = access
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"User-Agent": self._user_agent, "Accept": "application/json"}
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        context = self.access.ssl_context()
        self._session = aiohttp.ClientSession(
            headers=headers,
            # Every watch holds a connection, so the pool must have no limit.
            connector=aiohttp.TCPConnector(limit=0, ssl=context or True),
            timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
            read_bufsize=READ_BUFFER_BYTES,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: JsonObject | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        """One call; raises ApiError on any answer that is no success."""
        assert self._session is not None, "use the client as a context manager"
        async with self._session.request(
            method,
            self.access.server + path,
            data=None if body is None else json.dumps(body).encode(),
            params=params,
            headers={} if body is None else {"Content-Type": content_type},
        ) as response:
            text = await response.text()
            if response.status >= 400:
                raise _error(response.status, text)
            document: JsonObject = json.loads(text)
            return document

    async def get(self, resource: Resource, namespace: str, name: str) -> JsonObject:
        """Read one object."""
        return await self.request("GET", resource.path(namespace, name))

    async def find(self, resource: Resource, namespace: str, name: str) -> JsonObject | None:
        """Read one object, or None when it is not there."""
        try:
            return await self.get(resource, namespace, name)
        except ApiError as error:
            if error.is_gone:
                return None
            raise

    async def list(
        self, resource: Resource, namespace: str = "", *, field_selector: str = "", labels: str = ""
    ) -> JsonObject:
        """Read a collection; items carry their kind, which lists leave out."""
        params = {"fieldSelector": field_selector, "labelSelector": labels}
        answer = await self.request(
            "GET", resource.path(namespace), params={k: v for k, v in params.items() if v}
        )
        for item in answer.get("items") or ():
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        return answer

    async def create(
        self, resource: Resource, obj: JsonObject, *, subresource: str = "", name: str = ""
    ) -> JsonObject:
        """Create an object, or post to the subresource of one."""
        namespace = obj["metadata"].get("namespace", "")
        path = resource.path(namespace, name, subresource=subresource)
        return await self.request("POST", path, body=obj)

    async def replace(
        self, resource: Resource, obj: JsonObject, *, subresource: str = ""
    ) -> JsonObject:
        """Write a whole object; a stale resourceVersion is refused with Conflict."""
        metadata = obj["metadata"]
        path = resource.path(
            metadata.get("namespace", ""), metadata["name"], subresource=subresource
        )
        return await self.request("PUT", path, body=obj)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        patch: JsonObject,
        subresource: str = "",
    ) -> JsonObject:
        """Merge-patch an object: named fields change, null removes, lists are replaced."""
        path = resource.path(namespace, name, subresource=subresource)
        return await self.request("PATCH", path, body=patch, content_type=MERGE_PATCH)

    async def apply(self, resource: Resource, obj: JsonObject, *, field_manager: str) -> JsonObject:
        """Server-side apply, taking over fields of other managers."""
        metadata = obj["metadata"]
        return await self.request(
            "PATCH",
            resource.path(metadata.get("namespace", ""), metadata["name"]),
            body=obj,
            params={"fieldManager": field_manager, "force": "true"},
            content_type=APPLY_PATCH,
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        grace_s: int | None = None,
        propagation: str = "Background",
    ) -> JsonObject | None:
        """Delete; None when it was gone already or, with ``uid``, is another object by now."""
        options: JsonObject = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            return await self.request("DELETE", resource.path(namespace, name), body=options)
        except ApiError as error:
            if error.is_gone or (uid and error.is_conflict):
                return None
            raise

    async def watch(
        self, resource: Resource, version: str, *, field_selector: str = ""
    ) -> AsyncGenerator[JsonObject, None]:
        """Events after a resource version until the server ends the watch; ApiError 410 if lost."""
        assert self._session is not None, "use the client as a context manager"
        params = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SPAN_S),
        }
        if field_selector:
            params["fieldSelector"] = field_selector
        async with self._session.get(
            self.access.server + resource.path(),
            params=params,
            timeout=aiohttp.ClientTimeout(total=None, sock_read=WATCH_SPAN_S + 30),
        ) as response:
            if response.status >= 400:
                raise _error(response.status, await response.text())
            with contextlib.suppress(aiohttp.ClientPayloadError, asyncio.IncompleteReadError):
                async for line in response.content:
                    if not line.strip():
                        continue
                    event: JsonObject = json.loads(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise ApiError(
                            status.get("code", 500),
                            status.get("reason", ""),
                            status.get("message", ""),
                        )
                    yield event


def _error(status: int, text: str) -> ApiError:
    try:
        document = json.loads(text)
        return ApiError(status, document.get("reason", ""), document.get("message", text))
    except (ValueError, AttributeError):
        return ApiError(status, "", text.strip()[:500])
