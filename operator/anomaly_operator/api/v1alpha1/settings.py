"""Settings of a job that can be updated, one model for each object among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from anomaly_operator.api import patterns
from anomaly_operator.api.model import ApiModel, Flag, MemorySize
from anomaly_operator.api.quantities import MIB

DEFAULT_MODEL_MEMORY_LIMIT = 1024 * MIB
MAX_DEPTH = 32  # of custom settings; whoever reads them follows each level with a call of its own


class AnalysisLimits(ApiModel):
    """Resources that the models may take."""

    model_memory_limit: MemorySize = DEFAULT_MODEL_MEMORY_LIMIT
    """Memory that the models may take: an Elastic byte size (`11mb`; a number is MiB) or a
    Kubernetes quantity (`11Mi`); rounded down to whole MiB, at least 1 MiB, and never below what
    the models use now (`status.modelSizeStats.modelBytes`)."""


class ModelPlotConfig(ApiModel):
    """Whether the model's bounds are stored beside the results."""

    enabled: Flag
    """Store typical, lower and upper bound of every bucket and series."""
    annotations_enabled: Flag | None = None
    """Store what the model learns about its structure (level shifts, rhythms). Unset: as
    `enabled`."""
    terms: Annotated[str, StringConstraints(pattern=patterns.NO_WILDCARD, max_length=4096)] = ""
    """Only these partition or by values, comma separated, no wildcards; empty means all."""

    @property
    def effective_annotations(self) -> bool:
        """Whether annotations are stored, after the default."""
        return self.enabled if self.annotations_enabled is None else self.annotations_enabled


class PerPartitionCategorization(ApiModel):
    """How event categories and partitions work together."""

    enabled: Flag = False
    """Categories are learnt for every partition by itself; needs a detector `by: category` and a
    `partitionField`. Cannot be changed after creation."""
    stop_on_warn: Flag = False
    """Stop categorising, and detecting over categories, in partitions whose categorisation status
    turns to warn; needs `enabled`."""


class CustomUrl(ApiModel):
    """A link shown beside a result."""

    url_name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """Text of the link."""
    url_value: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    """Address; `$earliest$`, `$latest$` and `$<field>$` are filled in from the result."""
    time_range: (
        Annotated[str, StringConstraints(pattern=patterns.TIME_RANGE, min_length=2, max_length=31)]
        | None
    ) = None
    """How far around the result `$earliest$` and `$latest$` reach: a duration, or `auto` (a bucket
    span either side)."""


class CustomSettings(ApiModel):
    """A free object, kept as it is; `customUrls` is understood."""

    model_config = ConfigDict(
        extra="allow",
        alias_generator=to_camel,
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )

    custom_urls: Annotated[tuple[CustomUrl, ...], Field(max_length=16)] = ()
    """Links shown beside a result."""

    @model_validator(mode="before")
    @classmethod
    def _is_shallow(cls, document: object) -> object:
        if _depth(document) > MAX_DEPTH:
            message = f"is nested deeper than {MAX_DEPTH} levels"
            raise ValueError(message)
        return document


def _depth(document: object) -> int:
    """Levels of objects and lists, at most one more than is allowed: what is deeper may be huge."""
    level, depth = [document], 0
    while depth <= MAX_DEPTH:
        inner = [
            each.values() if isinstance(each, Mapping) else each
            for each in level
            if isinstance(each, (Mapping, list, tuple))
        ]
        if not inner:
            break
        level, depth = [value for values in inner for value in values], depth + 1
    return depth
