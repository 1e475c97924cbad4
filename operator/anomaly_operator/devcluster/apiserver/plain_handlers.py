"""What is not a resource: health, version, discovery and API descriptions."""

from __future__ import annotations

from aiohttp import web

from anomaly_operator.devcluster.apiserver import answers, discovery, openapi_v2, openapi_v3
from anomaly_operator.devcluster.apiserver.negotiation import accepted
from anomaly_operator.devcluster.apiserver.refusals import NoSuchPage, no_such_path
from anomaly_operator.devcluster.apiserver.server_state import ServerState

# The version whose behaviour is imitated; 2 is the patch level it was measured on.
VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2+devcluster",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-06-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
HEALTH = {"/healthz", "/livez", "/readyz"}


def plain(state: ServerState, request: web.Request) -> web.StreamResponse:
    """Answer a path outside the resources."""
    path = request.path.rstrip("/") or "/"
    if path in HEALTH or any(path.startswith(f"{each}/") for each in HEALTH):
        verbose = "verbose" in request.query
        return web.Response(text="[+]ping ok\nhealthz check passed\n" if verbose else "ok")
    if path == "/version":
        return answers.json_answer(VERSION)
    if path == "/":
        return answers.json_answer(
            {"paths": ["/api", "/apis", "/healthz", "/openapi/v3", "/version"]}
        )
    if path == "/openapi/v2":
        return openapi_v2.answer(state.catalog, request)
    if path == "/openapi/v3" or path.startswith("/openapi/v3/"):
        return openapi_v3.answer(state.catalog, request)
    return _discovery(state, request, path)


def _discovery(state: ServerState, request: web.Request, path: str) -> web.StreamResponse:
    parts = path.strip("/").split("/")
    catalog = state.catalog
    if path in {"/api", "/apis"}:
        version = _aggregated_version(request)
        if version:
            document = discovery.aggregated(catalog, core=path == "/api", version=version)
            group = discovery.DISCOVERY_GROUP
            kind = f"application/json;g={group};v={version};as=APIGroupDiscoveryList"
            return answers.json_answer(document, content_type=kind)
        if path == "/api":
            return answers.json_answer(discovery.core_versions(request.host))
        return answers.json_answer(discovery.group_list(catalog))
    if parts == ["api", "v1"]:
        return answers.json_answer(discovery.resource_list(catalog, "", "v1"))
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in catalog.groups():
        return answers.json_answer(discovery.group_document(catalog, parts[1]))
    if parts[0] == "apis" and len(parts) == 3 and parts[2] in catalog.versions(parts[1]):
        return answers.json_answer(discovery.resource_list(catalog, parts[1], parts[2]))
    if parts[0] == "api" or (parts[0] == "apis" and catalog.is_builtin((*parts, "")[1])):
        raise no_such_path()
    raise NoSuchPage


def _aggregated_version(request: web.Request) -> str:
    for choice in accepted(request.headers.get("Accept", "")):
        if choice.get("as") == "APIGroupDiscoveryList" and choice.get("v") in {"v2", "v2beta1"}:
            return choice["v"]
        if choice["media"] == answers.JSON and "as" not in choice:
            return ""
    return ""
