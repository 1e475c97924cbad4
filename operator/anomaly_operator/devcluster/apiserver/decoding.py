"""From a request's body to an object of the kind: the first, formal look at what a client sends."""

from __future__ import annotations

from anomaly_operator.devcluster.apiserver.builtin_defaults import quantities_to_text
from anomaly_operator.devcluster.apiserver.defaulting import drop_nulls
from anomaly_operator.devcluster.apiserver.documents import Document, metadata_of
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.object_checks import decoding_problem
from anomaly_operator.devcluster.apiserver.pruning import prune
from anomaly_operator.devcluster.apiserver.refusals import bad_request, invalid, invalid_value
from anomaly_operator.devcluster.apiserver.write_options import WriteOptions


def decode_body(
    kind: KindInfo, body: Document, *, namespace: str, options: WriteOptions
) -> Document:
    """Check kind and namespace, drop what the schema does not know, and say so as asked."""
    if not isinstance(body, dict):
        raise bad_request("the body of the request is not an object")
    body.setdefault("apiVersion", kind.api_version)
    body.setdefault("kind", kind.kind)
    if (body["apiVersion"], body["kind"]) != (kind.api_version, kind.kind):
        raise bad_request(
            f"the API version in the data ({body['apiVersion']}) does not match the expected API "
            f"version ({kind.api_version})"
            if body["apiVersion"] != kind.api_version
            else f"the kind in the data ({body['kind']}) does not match the expected {kind.kind}"
        )
    metadata = metadata_of(body)
    sent = metadata.get("namespace")
    if sent and kind.namespaced and sent != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if kind.namespaced:
        metadata["namespace"] = namespace
    _report_unknown(kind, body, unknown=prune(body, kind.schema), options=options)
    _check_types(kind, body)
    return body


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
    kind: KindInfo, body: Document, *, unknown: list[str], options: WriteOptions
) -> None:
    if not unknown or options.validation == "Ignore":
        return
    texts = [f'unknown field "{path}"' for path in unknown]
    if options.validation == "Warn":
        options.warnings += texts
        return
    problem = f"strict decoding error: {', '.join(texts)}"
    if options.is_patch:
        name = str(body["metadata"].get("name") or "")
        raise invalid(
            kind.kind, kind.group, name=name, causes=[invalid_value("patch", "", text=problem)]
        )
    raise bad_request(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {problem}'
    )
