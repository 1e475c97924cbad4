"""The kinds of this version: names, scope, and the columns that ``kubectl get`` shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from anomaly_operator.api.group import GROUP
from anomaly_operator.api.model import ApiModel
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetector
from anomaly_operator.api.v1alpha1.anomalyfilter import AnomalyFilter
from anomaly_operator.api.v1alpha1.metricsource import MetricSource


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column; ``wide`` ones show with ``-o wide`` only."""

    name: str
    path: str
    type: Literal["string", "integer", "number", "date", "boolean"] = "string"
    description: str = ""
    wide: bool = False

    def document(self) -> dict[str, object]:
        """Give the entry of ``additionalPrinterColumns``."""
        return {
            "name": self.name,
            "type": self.type,
            **({"description": self.description} if self.description else {}),
            "jsonPath": self.path,
            **({"priority": 1} if self.wide else {}),
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """One custom resource."""

    model: type[ApiModel]
    plural: str
    short: str
    scope: Literal["Namespaced", "Cluster"]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The kind in CamelCase."""
        return self.model.__name__

    @property
    def aliases(self) -> frozenset[str]:
        """Names a person may call it by, in lower case."""
        return frozenset({self.name.lower(), self.plural, self.short})

    @property
    def crd_name(self) -> str:
        """Name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


def _condition(column: str, type_: str, part: str = "status", *, wide: bool = False) -> Column:
    path = f'.status.conditions[?(@.type=="{type_}")].{part}'
    return Column(column, path, wide=wide)


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_READY = _condition("Ready", "Ready")
_WHY = (
    _condition("Reason", "Ready", "reason", wide=True),
    _condition("Message", "Ready", "message", wide=True),
)

ANOMALY_DETECTORS = Kind(
    AnomalyDetector,
    plural="anomalydetectors",
    short="andet",
    scope="Namespaced",
    columns=(
        _READY,
        Column("State", ".status.state", description="opening, opened, closing, closed or failed"),
        Column(
            "Anomalous",
            ".status.worstScore",
            "integer",  # cut off, not rounded: 74.9 must not read as critical
            "Highest record score of the last hour, 0 to 100",
        ),
        Column("Series", ".status.seriesCount", "integer", "Series with a model"),
        Column("Critical", ".status.anomalies.critical", "integer", "Score 75 and more, 24 hours"),
        Column("Major", ".status.anomalies.major", "integer", "Score 50 to 75, 24 hours"),
        Column("Last Anomaly", ".status.lastAnomalyTime", "date"),
        Column("Memory", ".status.modelMemory", description="What the models hold of their limit"),
        _AGE,
        Column(
            "Backfill %",
            ".status.backfill.percent",
            "integer",
            "Share of the past that is analysed",
            wide=True,
        ),
        Column("Groups", ".spec.groups", description="Groups the job belongs to", wide=True),
        Column("Description", ".spec.description", description="What the job is for", wide=True),
        *_WHY,
    ),
    selectable=(".spec.target.kind", ".spec.suspend"),
)
ANOMALY_FILTERS = Kind(
    AnomalyFilter,
    plural="anomalyfilters",
    short="anfilter",
    scope="Namespaced",
    columns=(
        _READY,
        Column("Used By", ".status.usedByCount", "integer", "AnomalyDetectors that use the list"),
        Column("Description", ".spec.description"),
        _AGE,
        *_WHY,
    ),
)
METRIC_SOURCES = Kind(
    MetricSource,
    plural="metricsources",
    short="msrc",
    scope="Cluster",
    columns=(
        Column("Type", ".spec.type"),
        Column("Default", ".spec.default", "boolean"),
        _READY,
        Column("Used By", ".status.usedByCount", "integer", "AnomalyDetectors that read from it"),
        _AGE,
        Column("URL", ".spec.prometheus.url", description="Address of a Prometheus", wide=True),
        *_WHY,
    ),
)
KINDS = (ANOMALY_DETECTORS, ANOMALY_FILTERS, METRIC_SOURCES)
