"""Reads a request's path: resource, namespace, name, subresource, and the verb it means."""

from __future__ import annotations

from dataclasses import dataclass, replace

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
# Below a namespace object these are its subresources; anything else is a resource in it.
_NAMESPACE_SUBRESOURCES = {"status", "finalize"}


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """A path under /api/v1 or /apis/GROUP/VERSION that names a resource."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    watched: bool = False  # by the old form of path, below /watch

    def verb(self, method: str, *, watch: bool) -> str:
        """Return the verb that authorisation knows."""
        if method in {"GET", "HEAD"}:
            if self.name and not self.watched:
                return "get"
            return "watch" if watch or self.watched else "list"
        if method == "DELETE":
            return "delete" if self.name else "deletecollection"
        return _VERBS.get(method, method.lower())


def is_true(text: str) -> bool:
    """Tell whether a flag of a query is set: as in Go's conversion, anything but 0 and false."""
    return text.lower() not in {"", "0", "false"}


def parse_path(path: str) -> ResourcePath | None:
    """Return what a path names, or None when it is not a resource's."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    if rest[0] == "watch" and len(rest) > 1:
        inner = parse_path("/".join([*parts[: -len(rest)], *rest[1:]]))
        return replace(inner, watched=True) if inner else None
    if rest[0] != "namespaces" or len(rest) == 1:
        return _resource(group, version, rest)
    namespace = rest[1]
    if len(rest) == 2 or (len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES):
        subresource = rest[2] if len(rest) == 3 else ""
        return ResourcePath(group, version, "namespaces", "", namespace, subresource)
    return _resource(group, version, rest[2:], namespace=namespace)


def _resource(group: str, version: str, rest: list[str], *, namespace: str = "") -> ResourcePath:
    plural, name, subresource, *more = [*rest, *[""] * (3 - len(rest))]
    return ResourcePath(group, version, plural, namespace, name, subresource, "/".join(more))
