"""Renders objects as metav1.Table, which is what ``kubectl get`` asks for and prints."""

from __future__ import annotations

from collections.abc import Iterable

from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.kinds import KindInfo

META_VERSION = "meta.k8s.io/v1"


def partial(document: Document) -> Document:
    """Return the object's metadata alone, as PartialObjectMetadata."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": META_VERSION,
        "metadata": document["metadata"],
    }


def table(
    kind: KindInfo,
    documents: Iterable[Document],
    *,
    metadata: Document,
    include: str,
    headers: bool = True,
) -> Document:
    """Return a table; ``include`` says what comes with each row: Metadata, Object or None."""
    rows = []
    for document in documents:
        row: Document = {"cells": [column.cell(document) for column in kind.columns]}
        if include == "Object":
            row["object"] = document
        else:
            row["object"] = None if include == "None" else partial(document)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": META_VERSION,
        "metadata": metadata,
        "columnDefinitions": [column.definition() for column in kind.columns] if headers else None,
        "rows": rows,
    }
