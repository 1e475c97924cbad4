"""Subresources that are not the object: log, token, eviction, binding, scale, finalize, proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from anomaly_operator.devcluster.apiserver import answers, bodies, refusals
from anomaly_operator.devcluster.apiserver.deleting import DeleteOptions
from anomaly_operator.devcluster.apiserver.documents import (
    Document,
    clone,
    look_up,
    now_text,
    put_at,
)
from anomaly_operator.devcluster.apiserver.json_patching import json_patch, merge_patch
from anomaly_operator.devcluster.apiserver.resource_handlers import Asked
from anomaly_operator.devcluster.apiserver.server_state import ServerState
from anomaly_operator.devcluster.apiserver.tokens import (
    DEFAULT_LIFE_S,
    ISSUER,
    SHORTEST_LIFE_S,
)

Handler = Callable[[ServerState, Asked], Awaitable[web.StreamResponse]]


async def log(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Stream a container's log."""
    pod = state.registry.get(asked.kind, asked.key).document
    return await state.nodes.pod_log(asked.request, pod)


async def token(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Mint a service account token (TokenRequest)."""
    account = state.registry.get(asked.kind, asked.key).document
    body = await asked.body()
    spec = body.get("spec") or {}
    life_s = spec.get("expirationSeconds") or DEFAULT_LIFE_S
    if life_s < SHORTEST_LIFE_S:
        text = "may not specify a duration less than 10 minutes"
        cause = refusals.invalid_value("spec.expirationSeconds", life_s, text=text)
        raise refusals.invalid("TokenRequest", "authentication.k8s.io", name="", causes=[cause])
    spec = {"audiences": [ISSUER], "boundObjectRef": None} | spec | {"expirationSeconds": life_s}
    bound = spec["boundObjectRef"] or {}
    pod: Document | None = None
    if bound.get("kind") == "Pod":
        stored = state.store.get("/pods", (asked.path.namespace, str(bound.get("name"))))
        if stored is None:
            raise refusals.not_found("pods", "", name=str(bound.get("name")))
        pod = stored.document["metadata"]
        if bound.get("uid") and bound["uid"] != pod["uid"]:
            why = (
                f"the UID in the bound object reference ({bound['uid']}) does not match the UID in "
                f"record. The object might have been deleted and then recreated"
            )
            raise refusals.conflict("pods", "", name=str(bound.get("name")), why=why)
    minted, expires = state.mint.issue(
        account,
        audiences=spec["audiences"],
        life_s=life_s,
        bound_pod=pod,
    )
    answer = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "name": asked.path.name,
            "namespace": asked.path.namespace,
            "uid": account["metadata"]["uid"],
            "creationTimestamp": now_text(),
        },
        "spec": spec,
        "status": {"token": minted, "expirationTimestamp": expires},
    }
    return answers.json_answer(answer, status=201)


async def eviction(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Delete a pod politely, unless a disruption budget has nothing left."""
    body = await asked.body()
    pod = state.registry.get(asked.kind, asked.key).document
    _check_budgets(state, pod)
    options = DeleteOptions.parse(body.get("deleteOptions") or {}, asked.request.query)
    state.registry.delete(asked.kind, asked.key, options=options)
    return _done()


def _done() -> web.StreamResponse:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }
    return answers.json_answer(status, status=201)


def _check_budgets(state: ServerState, pod: Document) -> None:
    labels = pod["metadata"].get("labels") or {}
    for _, stored in state.store.items("policy/poddisruptionbudgets", pod["metadata"]["namespace"]):
        wanted = look_up(stored.document, ("spec", "selector", "matchLabels")) or {}
        allowed = look_up(stored.document, ("status", "disruptionsAllowed")) or 0
        if (
            wanted
            and all(labels.get(key) == value for key, value in wanted.items())
            and not allowed
        ):
            name = stored.document["metadata"]["name"]
            cause = {
                "reason": "DisruptionBudget",
                "message": f"The disruption budget {name} needs more healthy pods than there are",
            }
            raise refusals.Refusal(
                429,
                "TooManyRequests",
                message="Cannot evict pod as it would violate the pod's disruption budget.",
                details={"causes": [cause]},
            )


async def binding(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Put a pod on a node, as a scheduler does."""
    body = await asked.body()
    node = look_up(body, ("target", "name"))
    if not node:
        raise refusals.bad_request("target.name: Required value")

    def bind(pod: Document) -> Document:
        if pod["spec"].get("nodeName"):
            why = f'pod {asked.path.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise refusals.conflict("pods/binding", "", name=asked.path.name, why=why)
        pod["spec"]["nodeName"] = node
        conditions = pod.setdefault("status", {}).setdefault("conditions", [])
        conditions[:] = [each for each in conditions if each.get("type") != "PodScheduled"]
        conditions.append(
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": now_text()}
        )
        return pod

    options = asked.options()
    state.registry.patch(asked.kind, asked.key, change=bind, options=options)
    return _done()


async def finalize(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Take finalizers off a namespace's spec; the last one lets it go."""
    options = asked.options()
    body = await asked.body()
    made = state.registry.replace(asked.kind, asked.key, body=body, options=options)
    return answers.object_answer(asked.request, asked.kind, made)


async def proxy(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Pass a GET on to a node's kubelet."""
    name, _, _ = asked.path.name.partition(":")
    base = state.nodes.address_of(name)
    query = dict(asked.request.query)
    return await state.nodes.forward(asked.request, f"{base}/{asked.path.rest}", query=query)


async def scale(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Read or write the number of replicas through the Scale kind."""
    live = state.registry.get(asked.kind, asked.key).document
    if asked.request.method == "GET":
        return answers.json_answer(_scale_of(asked, live))
    wanted = await _wanted_scale(asked, _scale_of(asked, live))
    replicas = look_up(wanted, ("spec", "replicas")) or 0
    version = look_up(wanted, ("metadata", "resourceVersion"))
    if not isinstance(replicas, int) or replicas < 0:
        cause = refusals.invalid_value(
            "spec.replicas", replicas, text="must be greater than or equal to 0"
        )
        raise refusals.invalid("Scale", "autoscaling", name=asked.path.name, causes=[cause])
    paths = asked.kind.scale
    assert paths is not None

    def change(document: Document) -> Document:
        put_at(document, paths.spec_replicas, replicas)
        if version and asked.request.method == "PUT":
            document["metadata"]["resourceVersion"] = version
        return document

    options = asked.options()
    made = state.registry.patch(asked.kind, asked.key, change=change, options=options)
    return answers.json_answer(_scale_of(asked, made), warnings=options.warnings)


async def _wanted_scale(asked: Asked, current: Document) -> Document:
    body = await asked.body()
    media = bodies.media_type(asked.request.headers.get("Content-Type", ""))
    if asked.request.method == "PUT":
        return dict(body)
    if media == bodies.JSON_PATCH:
        return dict(json_patch(current, body))
    merged: Document = merge_patch(clone(current), body)
    return merged


def _scale_of(asked: Asked, document: Document) -> Document:
    paths = asked.kind.scale
    assert paths is not None
    metadata = document["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": look_up(document, paths.spec_replicas) or 0},
        "status": {
            "replicas": look_up(document, paths.status_replicas) or 0,
            "selector": _selector_text(look_up(document, paths.selector or ("spec", "selector"))),
        },
    }


def _selector_text(selector: Any) -> str:
    if isinstance(selector, str):
        return selector
    labels = (selector or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


SPECIAL: dict[str, Handler] = {
    "log": log,
    "token": token,
    "eviction": eviction,
    "binding": binding,
    "finalize": finalize,
    "proxy": proxy,
    "scale": scale,
}
