"""The verbs on resources: get, list, watch, create, update, patch, delete, deletecollection."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from anomaly_operator.devcluster.apiserver import answers, bodies, refusals
from anomaly_operator.devcluster.apiserver.admission import refuse_namespace_deletion
from anomaly_operator.devcluster.apiserver.authorizing import Attributes, denial
from anomaly_operator.devcluster.apiserver.conversion import to_served
from anomaly_operator.devcluster.apiserver.deleting import DeleteOptions
from anomaly_operator.devcluster.apiserver.documents import Document, encode
from anomaly_operator.devcluster.apiserver.json_patching import json_patch, merge_patch
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.paths import ResourcePath, is_true
from anomaly_operator.devcluster.apiserver.schema_checks import json_type
from anomaly_operator.devcluster.apiserver.selectors import Test, both, field_test, label_test
from anomaly_operator.devcluster.apiserver.server_state import ServerState
from anomaly_operator.devcluster.apiserver.storage import Key, Stored
from anomaly_operator.devcluster.apiserver.strategic_patching import strategic_patch
from anomaly_operator.devcluster.apiserver.tables import partial, table
from anomaly_operator.devcluster.apiserver.watching import Watch, WatchOptions, wrong_version
from anomaly_operator.devcluster.apiserver.write_options import User, WriteOptions

_SHOWN = 30  # characters of a body that a message repeats
# Kinds whose deletion answers with the object; all others answer with a Status.
_RETURNS_DELETED = {
    "/pods",
    "/services",
    "/serviceaccounts",
    "/persistentvolumeclaims",
    "/persistentvolumes",
    "/podtemplates",
    "/resourcequotas",
}
_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}
# A PUT on these creates what is not there.
_CREATED_BY_UPDATE = {"coordination.k8s.io/leases", "/events"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One authenticated request for a known kind."""

    request: web.Request
    kind: KindInfo
    path: ResourcePath
    user: User

    @property
    def key(self) -> Key:
        """Return the key of the object named."""
        return (self.path.namespace if self.kind.namespaced else "", self.path.name)

    def options(self) -> WriteOptions:
        """Return the write options of the query."""
        options = WriteOptions.parse(
            self.request.query,
            user=self.user,
            agent=self.request.headers.get("User-Agent", ""),
            kind=_OPTIONS[self.request.method],
            subresource=self.path.subresource,
        )
        if self.kind.warning:
            options.warnings.append(self.kind.warning)
        return options

    async def body(self) -> Any:
        """Return the document sent."""
        raw = await self.request.read()
        return bodies.read_body(raw, self.request.headers.get("Content-Type", ""))


def selection(asked: Asked) -> Test | None:
    """Return the test of the query's selectors and of a name in the path."""
    query = asked.request.query
    named: Test | None = None
    if asked.path.name:
        name = asked.path.name

        def named(document: Document) -> bool:
            return bool(document["metadata"]["name"] == name)

    return both(
        named,
        label_test(query.get("labelSelector", "")),
        field_test(query.get("fieldSelector", ""), asked.kind.selectable_fields),
    )


async def get(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Answer one object."""
    stored = state.registry.get(asked.kind, asked.key)
    document = to_served(asked.kind, stored.document)
    raw = stored.raw if document is stored.document else None
    return answers.object_answer(
        asked.request, asked.kind, document, raw=raw, warnings=_kind_warnings(asked.kind)
    )


def _kind_warnings(kind: KindInfo) -> list[str]:
    return [kind.warning] if kind.warning else []


def _continue_token(key: Key, revision: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([revision, *key])).decode()


def _read_continue(token: str) -> tuple[int, Key]:
    try:
        revision, namespace, name = orjson.loads(base64.urlsafe_b64decode(token))
    except ValueError as problem:
        message = f"invalid continue token: continue key is not valid: {problem}"
        raise refusals.bad_request(message) from problem
    return revision, (namespace, name)


def _check_list_options(query: Any) -> None:
    version = query.get("resourceVersion", "")
    cause: refusals.Cause | None = None
    if "sendInitialEvents" in query:
        cause = refusals.forbidden_field(
            "sendInitialEvents", "sendInitialEvents is forbidden for list"
        )
    elif query.get("resourceVersionMatch") and not version:
        cause = refusals.forbidden_field(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        )
    if cause is not None:
        raise refusals.invalid_options("ListOptions", cause)
    if version and not version.isdigit():
        raise refusals.bad_request(f"invalid resource version: {wrong_version(version)}")


async def list_(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Answer a list, in chunks where a limit asks for them."""
    query, store, kind = asked.request.query, state.store, asked.kind
    _check_list_options(query)
    test = selection(asked)
    limit = int(query.get("limit") or 0)
    revision, after = store.revision, None
    if query.get("continue"):
        revision, after = _read_continue(query["continue"])
        if revision < store.table(kind.store).compacted:
            raise refusals.expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter."
            )
    found: list[Stored] = []
    last: Key | None = None
    remaining = 0
    for key, stored in store.items(kind.store, asked.path.namespace):
        if (after is not None and key <= after) or (test and not test(stored.document)):
            continue
        if limit and len(found) == limit:
            remaining += 1
            continue
        found.append(stored)
        last = key
    metadata: Document = {"resourceVersion": str(revision)}
    if remaining and last is not None:
        metadata["continue"] = _continue_token(last, revision)
        if test is None:
            metadata["remainingItemCount"] = remaining
    elif kind.is_custom and not answers.form_of(asked.request).as_kind:
        metadata["continue"] = ""
    documents = [to_served(kind, stored.document) for stored in found]
    raws = (
        stored.raw if document is stored.document else encode(document)
        for document, stored in zip(documents, found, strict=True)
    )
    return answers.list_answer(
        asked.request,
        kind,
        documents,
        raws=raws,
        metadata=metadata,
        warnings=_kind_warnings(kind),
    )


def _render(asked: Asked) -> Callable[[Document, bool], Any] | None:
    form = answers.form_of(asked.request)
    if form.as_kind == "Table":
        return lambda document, first: table(
            asked.kind,
            [document],
            metadata={"resourceVersion": document["metadata"]["resourceVersion"]},
            include=form.include,
            headers=first,
        )
    if form.as_kind.startswith("PartialObjectMetadata"):
        return lambda document, _: partial(document)
    return None


async def watch(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Stream changes until the time is over or the client leaves."""
    following = Watch(
        state.store,
        asked.kind,
        namespace=asked.path.namespace,
        test=selection(asked),
        options=WatchOptions.parse(asked.request.query),
        render=_render(asked),
    )
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    for name, value in answers.warning_headers(_kind_warnings(asked.kind)):
        response.headers.add(name, value)
    try:
        await response.prepare(asked.request)
        async for lines in following.lines():
            await response.write(lines)
    except (ConnectionResetError, ConnectionError):
        return response
    finally:
        following.close()
    return response


async def _refuse_unrecognized(asked: Asked, body: Any) -> None:
    """Refuse what is no object, and a custom resource that does not say its kind."""
    if isinstance(body, dict) and (body.get("kind") or not asked.kind.is_custom):
        return
    raw = await asked.request.read()
    if isinstance(body, dict):
        shown = raw.decode(errors="replace")
        why = f"Object 'Kind' is missing in '{shown}' ({shortened(shown)})"
    else:
        found = "array" if isinstance(body, list) else json_type(body)
        why = (
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go "
            'value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind '
            f'string "json:\\"kind,omitempty\\"" }} ({shortened(raw.hex())})'
        )
    must = f"must be of type {asked.kind.kind}"
    raise refusals.bad_request(f"the object provided is unrecognized ({must}): {why}")


def shortened(text: str) -> str:
    """Return the head of a body, as messages show it."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


async def create(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Store a new object; 201."""
    options = asked.options()
    body = await asked.body()
    await _refuse_unrecognized(asked, body)
    namespace = asked.path.namespace
    made = state.registry.create(asked.kind, namespace, body=body, options=options)
    return answers.object_answer(
        asked.request, asked.kind, made, status=201, warnings=options.warnings
    )


async def update(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Replace an object."""
    options = asked.options()
    body = await asked.body()
    await _refuse_unrecognized(asked, body)
    if (
        asked.kind.store in _CREATED_BY_UPDATE
        and state.store.get(asked.kind.store, asked.key) is None
    ):
        body["metadata"]["resourceVersion"] = ""
        made = state.registry.create(asked.kind, asked.path.namespace, body=body, options=options)
        return answers.object_answer(asked.request, asked.kind, made, status=201)
    made = state.registry.replace(asked.kind, asked.key, body=body, options=options)
    return answers.object_answer(asked.request, asked.kind, made, warnings=options.warnings)


async def patch(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Change an object by a patch of any of the four types."""
    options = asked.options()
    media = bodies.media_type(asked.request.headers.get("Content-Type", ""))
    body = await asked.body()
    status = 200
    if media == bodies.APPLY_PATCH:
        made, created = _apply(state, asked, body=body, options=options)
        status = 201 if created else 200
    else:
        if "force" in asked.request.query:
            cause = refusals.forbidden_field("force", "may not be specified for non-apply patch")
            raise refusals.invalid_options("PatchOptions", cause)
        made = state.registry.patch(
            asked.kind, asked.key, change=_change(asked, media, body), options=options
        )
    return answers.object_answer(
        asked.request, asked.kind, made, status=status, warnings=options.warnings
    )


def _apply(
    state: ServerState, asked: Asked, *, body: Document, options: WriteOptions
) -> tuple[Document, bool]:
    query = asked.request.query
    if not query.get("fieldManager"):
        cause = refusals.required("fieldManager", "is required for apply patch")
        raise refusals.invalid_options("PatchOptions", cause)
    may_create = Attributes(
        "create", asked.path.group, asked.path.plural, "", asked.path.namespace, asked.path.name
    )
    exists = state.store.get(asked.kind.store, asked.key) is not None
    if not exists and not state.authorizer.allows(asked.user, may_create):
        raise denial(asked.user, may_create)
    return state.registry.apply(
        asked.kind,
        asked.key,
        body=body,
        options=options,
        force=is_true(query.get("force", "")),
    )


def _change(asked: Asked, media: str, body: Any) -> Callable[[Document], Document]:
    if media == bodies.JSON_PATCH:
        return lambda document: json_patch(document, body)
    if media == bodies.MERGE_PATCH:
        return lambda document: merge_patch(document, body)
    if media == bodies.STRATEGIC_PATCH and not asked.kind.is_custom:
        return lambda document: strategic_patch(document, body, asked.kind.schema)
    accepted = [each for each in bodies.PATCH_TYPES if each != bodies.STRATEGIC_PATCH]
    raise refusals.unsupported_media(accepted if asked.kind.is_custom else bodies.PATCH_TYPES)


async def delete(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Delete an object, or start its deletion."""
    body = await asked.body()
    options = DeleteOptions.parse(body, asked.request.query)
    if asked.kind.store == "/namespaces":
        refuse_namespace_deletion(asked.path.name)
    gone, last = state.registry.delete(asked.kind, asked.key, options=options)
    if gone and asked.kind.store not in _RETURNS_DELETED:
        uid = str(last["metadata"].get("uid"))
        return answers.json_answer(answers.success_status(asked.kind, asked.path.name, uid=uid))
    return answers.object_answer(asked.request, asked.kind, last)


async def delete_collection(state: ServerState, asked: Asked) -> web.StreamResponse:
    """Delete everything selected."""
    body = await asked.body()
    options = DeleteOptions.parse(body, asked.request.query)
    test = selection(asked)
    keys = [
        key
        for key, stored in state.store.items(asked.kind.store, asked.path.namespace)
        if test is None or test(stored.document)
    ]
    last = state.registry.delete_collection(asked.kind, keys, options=options)
    return answers.list_answer(
        asked.request,
        asked.kind,
        last,
        raws=(encode(document) for document in last),
        metadata={"resourceVersion": str(state.store.revision)}
        | ({"continue": ""} if asked.kind.is_custom else {}),
    )


HANDLERS = {
    "get": get,
    "list": list_,
    "watch": watch,
    "create": create,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": delete_collection,
}
