"""Reads request bodies: JSON or YAML, as the content type says, and names of patch types."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from anomaly_operator.devcluster.apiserver.protobuf_bodies import read_protobuf
from anomaly_operator.devcluster.apiserver.refusals import bad_request, unsupported_media

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
PROTOBUF = "application/vnd.kubernetes.protobuf"
_YAML = {"application/yaml", "text/yaml", "application/x-yaml", APPLY_PATCH}


class _JsonLoader(yaml.CSafeLoader):
    """YAML as JSON has it: a date is a text."""


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def media_type(content_type: str) -> str:
    """Return the type without its parameters."""
    return content_type.split(";", maxsplit=1)[0].strip().lower()


def read_body(raw: bytes, content_type: str) -> Any:
    """Return the document in a request's body; an empty body is an empty object."""
    if not raw.strip():
        return {}
    media = media_type(content_type)
    if media == PROTOBUF:
        return read_protobuf(raw)
    if media == "application/cbor":
        raise unsupported_media(("application/json", "application/yaml", PROTOBUF))
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        if media not in _YAML:
            raise bad_request(
                f"couldn't get version/kind; json parse error: {problem}"
            ) from problem
    try:
        return yaml.load(raw, Loader=_JsonLoader)  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as problem:
        raise bad_request(f"error converting YAML to JSON: {problem}") from problem
