"""What form of answer a client wants: the object, a table, or its metadata alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anomaly_operator.devcluster.apiserver.refusals import not_acceptable


@dataclass(frozen=True, slots=True)
class Form:
    """The negotiated answer: ``as_kind`` is empty, Table, PartialObjectMetadata[List], ..."""

    as_kind: str = ""
    include: str = "Metadata"
    version: str = ""


def accepted(header: str) -> list[dict[str, str]]:
    """Return the media types of an Accept header with their parameters, in the client's order."""
    found = []
    for part in header.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        values = dict(pair.split("=", 1) for pair in parameters if "=" in pair)
        found.append({"media": media} | values)
    return found


def negotiate(header: str, query: Any) -> Form:
    """Return the first form of a client's list that we can give, or refuse.

    JSON is all we write.
    """
    for choice in accepted(header):
        if choice["media"] not in {"application/json", "*/*", "application/*", ""}:
            continue
        kind, version = choice.get("as", ""), choice.get("v", "")
        if kind and (choice.get("g") != "meta.k8s.io" or version not in {"v1", "v1beta1"}):
            continue
        return Form(kind, query.get("includeObject", "Metadata"), version)
    raise not_acceptable()
