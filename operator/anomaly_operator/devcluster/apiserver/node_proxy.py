"""Talks to kubelets for clients: logs, and the node proxy; the address is the one in the Node."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import aiohttp
from aiohttp import web

from anomaly_operator.devcluster.apiserver.certificates import Identity
from anomaly_operator.devcluster.apiserver.documents import Document, look_up
from anomaly_operator.devcluster.apiserver.refusals import Refusal, bad_request, not_found
from anomaly_operator.devcluster.apiserver.storage import Store

KUBELET_PORT = 10250
# Nodes of a stand-in serve plain http where they say so; a real kubelet always has TLS.
SCHEME_ANNOTATION = "devcluster.anomaly-operator.dev/kubelet-scheme"
_LOG_QUERY = (
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
    "stream",
)
_CHUNK = 65536


class NodeProxy:
    """One HTTP client for all kubelets; it shows the server's client certificate."""

    def __init__(self, store: Store, identity: Identity, authority: Path) -> None:
        self._store = store
        self._identity = identity
        self._authority = authority
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Kubelets' serving certificates are self-signed unless rotation is set up, and a real
            # API server does not verify them either by default.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.load_cert_chain(self._identity.certificate, self._identity.key)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
                auto_decompress=False,
            )
        return self._session

    def address_of(self, node_name: str) -> str:
        """Return the base URL of a node's kubelet."""
        stored = self._store.get("/nodes", ("", node_name))
        if stored is None:
            raise not_found("nodes", "", name=node_name)
        node = stored.document
        port = look_up(node, ("status", "daemonEndpoints", "kubeletEndpoint", "Port"))
        addresses: dict[str, str] = {
            each["type"]: each["address"] for each in look_up(node, ("status", "addresses")) or []
        }
        host = addresses.get("InternalIP") or addresses.get("Hostname") or node_name
        annotations = node["metadata"].get("annotations") or {}
        scheme = annotations.get(SCHEME_ANNOTATION, "https")
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{port or KUBELET_PORT}"

    async def pod_log(self, request: web.Request, pod: Document) -> web.StreamResponse:
        """Stream a container's log from the pod's node."""
        container = self._container(request, pod)
        node = look_up(pod, ("spec", "nodeName"))
        metadata = pod["metadata"]
        if not node:
            # A pod without a node has no log yet; the real server answers with nothing.
            return web.Response(text="")
        query = {name: request.query[name] for name in _LOG_QUERY if name in request.query}
        path = "/".join(
            quote(part) for part in (metadata["namespace"], metadata["name"], container)
        )
        return await self.forward(
            request, f"{self.address_of(str(node))}/containerLogs/{path}", query=query
        )

    def _container(self, request: web.Request, pod: Document) -> str:
        spec, name = pod["spec"], pod["metadata"]["name"]
        names = [str(each["name"]) for each in spec.get("containers") or []]
        inits = [str(each["name"]) for each in spec.get("initContainers") or []]
        asked = request.query.get("container")
        if asked:
            if asked not in names + inits:
                raise bad_request(f"container {asked} is not valid for pod {name}")
            return asked
        if len(names) == 1 and not inits:
            return names[0]
        choices = " ".join(names)
        extra = f" or one of the init containers: [{' '.join(inits)}]" if inits else ""
        raise bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{choices}]{extra}"
        )

    async def forward(
        self, request: web.Request, url: str, *, query: Mapping[str, str]
    ) -> web.StreamResponse:
        """Pass a GET on to a kubelet and its answer back, as it comes."""
        try:
            async with self._client().get(url, params=dict(query)) as upstream:
                kind = upstream.headers.get("Content-Type", "text/plain")
                if upstream.status >= 400:
                    text = (await upstream.text()).strip()
                    raise _upstream_refusal(upstream.status, text)
                response = web.StreamResponse(
                    status=upstream.status, headers={"Content-Type": kind}
                )
                response.enable_chunked_encoding()
                await response.prepare(request)
                async for chunk in upstream.content.iter_chunked(_CHUNK):
                    await response.write(chunk)
                return response
        except aiohttp.ClientConnectorError as problem:
            raise Refusal(
                500, "InternalError", message=f'Get "{url}": dial tcp: {problem.os_error}'
            ) from problem
        except aiohttp.ClientPayloadError:
            # The kubelet went away in the middle; what came is what there is.
            return response


def _upstream_refusal(status: int, text: str) -> Refusal:
    reasons = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}
    return Refusal(status, reasons.get(status, "InternalError"), message=text)
