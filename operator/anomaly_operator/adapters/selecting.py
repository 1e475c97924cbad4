"""Label selectors, applied to labels at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def matches(selector: Mapping[str, object] | None, labels: Mapping[str, str]) -> bool:
    """Whether labels meet a metav1.LabelSelector; no selector, and an empty one, take all.

    Examples
    --------
    >>> matches({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}]}, {})
    True
    """
    if not selector:
        return True
    wanted = selector.get("matchLabels") or {}
    if isinstance(wanted, Mapping) and any(labels.get(key) != one for key, one in wanted.items()):
        return False
    expressions = selector.get("matchExpressions") or ()
    return not isinstance(expressions, Sequence) or all(
        _holds(one["key"], one["operator"], one.get("values") or (), labels=labels)
        for one in expressions
    )


def _holds(key: str, operator: str, values: Sequence[str], *, labels: Mapping[str, str]) -> bool:
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    # As in Kubernetes, NotIn holds where the label is not there at all.
    return (labels.get(key) in values) == (operator == "In")
