"""/openapi/v2: present, and nearly empty.

Clients before 1.27 check manifests against it; a kind that is absent is not checked by the client,
and the server checks all kinds itself. So the document names the API and defines nothing.
"""

from __future__ import annotations

from aiohttp import web

from anomaly_operator.devcluster.apiserver import answers
from anomaly_operator.devcluster.apiserver.catalog import Catalog

# Clients ask with an @, which is no legal media type; servers answer without it.
_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited protobuf field; all lengths here are below 128."""
    return bytes([number << 3 | 2, len(content)]) + content


def minimal_protobuf() -> bytes:
    """Return openapi.v2.Document with swagger, info{title, version}, and empty paths."""
    info = _field(1, b"Kubernetes") + _field(2, b"v1.36.2")
    return _field(1, b"2.0") + _field(2, info) + _field(8, b"")


def answer(catalog: Catalog, request: web.Request) -> web.Response:
    """Answer in the encoding asked for."""
    del catalog
    header = request.headers.get("Accept", "")
    if _ASKED in header or _PROTOBUF in header:
        return answers.json_answer(minimal_protobuf(), content_type=_PROTOBUF)
    document = {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": {},
        "definitions": {},
    }
    return answers.json_answer(document)
