"""AnomalyFilter: a named list of strings that custom rules and maintenance windows scope on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from anomaly_operator.api.group import API_VERSION
from anomaly_operator.api.model import ApiModel, Set, set_schema
from anomaly_operator.api.v1alpha1.meta import ObjectMeta
from anomaly_operator.api.v1alpha1.rules import Pattern
from anomaly_operator.api.v1alpha1.status import StatusConditions


class AnomalyFilterSpec(ApiModel):
    """The list."""

    description: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """What the list is for."""
    items: Annotated[
        tuple[Pattern, ...], Field(max_length=10000, json_schema_extra=set_schema()), Set
    ]
    """Values, up to 10 000, each different; `*` is allowed at either end of each."""


class AnomalyFilterStatus(ApiModel):
    """Who uses the list."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    used_by_count: int | None = None
    """How many AnomalyDetectors scope on this list."""
    used_by: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    """Names of at most 20 of them."""
    conditions: StatusConditions = ()
    """Ready, as for an AnomalyDetector."""


class AnomalyFilter(ApiModel):
    """A named list of strings, wildcards at either end, that rules and windows scope on."""

    api_version: Literal["anomaly-operator.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: Literal["AnomalyFilter"] = "AnomalyFilter"
    metadata: ObjectMeta
    spec: AnomalyFilterSpec
    """The list."""
    status: AnomalyFilterStatus | None = None
    """Who uses it."""
