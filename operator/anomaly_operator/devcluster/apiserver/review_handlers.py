"""Reviews: who am I, may I, may they, whose token is this; nothing of it is stored."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from anomaly_operator.devcluster.apiserver import answers
from anomaly_operator.devcluster.apiserver.authorizing import MASTERS, Attributes
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.refusals import Refusal, invalid, invalid_value
from anomaly_operator.devcluster.apiserver.resource_handlers import Asked
from anomaly_operator.devcluster.apiserver.server_state import ServerState
from anomaly_operator.devcluster.apiserver.tokens import ISSUER
from anomaly_operator.devcluster.apiserver.write_options import User


async def review(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Answer a review of any kind with its status filled in."""
    body: Document = await asked.body()
    spec = body.get("spec") or {}
    match asked.kind.kind:
        case "TokenReview":
            status = _token_status(state, spec)
        case "SelfSubjectReview":
            status = {"userInfo": _user_info(asked.user)}
        case "SelfSubjectRulesReview":
            status = _rules_status(state, asked.user, str(spec.get("namespace") or ""))
        case "SelfSubjectAccessReview":
            status = _access_status(state, asked.user, spec)
        case _:
            user = User(
                str(spec.get("user") or ""),
                tuple(spec.get("groups") or ()),
                str(spec.get("uid") or ""),
            )
            status = _access_status(state, user, spec)
    answer = body | {
        "kind": asked.kind.kind,
        "apiVersion": asked.kind.api_version,
        "metadata": body.get("metadata") or {},
        "status": status,
    }
    return answers.json_answer(answer, status=201)


def _user_info(user: User) -> Document:
    info: dict[str, Any] = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = user.extra
    return info


def _token_status(state: ServerState, spec: Document) -> Document:
    audiences = spec.get("audiences") or [ISSUER]
    token = str(spec.get("token") or "")
    user = state.mint.check(token, audiences=audiences)
    if user is None:
        try:
            user = state.authenticator.user_of_token(token)
        except Refusal:
            return {"error": "invalid bearer token", "user": {}}
    return {"authenticated": True, "user": _user_info(user), "audiences": audiences}


def _access_status(state: ServerState, user: User, spec: Document) -> Document:
    resource, plain = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (plain is None):
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        cause = invalid_value("spec.resourceAttributes", None, text=text)
        raise invalid("", "authorization.k8s.io", name="", causes=[cause])
    if resource is not None:
        wanted = Attributes(
            str(resource.get("verb") or ""),
            str(resource.get("group") or ""),
            str(resource.get("resource") or ""),
            str(resource.get("subresource") or ""),
            str(resource.get("namespace") or ""),
            str(resource.get("name") or ""),
        )
    else:
        plain = plain or {}
        wanted = Attributes(str(plain.get("verb") or ""), path=str(plain.get("path") or ""))
    return {"allowed": state.authorizer.allows(user, wanted)}


def _rules_status(state: ServerState, user: User, namespace: str) -> Document:
    rules = list(state.authorizer.rules_for(user, namespace))
    if MASTERS in user.groups:
        rules += [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]
    resources = ("verbs", "apiGroups", "resources", "resourceNames")
    return {
        "resourceRules": [
            {name: rule[name] for name in resources if name in rule}
            for rule in rules
            if rule.get("resources")
        ],
        "nonResourceRules": [
            {name: rule[name] for name in ("verbs", "nonResourceURLs")}
            for rule in rules
            if rule.get("nonResourceURLs")
        ],
        "incomplete": False,
    }
