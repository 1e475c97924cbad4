"""JSON patch (RFC 6902) and JSON merge patch (RFC 7396)."""

from __future__ import annotations

from typing import Any

from anomaly_operator.devcluster.apiserver.documents import clone
from anomaly_operator.devcluster.apiserver.refusals import Refusal, bad_request, unprocessable

_MISSING: Any = object()


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the target with a merge patch laid over it; null removes."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def json_patch(target: Any, operations: Any) -> Any:
    """Return a changed clone of the target, or refuse as the server does.

    A test that fails, and a path that is not there, are 422; what is no patch at all is 400.
    """
    if not isinstance(operations, list):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type "
            "[]handlers.jsonPatchOp"
        )
    document = clone(target)
    for operation in operations:
        if not isinstance(operation, dict) or "op" not in operation or "path" not in operation:
            raise bad_request("a JSON patch is a list of objects with op and path")
        document = _apply_one(document, operation)
    return document


def _apply_one(document: Any, operation: dict[str, Any]) -> Any:
    name, pointer = operation["op"], operation["path"]
    if name in {"add", "replace", "test"} and "value" not in operation:
        operation = {**operation, "value": None}
    match name:
        case "add":
            return _add(document, pointer, operation["value"])
        case "remove":
            return _take(document, pointer)[0]
        case "replace":
            return _add(
                _take(document, pointer, keep=True)[0], pointer, operation["value"], over=True
            )
        case "move":
            document, value = _take(document, operation.get("from", ""))
            return _add(document, pointer, value)
        case "copy":
            return _add(document, pointer, clone(_find(document, operation.get("from", ""))))
        case "test":
            found = _find(document, pointer, absent=None)
            if found != operation["value"]:
                raise unprocessable()
            return document
        case _:
            raise bad_request(f"Unexpected kind: {name}")


def _parts(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise bad_request(f"JSON pointer {pointer!r} does not start with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _step(container: Any, part: str) -> Any:
    if isinstance(container, dict) and part in container:
        return container[part]
    if isinstance(container, list) and part.lstrip("-").isdigit():
        index = int(part)
        if -len(container) <= index < len(container):
            return container[index]
    raise unprocessable()


def _find(document: Any, pointer: str, *, absent: Any = _MISSING) -> Any:
    for part in _parts(pointer):
        try:
            document = _step(document, part)
        except Refusal:
            if absent is not _MISSING:
                return absent
            raise
    return document


def _parent(document: Any, pointer: str) -> tuple[Any, str]:
    *way, last = _parts(pointer)
    for part in way:
        document = _step(document, part)
    return document, last


def _add(document: Any, pointer: str, value: Any, *, over: bool = False) -> Any:
    if pointer == "":
        return value
    container, last = _parent(document, pointer)
    if isinstance(container, dict):
        container[last] = value
    elif isinstance(container, list):
        index = len(container) if last == "-" else int(last) if last.isdigit() else -1
        if not 0 <= index <= len(container):
            raise unprocessable()
        if over:
            container[index] = value
        else:
            container.insert(index, value)
    else:
        raise unprocessable()
    return document


def _take(document: Any, pointer: str, *, keep: bool = False) -> tuple[Any, Any]:
    if pointer == "":
        return document, document
    container, last = _parent(document, pointer)
    value = _step(container, last)
    if not keep:
        del container[int(last) if isinstance(container, list) else last]
    return document, value
