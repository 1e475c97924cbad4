"""What is analysed: the target, and the detectors over it. Fixed when the resource is created."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from anomaly_operator.api.model import (
    ApiModel,
    DnsLabel,
    DnsName,
    MetricName,
    Number,
    Set,
    set_schema,
)
from anomaly_operator.api.v1alpha1.meta import LabelSelector
from anomaly_operator.api.v1alpha1.rules import CustomRule

TargetKind = Literal["Pod", "Node"]
By = Literal["pod", "workload", "container", "node", "category"]
Function = Literal[
    "mean",
    "max",
    "min",
    "sum",
    "median",
    "high_mean",
    "high_max",
    "high_min",
    "high_sum",
    "high_median",
    "low_mean",
    "low_max",
    "low_min",
    "low_sum",
    "low_median",
    "count",
    "high_count",
    "low_count",
    "rare",
]
EVENT_FUNCTIONS = frozenset({"count", "high_count", "low_count", "rare"})
"""Functions over Kubernetes Events, which come in categories; all others are over metrics."""
EVENTS_METRIC = "events"
"""The metric of a detector by category: Kubernetes Events of the target."""


class Target(ApiModel):
    """The pods or nodes whose metrics are analysed."""

    kind: TargetKind
    """`Pod` or `Node`: what an entity is."""
    namespaces: Annotated[
        tuple[DnsLabel, ...], Field(max_length=64, json_schema_extra=set_schema()), Set
    ] = ()
    """Namespaces of the pods; empty means all that the detector may see. Outside the operator's
    namespace a detector sees its own namespace and nothing else."""
    namespace_selector: LabelSelector | None = None
    """Narrows the namespaces by their labels. Pod only."""
    selector: LabelSelector | None = None
    """Narrows the pods, or the nodes, by their labels."""
    node_names: Annotated[
        tuple[DnsName, ...], Field(max_length=256, json_schema_extra=set_schema()), Set
    ] = ()
    """Narrows to these nodes, or to pods on these nodes; empty means all."""


class MinDeviation(ApiModel):
    """How far from typical a value must be before it can be a record at all."""

    absolute: Annotated[Number, Field(ge=0)] | None = None
    """Smallest difference from typical that counts, in the metric's unit; at least 0."""
    relative: Annotated[Number, Field(ge=0)] | None = None
    """Smallest difference from typical that counts, as a share of typical (0.1 is 10 %); at least
    0."""


class Detector(ApiModel):
    """One analysis: a function over a metric, for every entity."""

    metric: MetricName
    """`memory_usage`, `network_in`, `network_out`, a name that the source defines, or `events`
    (Kubernetes Events, with `by: category`)."""
    function: Function | None = None
    """How a bucket's samples become one value. `high_` and `low_` look at one side only. Unset:
    `high_max` for memory_usage, `high_mean` for network_in and network_out, `count` for events,
    `mean` for other metrics. `rare` and the counts are for events only."""
    by: By | None = None
    """What has a model of its own: `pod`, `workload`, `container`, `node`, or `category` for
    events. Unset: `category` for events, else `pod` where the target is Pod and `node` where it is
    Node."""
    description: Annotated[str, StringConstraints(max_length=256)] | None = None
    """What the detector is for, shown beside its results."""
    custom_rules: Annotated[tuple[CustomRule, ...], Field(max_length=16)] = ()
    """Rules that withhold results or keep values from the model; the whole list is replaced."""
    min_deviation: MinDeviation | None = None
    """A value nearer than this to typical is never a record."""

    @property
    def effective_function(self) -> str:
        """The function, with the metric's default where it is unset."""
        return self.function or _DEFAULT_FUNCTION.get(self.metric, "mean")

    def effective_by(self, kind: str) -> str:
        """Give the by field, with the default for a target of ``kind`` where it is unset."""
        if self.metric == EVENTS_METRIC:
            return self.by or "category"
        return self.by or ("node" if kind == "Node" else "pod")


_DEFAULT_FUNCTION = {
    "memory_usage": "high_max",
    "network_in": "high_mean",
    "network_out": "high_mean",
    EVENTS_METRIC: "count",
}
