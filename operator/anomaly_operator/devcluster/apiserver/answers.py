"""Makes HTTP answers of documents: objects, lists, tables, metadata alone, refusals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web

from anomaly_operator.devcluster.apiserver.documents import Document, encode
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.negotiation import Form, negotiate
from anomaly_operator.devcluster.apiserver.refusals import NoSuchPage, Refusal
from anomaly_operator.devcluster.apiserver.tables import META_VERSION, partial, table

JSON = "application/json"


def warning_headers(warnings: Sequence[str]) -> list[tuple[str, str]]:
    """Return Warning headers as client-go reads them."""
    found = []
    for text in dict.fromkeys(warnings):
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        found.append(("Warning", f'299 - "{quoted}"'))
    return found


def json_answer(
    document: Any, *, status: int = 200, warnings: Sequence[str] = (), content_type: str = JSON
) -> web.Response:
    """Return a document, or bytes already encoded, as the answer."""
    body = document if isinstance(document, bytes) else encode(document)
    response = web.Response(body=body, status=status, content_type=None)
    response.headers["Content-Type"] = content_type
    for name, value in warning_headers(warnings):
        response.headers.add(name, value)
    return response


def refusal_answer(refusal: Refusal) -> web.Response:
    """Return a refusal as the answer."""
    if isinstance(refusal, NoSuchPage):
        return web.Response(text=refusal.message, status=refusal.code)
    response = json_answer(refusal.status(), status=refusal.code)
    if refusal.code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def form_of(request: web.Request) -> Form:
    """Return the form a request wants its answer in."""
    return negotiate(request.headers.get("Accept", ""), request.query)


def object_answer(
    request: web.Request,
    kind: KindInfo,
    document: Document,
    *,
    status: int = 200,
    warnings: Sequence[str] = (),
    raw: bytes | None = None,
) -> web.Response:
    """Return one object in the form asked for."""
    form = form_of(request)
    if form.as_kind == "Table":
        metadata = {"resourceVersion": document["metadata"].get("resourceVersion", "")}
        shown = table(kind, [document], metadata=metadata, include=form.include)
        return json_answer(shown, status=status, warnings=warnings)
    if form.as_kind == "PartialObjectMetadata":
        return json_answer(partial(document), status=status, warnings=warnings)
    return json_answer(raw or document, status=status, warnings=warnings)


def list_answer(
    request: web.Request,
    kind: KindInfo,
    documents: Sequence[Document],
    *,
    raws: Iterable[bytes],
    metadata: Document,
    warnings: Sequence[str] = (),
) -> web.Response:
    """Return a list in the form asked for; plain lists are joined from encoded items."""
    form = form_of(request)
    if form.as_kind == "Table":
        shown = table(kind, documents, metadata=metadata, include=form.include)
        return json_answer(shown, warnings=warnings)
    if form.as_kind == "PartialObjectMetadataList":
        shown = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": META_VERSION,
            "metadata": metadata,
            "items": [partial(document) for document in documents],
        }
        return json_answer(shown, warnings=warnings)
    head = encode({"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata})
    return json_answer(head[:-1] + b',"items":[' + b",".join(raws) + b"]}", warnings=warnings)


def success_status(kind: KindInfo, name: str, *, uid: str) -> Document:
    """Return the Status that answers a deletion."""
    details = {"name": name, "group": kind.group, "kind": kind.plural, "uid": uid}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }
