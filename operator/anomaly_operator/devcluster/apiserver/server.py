"""The server: authenticates, authorises, routes; starts and stops; writes kubeconfigs."""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from anomaly_operator.devcluster.apiserver import answers
from anomaly_operator.devcluster.apiserver.authenticating import Authenticator, impersonated
from anomaly_operator.devcluster.apiserver.authorizing import Attributes, Authorizer, denial
from anomaly_operator.devcluster.apiserver.bootstrap import bootstrap
from anomaly_operator.devcluster.apiserver.catalog import Catalog
from anomaly_operator.devcluster.apiserver.certificates import Authority, load_or_make_key
from anomaly_operator.devcluster.apiserver.custom_resources import CustomResources
from anomaly_operator.devcluster.apiserver.discovery import STATUS_VERBS
from anomaly_operator.devcluster.apiserver.escalating import EscalationGuard
from anomaly_operator.devcluster.apiserver.journal import Journal
from anomaly_operator.devcluster.apiserver.node_proxy import NodeProxy
from anomaly_operator.devcluster.apiserver.paths import is_true, parse_path
from anomaly_operator.devcluster.apiserver.plain_handlers import plain
from anomaly_operator.devcluster.apiserver.refusals import (
    NoSuchPage,
    Refusal,
    method_not_allowed,
    no_such_path,
    not_found,
)
from anomaly_operator.devcluster.apiserver.registry import Registry
from anomaly_operator.devcluster.apiserver.resource_handlers import HANDLERS, Asked
from anomaly_operator.devcluster.apiserver.review_handlers import review
from anomaly_operator.devcluster.apiserver.role_aggregation import RoleAggregation
from anomaly_operator.devcluster.apiserver.server_state import ServerState
from anomaly_operator.devcluster.apiserver.special_handlers import SPECIAL
from anomaly_operator.devcluster.apiserver.storage import Store
from anomaly_operator.devcluster.apiserver.tokens import TokenMint
from anomaly_operator.devcluster.apiserver.write_options import User
from anomaly_operator.devcluster.hanging_up import Line

_log = logging.getLogger(__name__)

ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
_LARGEST_BODY = 3 * 1024 * 1024  # the real server's limit of a request
_REVIEW_GROUPS = {"authentication.k8s.io", "authorization.k8s.io"}
_SHUTDOWN_S = 2.0


def _admin_token(path: Path) -> str:
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    token = secrets.token_urlsafe(32)
    path.touch(mode=0o600)
    path.write_text(token, encoding="utf-8")
    return token


class ApiServer:
    """A Kubernetes API server in this process.

    Parameters
    ----------
    data_dir
        Certificates, keys and, with ``persist``, the objects; made when missing. A server started
        again on the same folder keeps its authority, so kubeconfigs stay good.
    port
        0 takes a free one.
    enforce_rbac
        False lets everyone do everything, as ``--authorization-mode=AlwaysAllow``.
    persist
        Keep objects in ``data_dir`` over restarts.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        enforce_rbac: bool = True,
        persist: bool = True,
    ) -> None:
        self._host, self._port = host, port
        data_dir.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(data_dir / "pki")
        self.admin_token = _admin_token(data_dir / "admin.token")
        store = Store(Journal(data_dir / "objects.jsonl") if persist else None)
        authorizer = Authorizer(store, enforce=enforce_rbac)
        catalog, registry = Catalog(), Registry(store, EscalationGuard(authorizer))
        mint = TokenMint(load_or_make_key(data_dir / "pki" / "sa.key"), store)
        identity = self.authority.issue(
            "kubelet-client", "kube-apiserver-kubelet-client", groups=("system:masters",)
        )
        self.state = ServerState(
            store=store,
            catalog=catalog,
            registry=registry,
            mint=mint,
            authenticator=Authenticator(mint, {self.admin_token: ADMIN}),
            authorizer=authorizer,
            nodes=NodeProxy(store, identity, self.authority.certificate),
        )
        self._roles = RoleAggregation(store)
        self._definitions = CustomResources(catalog, registry)
        bootstrap(catalog, registry)
        self._runner: web.ServerRunner | None = None
        self._line = Line()

    @property
    def url(self) -> str:
        """Return the address clients use."""
        return f"https://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen; returns when requests are answered."""
        # Watches live as long as their clients; the runner cancels a handler whose client left.
        server = web.Server(self._handle, handler_cancellation=True)
        self._runner = web.ServerRunner(server, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        context = self.authority.server_context(self._host)
        self._port = await self._line.listen(self._runner, self._host, port=self._port, tls=context)

    async def stop(self) -> None:
        """End all watches and connections."""
        self.state.store.close()
        await self.state.nodes.close()
        if self._runner is not None:
            await self._line.hang_up(self._runner)
            self._runner = None

    def write_kubeconfig(
        self, path: Path, *, token: str | None = None, namespace: str = "default"
    ) -> Path:
        """Write a kubeconfig for the admin, or for the owner of a token."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "devcluster",
                    "cluster": {
                        "server": self.url,
                        "certificate-authority-data": _base64(self.authority.certificate),
                    },
                }
            ],
            "users": [{"name": "user", "user": {"token": token or self.admin_token}}],
            "contexts": [
                {
                    "name": "devcluster",
                    "context": {"cluster": "devcluster", "user": "user", "namespace": namespace},
                }
            ],
            "current-context": "devcluster",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return path

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._line.note(request)
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return answers.refusal_answer(refusal)
        except asyncio.CancelledError:
            raise
        except (ConnectionResetError, BrokenPipeError):
            return web.Response(status=499)
        except Exception as problem:  # noqa: BLE001 - a bug must answer 500, not hang a client
            _log.exception("request failed: %s %s", request.method, request.path)
            message = f"Internal error occurred: {problem!r}"
            return answers.refusal_answer(Refusal(500, "InternalError", message=message))

    async def _answer(self, request: Any) -> web.StreamResponse:
        user = self._user(request)
        path = parse_path(request.path)
        if path is None:
            verb = {"POST": "post", "PUT": "put"}.get(request.method, "get")
            self._allow(user, Attributes(verb, path=request.path))
            return plain(self.state, request)
        kind = self.state.catalog.find(path.group, path.version, path.plural)
        verb = path.verb(request.method, watch=is_true(request.query.get("watch", "")))
        wanted = Attributes(
            verb, path.group, path.plural, path.subresource, path.namespace, path.name
        )
        if path.plural == "namespaces" and path.name:
            # A namespace is inside itself for authorisation.
            wanted = Attributes(verb, "", "namespaces", path.subresource, path.name, path.name)
        self._allow(user, wanted)
        if kind is None:
            raise no_such_path() if self.state.catalog.is_builtin(path.group) else NoSuchPage
        return await self._dispatch(Asked(request, kind, path, user), verb)

    def _user(self, request: Any) -> User:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport else None
        user = self.state.authenticator.user_of(request.headers, certificate)
        other = impersonated(request.headers)
        if other is None:
            return user
        for attributes in _impersonation(other):
            self._allow(user, attributes)
        return other

    def _allow(self, user: User, wanted: Attributes) -> None:
        if not self.state.authorizer.allows(user, wanted):
            raise denial(user, wanted)

    async def _dispatch(self, asked: Asked, verb: str) -> web.StreamResponse:
        kind, path = asked.kind, asked.path
        unplaced = kind.namespaced and not path.namespace
        if unplaced and (path.name or verb in {"create", "deletecollection"}):
            raise NoSuchPage if kind.is_custom else no_such_path()
        if path.namespace and not kind.namespaced:
            raise NoSuchPage if kind.is_custom else no_such_path()
        if kind.group in _REVIEW_GROUPS and verb == "create":
            return await review(self.state, asked)
        if path.subresource and path.subresource != "status":
            return await self._special(asked)
        if path.subresource == "status" and not kind.has_status:
            raise no_such_path()
        handler = HANDLERS.get(verb)
        whole = not path.subresource or verb in STATUS_VERBS
        if verb not in kind.verbs or (verb == "create" and path.name):
            whole = False
        if handler is None or not whole:
            raise method_not_allowed(kind.plural, kind.group, verb=verb)
        return await handler(self.state, asked)

    async def _special(self, asked: Asked) -> web.StreamResponse:
        name, kind = asked.path.subresource, asked.kind
        if name not in kind.more_subresources and not (name == "scale" and kind.scale):
            if kind.is_custom:
                raise not_found(kind.plural, kind.group, name=asked.path.name)
            raise no_such_path()
        return await SPECIAL[name](self.state, asked)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _impersonation(user: User) -> list[Attributes]:
    prefix = "system:serviceaccount:"
    if user.name.startswith(prefix):
        namespace, _, name = user.name.removeprefix(prefix).partition(":")
        wanted = [Attributes("impersonate", "", "serviceaccounts", "", namespace, name)]
    else:
        wanted = [Attributes("impersonate", "", "users", name=user.name)]
    automatic = ("system:authenticated", "system:serviceaccounts")
    wanted += [
        Attributes("impersonate", "", "groups", name=group)
        for group in user.groups
        if not group.startswith(automatic)
    ]
    return wanted
