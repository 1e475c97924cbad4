"""Whether a child already is what it should be, so that a steady state writes nothing.

The API server adds defaults and other writers add fields of their own, so equality is the wrong
question. A child is as planned when everything planned stands in it with the planned value, and
when the hash of what was applied last is the plan's: only there does a dropped field show.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from anomaly_operator.reconcile.naming import APPLIED_HASH, Body
from anomaly_operator.reconcile.quantities import parse_quantity

_QUANTITY_FIELDS = frozenset({"requests", "limits", "sizeLimit"})


def digest(document: Any) -> str:
    """Hash of a document, the same whatever the order of its keys."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stamped(body: Body) -> Body:
    """Give the body the annotation that holds its own hash."""
    metadata = {**body["metadata"]}
    metadata["annotations"] = {**metadata.get("annotations", {}), APPLIED_HASH: digest(body)}
    return {**body, "metadata": metadata}


def is_as_planned(planned: Body, existing: Body | None) -> bool:
    """Whether applying ``planned`` (stamped) would change nothing."""
    return existing is not None and _holds(planned, existing, quantity=False)


def _holds(planned: Any, existing: Any, *, quantity: bool) -> bool:
    if isinstance(planned, Mapping):
        if not planned:
            return existing is None or existing == {} or isinstance(existing, Mapping)
        return isinstance(existing, Mapping) and all(
            _holds(value, existing.get(key), quantity=quantity or key in _QUANTITY_FIELDS)
            for key, value in planned.items()
        )
    if isinstance(planned, Sequence) and not isinstance(planned, str):
        return _list_holds(planned, existing or [], quantity=quantity)
    if quantity and isinstance(existing, str | int):
        return parse_quantity(planned) == parse_quantity(existing)
    return bool(planned == existing)


def _list_holds(planned: Sequence[Any], existing: Sequence[Any], *, quantity: bool) -> bool:
    if planned and all(isinstance(item, Mapping) and "name" in item for item in planned):
        # A list keyed by name (containers, env, volumes, ports): others may have added entries.
        by_name = {item.get("name"): item for item in existing if isinstance(item, Mapping)}
        return all(_holds(item, by_name.get(item["name"]), quantity=quantity) for item in planned)
    return len(planned) == len(existing) and all(
        _holds(mine, theirs, quantity=quantity)
        for mine, theirs in zip(planned, existing, strict=True)
    )
