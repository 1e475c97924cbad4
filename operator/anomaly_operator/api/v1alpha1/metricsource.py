"""MetricSource: where metrics come from. Cluster-scoped: tenants name one, never an address."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from anomaly_operator.api import patterns
from anomaly_operator.api.group import API_VERSION
from anomaly_operator.api.laws import Between, Law, lawful
from anomaly_operator.api.model import (
    ApiModel,
    Count,
    Duration,
    Flag,
    MetricName,
    Number,
)
from anomaly_operator.api.problems import Located
from anomaly_operator.api.quantities import parse_duration
from anomaly_operator.api.v1alpha1.analysis import TargetKind
from anomaly_operator.api.v1alpha1.meta import ObjectMeta, SecretKeyRef
from anomaly_operator.api.v1alpha1.status import StatusConditions
from anomaly_operator.errors import Problem

Url = Annotated[str, StringConstraints(pattern=patterns.URL, max_length=2048)]
LabelName = Annotated[str, StringConstraints(pattern=patterns.METRIC, max_length=128)]
OurLabel = Literal["namespace", "workload", "pod", "container", "node"]


CLIENT_CERTIFICATE = Law(
    "has(self.certSecretRef) == has(self.keySecretRef)",
    "certSecretRef and keySecretRef need each other",
)
ONE_SIGN_IN = Law(
    "has(self.basic) != has(self.bearer)", "give either basic or bearer, and not both"
)
ONE_HEADER_VALUE = Law(
    "has(self.value) != has(self.secretRef)", "give either value or secretRef, and not both"
)
MATCHERS = Law(
    "self.query.contains('${matchers}')",
    "must hold ${matchers} inside the braces of every selector; without it a detector would see"
    " what it must not",
    "query",
)
DIFFERENT_METRICS = Law(
    "!has(self.metrics) || self.metrics.all(m,"
    " self.metrics.exists_one(n, n.name == m.name"
    " && (has(n.target) ? n.target : 'Pod') == (has(m.target) ? m.target : 'Pod')))",
    "two metrics have the same name and target",
    "metrics",
)
SETTINGS_OF_TYPE = Law(
    "(self.type == 'prometheus') == has(self.prometheus)"
    " && (self.type == 'table') == has(self.table)"
    " && (self.type == 'kubelet' || !has(self.kubelet))",
    "give the settings of the source's type, and no others",
)


class TlsConfig(ApiModel):
    """How the server's certificate is checked, and which one is shown to it."""

    model_config = ConfigDict(json_schema_extra=lawful(CLIENT_CERTIFICATE))

    ca_secret_ref: SecretKeyRef | None = None
    """CA certificates (PEM) that the server's certificate must chain to. Unset: the system's."""
    cert_secret_ref: SecretKeyRef | None = None
    """Client certificate (PEM); needs `keySecretRef`."""
    key_secret_ref: SecretKeyRef | None = None
    """Private key (PEM) of the client certificate; needs `certSecretRef`."""
    server_name: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = None
    """Name expected in the server's certificate. Unset: the host of the URL."""
    insecure_skip_verify: Flag = False
    """Accept any certificate. For tests: whoever sits between can read and change everything."""

    @model_validator(mode="after")
    def _whole_certificate(self) -> Self:
        if (self.cert_secret_ref is None) != (self.key_secret_ref is None):
            raise ValueError(CLIENT_CERTIFICATE.message)
        return self


class BasicAuth(ApiModel):
    """User name and password."""

    username: SecretKeyRef
    """Where the user name is."""
    password: SecretKeyRef
    """Where the password is."""


class PrometheusAuth(ApiModel):
    """How to sign in: basic or bearer, not both."""

    model_config = ConfigDict(json_schema_extra=lawful(ONE_SIGN_IN))

    basic: BasicAuth | None = None
    """User name and password."""
    bearer: SecretKeyRef | None = None
    """Bearer token."""

    @model_validator(mode="after")
    def _one_sign_in(self) -> Self:
        if (self.basic is None) == (self.bearer is None):
            raise ValueError(ONE_SIGN_IN.message)
        return self


class Header(ApiModel):
    """One HTTP header sent with every request."""

    model_config = ConfigDict(json_schema_extra=lawful(ONE_HEADER_VALUE))

    name: Annotated[str, StringConstraints(pattern=patterns.HEADER, max_length=64)]
    """Name of the header, such as X-Scope-OrgID."""
    value: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Its value. Either this or `secretRef`."""
    secret_ref: SecretKeyRef | None = None
    """Where its value is."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if (self.value is None) == (self.secret_ref is None):
            raise ValueError(ONE_HEADER_VALUE.message)
        return self


class MetricDefinition(ApiModel):
    """One metric of the catalogue: a name that detectors use, and the query behind it."""

    model_config = ConfigDict(json_schema_extra=lawful(MATCHERS))

    name: MetricName
    """Name that detectors use. A built-in name (memory_usage, network_in, network_out) is
    replaced."""
    target: TargetKind = "Pod"
    """Whether the query yields pods or nodes; one name may be defined for both. Unset: `Pod`."""
    query: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """PromQL; `${matchers}` is replaced by the label matchers of the detector's scope, and must be
    inside every selector's braces; `${range}` by a range such as 5m."""
    kind: Literal["gauge", "counter"] = "gauge"
    """`gauge`: the query's values are taken as they are. `counter`: they become a rate per second,
    with resets seen. Unset: `gauge`."""
    unit: Annotated[str, StringConstraints(max_length=32)] = ""
    """Unit of the value, shown beside it: bytes, bytes/s, ratio. Unset: none."""
    resolution: Annotated[Number, Field(ge=0)] = 0.0
    """Smallest difference that means anything, in the metric's unit. Unset, or 0: unknown."""
    non_negative: Flag = True
    """The value cannot be below zero, and neither can its bounds. Unset: true."""
    labels: Annotated[dict[OurLabel, LabelName], Field(max_length=5)] = Field(default_factory=dict)
    """Where our labels (namespace, workload, pod, container, node) are called otherwise in the
    query's result: a map from ours to theirs."""

    @model_validator(mode="after")
    def _keeps_to_its_scope(self) -> Self:
        if "${matchers}" not in self.query:
            raise Located([Problem("query", MATCHERS.message)])
        return self


class PrometheusSource(ApiModel):
    """A server with the Prometheus HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics."""

    model_config = ConfigDict(json_schema_extra=lawful(DIFFERENT_METRICS))

    url: Url
    """Address below which `/api/v1/query_range` is found."""
    auth: PrometheusAuth | None = None
    """How to sign in. Unset: not at all."""
    tls: TlsConfig | None = None
    """TLS settings. Unset: the system's CA certificates."""
    headers: Annotated[tuple[Header, ...], Field(max_length=16)] = ()
    """HTTP headers sent with every request."""
    timeout: Annotated[Duration, Between("1s", "10m")] = parse_duration("30s")
    """How long one request may take, 1s to 10m."""
    extra_matchers: Annotated[
        dict[LabelName, Annotated[str, StringConstraints(max_length=253)]], Field(max_length=16)
    ] = Field(default_factory=dict)
    """Labels that every series must have, such as `cluster: prod`; added to `${matchers}`."""
    metrics: Annotated[tuple[MetricDefinition, ...], Field(max_length=64)] = ()
    """Metrics in addition to, or in place of, the built-in ones."""

    @model_validator(mode="after")
    def _different_metrics(self) -> Self:
        names = [(metric.name, metric.target) for metric in self.metrics]
        problems = [
            Problem(f"metrics[{index}].name", f"'{name[0]}': {DIFFERENT_METRICS.message}")
            for index, name in enumerate(names)
            if name in names[:index]
        ]
        if problems:
            raise Located(problems)
        return self


class KubeletTls(ApiModel):
    """How a kubelet's certificate is checked."""

    ca_secret_ref: SecretKeyRef | None = None
    """CA certificates (PEM) of the kubelets' serving certificates. Unset: the cluster's CA."""
    insecure_skip_verify: Flag = False
    """Accept any certificate, as clusters with self-signed kubelet certificates need."""


class KubeletSource(ApiModel):
    """The kubelets themselves: no history, the last values of every pod and node."""

    port: Annotated[Count, Field(ge=1, le=65535)] = 10250
    """Port of the kubelet's API."""
    scheme: Literal["https", "http"] = "https"
    """`https`; `http` only in tests."""
    tls: KubeletTls = KubeletTls()
    """TLS settings."""
    timeout: Annotated[Duration, Between("1s", "10m")] = parse_duration("10s")
    """How long one request may take, 1s to 10m."""
    node_address_type: Literal["InternalIP", "ExternalIP", "Hostname", "InternalDNS"] = "InternalIP"
    """Which of a node's addresses is used."""


class TableSource(ApiModel):
    """A table of samples, for demonstrations, tests and backtests."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """Path, or http(s) address, of the table as the worker sees it."""
    format: Literal["csv", "csv.gz", "parquet"] | None = None
    """Format of the table. Unset: by the path's ending."""
    follow: Flag = False
    """Rows are still being added at the end: read what is new again and again."""


class MetricSourceSpec(ApiModel):
    """One source of metrics."""

    model_config = ConfigDict(json_schema_extra=lawful(SETTINGS_OF_TYPE))

    type: Literal["prometheus", "kubelet", "table"]
    """Which of the blocks below counts."""
    default: Flag = False
    """Detectors that name no source use this one. Only one may be marked."""
    prometheus: PrometheusSource | None = None
    """Settings of a Prometheus; only with type prometheus."""
    kubelet: KubeletSource | None = None
    """Settings of the kubelets; only with type kubelet. Unset: the defaults."""
    table: TableSource | None = None
    """Settings of a table; only with type table."""

    @model_validator(mode="after")
    def _settings_of_its_type(self) -> Self:
        given = {name for name in ("prometheus", "kubelet", "table") if getattr(self, name)}
        needed = {self.type} - {"kubelet"}
        problems = [Problem(name, f"is required for type {name}") for name in needed - given]
        problems += [
            Problem(name, f"does not belong to type {self.type}; leave it out")
            for name in sorted(given - {self.type})
        ]
        if problems:
            raise Located(problems)
        return self

    @property
    def kubelet_settings(self) -> KubeletSource:
        """Settings of the kubelets, with the defaults where none are given."""
        return self.kubelet or KubeletSource()


class MetricSourceStatus(ApiModel):
    """Whether the source can be used."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    used_by_count: int | None = None
    """How many AnomalyDetectors read from this source."""
    conditions: StatusConditions = ()
    """Ready, as for an AnomalyDetector."""


class MetricSource(ApiModel):
    """Where metrics come from; detectors refer to it by name."""

    api_version: Literal["anomaly-operator.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: Literal["MetricSource"] = "MetricSource"
    metadata: ObjectMeta
    spec: MetricSourceSpec
    """The source."""
    status: MetricSourceStatus | None = None
    """Whether it can be used."""
