"""Which series a sample belongs to: labels in, partition, family, member and part out.

Everything that reads samples asks here, so that a pod is the same series whether a Prometheus, a
kubelet or a table told of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anomaly_operator.engine.contract import SeriesKey

# What each entity is made of, coarse to fine. The finest one that comes and goes is the member.
_FAMILY = {
    "pod": ("namespace", "workload"),
    "workload": ("namespace", "workload"),
    "container": ("namespace", "workload", "container"),
    "node": ("node",),
}
_MEMBER = {"pod": "pod", "container": "pod"}
# What an entity's parts have and it has not: not shown with its results.
_FINER = {
    "workload": {"pod", "container", "node"},
    "pod": {"container"},
    "node": {"namespace", "workload", "pod", "container"},
}

KNOWN = ("namespace", "workload", "pod", "container", "node")
# Facts about where an entity runs. They may change while it stays what it is.
ATTRIBUTES = frozenset({"zone", "region", "instance-type", "instance_type", "workload_kind"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label set's samples go: an entity, and the part of it they speak of.

    Values of an entity's parts are added up (the pods of a workload, the containers of a pod);
    samples of one part are pooled before the function is applied.
    """

    key: SeriesKey
    part: tuple[str, ...]
    labels: Mapping[str, str]


def place(labels: Mapping[str, str], by: str, partition_field: str = "") -> Place:
    """Find the entity that ``by`` makes of a label set.

    Labels we do not know (an interface, a shard number) tell entities apart; ``node`` does not tell
    pods apart, for a pod that moves stays what it is. Where the label that ``by`` needs is missing,
    every label counts, so that any table of series can be analysed.

    Examples
    --------
    >>> place({"namespace": "shop", "workload": "cart", "pod": "cart-1", "node": "n1"}, "pod").key
    SeriesKey(partition='', family='shop/cart', member='cart-1')
    >>> place({"service": "cart", "zone": "a"}, "pod").key.family
    'service=cart,zone=a'
    """
    partition = labels.get(partition_field, "") if partition_field else ""
    others = tuple(
        f"{name}={labels[name]}"
        for name in sorted(labels)
        if name not in KNOWN and name not in ATTRIBUTES and name != partition_field and labels[name]
    )
    if not labels.get(by):
        everything = ",".join(f"{name}={labels[name]}" for name in sorted(labels) if labels[name])
        return Place(SeriesKey(partition, everything), (), labels)
    fields = _FAMILY.get(by, ("namespace", by))
    member_field = _MEMBER.get(by, "")
    # A pod whose owner is not known stands for itself: its own name is all that lasts.
    member = labels.get(member_field, "") if labels.get("workload") else ""
    lasting = [value for value in (_lasting(labels, name) for name in fields) if value]
    finer = tuple(
        labels.get(name, "") for name in KNOWN if name not in {*fields, member_field, "node"}
    )
    shown = {name: value for name, value in labels.items() if name not in _FINER.get(by, ())}
    return Place(SeriesKey(partition, "/".join((*lasting, *others)), member), finer, shown)


def _lasting(labels: Mapping[str, str], name: str) -> str:
    """Value of a label; a pod without a known owner stands for itself."""
    value = labels.get(name, "")
    return labels.get("pod", "") if name == "workload" and not value else value
