"""From a request's body to an object of the kind: the first, formal look at what a client sends."""

from __future__ import annotations

from anomaly_operator.devcluster.apiserver.builtin_defaults import quantities_to_text
from anomaly_operator.devcluster.apiserver.defaulting import drop_nulls
from anomaly_operator.devcluster.apiserver.documents import Document, encode, metadata_of
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.object_checks import decoding_problem
from anomaly_operator.devcluster.apiserver.pruning import prune
from anomaly_operator.devcluster.apiserver.refusals import bad_request, invalid, invalid_value
from anomaly_operator.devcluster.apiserver.write_options import WriteOptions

# As in Go's structs: what is empty is not there.
_EMPTY_IS_ABSENT = ("labels", "annotations", "finalizers", "ownerReferences", "managedFields")


def decode_body(
    kind: KindInfo, body: Document, *, namespace: str, options: WriteOptions
) -> Document:
    """Check kind and namespace, drop what the schema does not know, and say so as asked."""
    if not isinstance(body, dict):
        raise bad_request("the body of the request is not an object")
    _check_kind(kind, body)
    metadata = metadata_of(body)
    sent_text = encode(body, sort=True).decode() if options.is_patch else ""
    sent = metadata.get("namespace")
    if sent and kind.namespaced and sent != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if kind.namespaced:
        metadata["namespace"] = namespace
    unknown = sorted(prune(body, kind.schema))
    _report_unknown(kind, unknown, sent_text=sent_text, options=options)
    _check_types(kind, body)
    for name in _EMPTY_IS_ABSENT:
        if not metadata.get(name, True):
            del metadata[name]
    return body


def _check_kind(kind: KindInfo, body: Document) -> None:
    if not kind.is_custom:
        body.setdefault("apiVersion", kind.api_version)
        body.setdefault("kind", kind.kind)
    found, version = str(body.get("kind") or ""), str(body.get("apiVersion") or "")
    if version != kind.api_version:
        raise bad_request(_wrong_version(kind, version))
    if found == kind.kind:
        return
    if kind.is_custom:
        name = str(metadata_of(body).get("name") or "")
        cause = invalid_value("kind", found, text=f"must be {kind.kind}")
        raise invalid(found, kind.group, name=name, causes=[cause])
    package = kind.group.partition(".")[0] or "core"
    raise bad_request(
        f'{found} in version "{kind.version}" cannot be handled as a {kind.kind}: converting '
        f"({kind.version}.{found}) to ({package}.{kind.kind}): unknown conversion"
    )


def _wrong_version(kind: KindInfo, version: str) -> str:
    if kind.is_custom:
        return (
            f"the API version in the data ({version}) does not match the expected API version "
            f"({kind.api_version})"
        )
    return (
        f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}: no kind '
        f'"{kind.kind}" is registered for version "{version}" in scheme '
        '"pkg/api/legacyscheme/scheme.go:30"'
    )


def _check_types(kind: KindInfo, body: Document) -> None:
    if kind.is_custom:
        schema = kind.schema.properties["metadata"]
        drop_nulls(body["metadata"], schema)
        problem = decoding_problem(body["metadata"], schema, path="ObjectMeta.metadata")
    else:
        drop_nulls(body, kind.schema)
        quantities_to_text(body)
        problem = decoding_problem(body, kind.schema, path=f"{kind.kind}")
    if problem:
        raise bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {problem}'
        )


def _report_unknown(
    kind: KindInfo, unknown: list[str], *, sent_text: str, options: WriteOptions
) -> None:
    if not unknown or options.validation == "Ignore":
        return
    texts = [f'unknown field "{path}"' for path in unknown]
    if options.validation == "Warn":
        options.warnings += texts
        return
    problem = f"strict decoding error: {', '.join(texts)}"
    if options.is_patch:
        raise invalid("", "", name="", causes=[invalid_value("patch", sent_text, text=problem)])
    raise bad_request(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {problem}'
    )
