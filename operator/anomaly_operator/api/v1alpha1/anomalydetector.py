"""AnomalyDetector: one anomaly detection job."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from anomaly_operator.api import patterns
from anomaly_operator.api.group import API_VERSION
from anomaly_operator.api.laws import Between, lawful
from anomaly_operator.api.model import (
    ApiModel,
    Count,
    Duration,
    Flag,
    LabelKey,
    Set,
    Time,
    set_schema,
)
from anomaly_operator.api.problems import Located
from anomaly_operator.api.quantities import parse_duration
from anomaly_operator.api.v1alpha1.analysis import Detector, Target
from anomaly_operator.api.v1alpha1.consistency import SPEC_LAWS, problems_of_spec
from anomaly_operator.api.v1alpha1.meta import ObjectMeta, ObjectRef
from anomaly_operator.api.v1alpha1.rules import MaintenanceWindow
from anomaly_operator.api.v1alpha1.settings import (
    AnalysisLimits,
    CustomSettings,
    ModelPlotConfig,
    PerPartitionCategorization,
)
from anomaly_operator.api.v1alpha1.status import AnomalyDetectorStatus
from anomaly_operator.api.v1alpha1.updates import MEMORY_IN_USE, UPDATE_LAWS

Group = Annotated[str, StringConstraints(pattern=patterns.GROUP, max_length=63)]
Days = Annotated[Count, Field(ge=0, le=36500)]


class AnomalyDetectorSpec(ApiModel):
    """What is analysed, fixed at creation, and the settings that can be updated."""

    model_config = ConfigDict(json_schema_extra=lawful(*SPEC_LAWS, *UPDATE_LAWS))

    target: Target
    """The pods or nodes whose metrics are analysed. Cannot be changed after creation."""
    source_ref: ObjectRef | None = None
    """The MetricSource to read from; unset means the default one. Cannot be changed after
    creation."""
    start: Time | None = None
    """Where the analysis begins (RFC 3339); it then runs for ever. Unset: 28 days before creation.
    Cannot be changed after creation."""
    bucket_span: Annotated[Duration, Between("1s", "1d")] = parse_duration("15m")
    """Length of a bucket: the interval that samples are gathered into, 1s to 1d. Cannot be changed
    after creation."""
    partition_field: LabelKey | None = None
    """`namespace`, `node`, `workload`, `zone`, `instance-type` or a label key: every value of it
    has independent models and its own score normalisation. Unset: no partitions. Cannot be changed
    after creation."""
    detectors: Annotated[tuple[Detector, ...], Field(min_length=1, max_length=16)]
    """The analyses, 1 to 16. After creation only description, customRules and minDeviation of each
    can be changed."""
    influencers: (
        Annotated[tuple[LabelKey, ...], Field(max_length=8, json_schema_extra=set_schema()), Set]
        | None
    ) = None
    """Labels that may carry a bucket's anomaly. Unset: namespace, node, workload and pod as they
    apply. Cannot be changed after creation."""
    query_delay: Annotated[Duration, Between("0s", "1d")] = parse_duration("90s")
    """How far behind now the source is asked, so that late samples are in; at most 1d. Cannot be
    changed after creation."""
    frequency: Annotated[Duration, Between("1s", "1d")] | None = None
    """How often the source is asked, 1s up to `bucketSpan`. Unset: half a bucket span, within 1s
    and 10m. Cannot be changed after creation."""

    description: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """What the job is for."""
    groups: Annotated[
        tuple[Group, ...], Field(max_length=16, json_schema_extra=set_schema()), Set
    ] = ()
    """Groups the job belongs to: lower case letters, digits, hyphens and underscores."""
    custom_settings: CustomSettings | None = None
    """A free object, kept as it is; `customUrls` in it become links beside results."""
    suspend: Flag = False
    """true closes the job: its models are stored and its worker is stopped. false opens it."""
    allow_lazy_open: Flag = False
    """What happens when there is no room for the worker. false: state `failed`, reason
    InsufficientCapacity. true: the job stays `opening` until there is room."""
    analysis_limits: AnalysisLimits = AnalysisLimits()
    """Resources that the models may take."""
    background_persist_interval: Annotated[Duration, Between("1h", "30d")] | None = None
    """Time between two snapshots of the models, 1h to 30d. Unset: 3h and up to 1h more,
    staggered."""
    renormalization_window_days: Days | None = None
    """How many days back scores are adjusted as new data is seen; 0 switches it off. Unset: 30 days
    or 100 buckets, whichever is longer."""
    model_prune_window: Duration | None = None
    """Models not updated for this long are removed; a multiple of `bucketSpan`, at least 2 of them.
    Unset: 30 days or 20 buckets, whichever is longer."""
    model_snapshot_retention_days: Days = 10
    """Days, before the newest snapshot, for which model snapshots are kept."""
    daily_model_snapshot_retention_after_days: Days = 1
    """Days after which only the first snapshot of each day is kept; at most
    `modelSnapshotRetentionDays`."""
    results_retention_days: Days | None = None
    """Days, before the newest bucket, for which results are kept. Unset: for ever."""
    model_plot_config: ModelPlotConfig | None = None
    """Whether the model's bounds are stored beside the results. Unset: they are not."""
    maintenance_windows: Annotated[tuple[MaintenanceWindow, ...], Field(max_length=16)] = ()
    """Spans of time in which results are withheld; the whole list is replaced."""
    per_partition_categorization: PerPartitionCategorization = PerPartitionCategorization()
    """How event categories and partitions work together."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = problems_of_spec(self)
        if problems:
            raise Located(problems)
        return self


class AnomalyDetector(ApiModel):
    """One anomaly detection job: which metrics of which pods or nodes are analysed, and how."""

    model_config = ConfigDict(json_schema_extra=lawful(MEMORY_IN_USE))

    api_version: Literal["anomaly-operator.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: Literal["AnomalyDetector"] = "AnomalyDetector"
    metadata: ObjectMeta
    spec: AnomalyDetectorSpec
    """What is analysed, and the settings of the job."""
    status: AnomalyDetectorStatus | None = None
    """What the operator and the workers report."""
