"""Parts that several kinds share: metadata, label selectors, references to Secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from anomaly_operator.api import patterns
from anomaly_operator.api.laws import Law, lawful
from anomaly_operator.api.model import (
    ApiModel,
    DnsName,
    LabelKey,
    LabelValue,
    Time,
)
from anomaly_operator.api.problems import Located
from anomaly_operator.errors import Problem


class ObjectMeta(ApiModel):
    """The part of metav1.ObjectMeta that is looked at; the rest passes unseen."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    name: DnsName
    namespace: str | None = None
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    @property
    def created(self) -> datetime | None:
        """When the API server took the object; None for one that was never applied."""
        return self.creation_timestamp


SELECTOR_VALUES = Law(
    "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
    "In and NotIn need values; Exists and DoesNotExist take none",
    "values",
)


class LabelSelectorRequirement(ApiModel):
    """One expression over a label."""

    model_config = ConfigDict(json_schema_extra=lawful(SELECTOR_VALUES))

    key: LabelKey
    """Label key that the expression looks at."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label relates to `values`."""
    values: Annotated[tuple[LabelValue, ...], Field(max_length=64)] = ()
    """Values for `In` and `NotIn`; empty for `Exists` and `DoesNotExist`."""

    @model_validator(mode="after")
    def _values_fit_the_operator(self) -> Self:
        if (self.operator in {"In", "NotIn"}) != bool(self.values):
            raise Located([Problem("values", SELECTOR_VALUES.message)])
        return self


class LabelSelector(ApiModel):
    """A label selector as everywhere in Kubernetes: all labels and all expressions must match."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """Labels that must be present with exactly these values."""
    match_expressions: Annotated[tuple[LabelSelectorRequirement, ...], Field(max_length=32)] = ()
    """Expressions that must all hold."""

    def as_mapping(self) -> dict[str, Any]:
        """Give the selector back in the Kubernetes API's form."""
        return self.document()


class SecretKeyRef(ApiModel):
    """A key of a Secret in the operator's namespace."""

    name: DnsName
    """Name of the Secret."""
    key: Annotated[str, StringConstraints(pattern=patterns.DATA_KEY, max_length=253)]
    """Key in the Secret's data."""


class ObjectRef(ApiModel):
    """The name of another object."""

    name: DnsName
    """Name of the object."""
