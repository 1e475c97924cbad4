"""A container's environment variables and arguments, from its specification: pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import ceil

from anomaly_operator.devcluster.apiclient.resources import JsonObject
from anomaly_operator.reconcile.quantities import parse_quantity

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.\-][\w.\-]*)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
FindData = Callable[[str, str], Mapping[str, bytes] | None]  # ("ConfigMap", name) -> its data


class MissingReference(Exception):
    """A ConfigMap, Secret or key that the container needs is not there (yet)."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace ``$(NAME)``; unknown names stay as they are, and ``$$`` is a dollar.

    Examples
    --------
    >>> expand("$(A)-$(B)-$$(A)", {"A": "1"})
    '1-$(B)-$(A)'
    """

    def substitute(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else values.get(match[1], match[0])

    return _REFERENCE.sub(substitute, text)


def field_value(pod: JsonObject, path: str) -> str:
    """Value of a downward API field."""
    match = _SUBSCRIPT.fullmatch(path)
    if match:
        return str((pod["metadata"].get(match[1]) or {}).get(match[2], ""))
    if path in {"metadata.labels", "metadata.annotations"}:
        entries = pod["metadata"].get(path.rpartition(".")[2]) or {}
        return "\n".join(f'{name}="{entries[name]}"' for name in sorted(entries))
    if path == "status.podIPs":
        path = "status.podIP"
    if path == "spec.serviceAccountName":
        return str(pod["spec"].get("serviceAccountName") or "default")
    value: object = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def resource_value(
    container: JsonObject, reference: JsonObject, *, allocatable: Mapping[str, str]
) -> str:
    """Value of a downward API resource: a limit left open is what the node has."""
    section, _, name = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    amount = (resources.get(section) or {}).get(name)
    if amount is None:
        amount = allocatable.get(name, "0") if section == "limits" else "0"
    divisor = parse_quantity(reference.get("divisor") or "1") or 1
    return str(ceil(parse_quantity(amount) / divisor))


def container_environment(
    pod: JsonObject,
    container: JsonObject,
    *,
    base: Mapping[str, str],
    find: FindData,
    allocatable: Mapping[str, str],
) -> dict[str, str]:
    """All variables of a container over ``base``; later ones may name earlier ones."""
    values = dict(base)
    for source in container.get("envFrom") or ():
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if field in source:
                data = _data(find, kind, source[field])
                prefix = source.get("prefix", "")
                values |= {prefix + name: value.decode() for name, value in data.items()}
    for entry in container.get("env") or ():
        reference = entry.get("valueFrom")
        if reference is None:
            values[entry["name"]] = expand(entry.get("value") or "", values)
        elif "fieldRef" in reference:
            values[entry["name"]] = field_value(pod, reference["fieldRef"]["fieldPath"])
        elif "resourceFieldRef" in reference:
            values[entry["name"]] = resource_value(
                container, reference["resourceFieldRef"], allocatable=allocatable
            )
        else:
            kind = "ConfigMap" if "configMapKeyRef" in reference else "Secret"
            selector = reference.get("configMapKeyRef") or reference["secretKeyRef"]
            data = _data(find, kind, selector)
            if selector["key"] in data:
                values[entry["name"]] = data[selector["key"]].decode()
            elif not selector.get("optional"):
                raise MissingReference(
                    f"couldn't find key {selector['key']} in {kind} "
                    f"{pod['metadata']['namespace']}/{selector['name']}"
                )
    return values


def _data(find: FindData, kind: str, selector: JsonObject) -> Mapping[str, bytes]:
    data = find(kind, selector["name"])
    if data is None:
        if selector.get("optional"):
            return {}
        raise MissingReference(f'{kind.lower()} "{selector["name"]}" not found')
    return data
