"""Observed, finding, plan: the values between looking, deciding and doing.

The controller gathers an ``Observed`` whole, ``planning.plan`` turns it into a ``Plan``, and the
controller carries that out. Nothing here asks for the time or for anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.anomalyfilter import AnomalyFilterSpec
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.api.v1alpha1.status import AnomalyDetectorStatus
from anomaly_operator.errors import SpecError
from anomaly_operator.reconcile.children.worker import Worker
from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.naming import Body, ChildKey


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's verdict: a stable reason and a message that says what would be right."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Warning event about the worker's parts: quota, admission, mounts."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything a decision about one detector rests on.

    A spec, filter or source that cannot be parsed is its SpecError. ``body`` is the detector as
    stored; ``children`` are the objects of this detector's UID.
    """

    body: Body
    spec: AnomalyDetectorSpec | SpecError
    config: OperatorConfig
    now_s: float
    filters: Mapping[str, AnomalyFilterSpec | SpecError] = field(default_factory=dict)
    sources: Mapping[str, MetricSourceSpec | SpecError] = field(default_factory=dict)
    children: Mapping[ChildKey, Body] = field(default_factory=dict)
    pods: tuple[Body, ...] = ()
    claims: tuple[Body, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    apply_error: str = ""  # what the API server said when the plan was carried out last
    optional_kinds: frozenset[str] = frozenset()  # optional APIs that this cluster serves

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Metadata of the detector."""
        metadata: Mapping[str, Any] = self.body["metadata"]
        return metadata

    @property
    def generation(self) -> int:
        """Generation of the detector's spec."""
        return int(self.metadata.get("generation", 0))

    @property
    def in_operator_namespace(self) -> bool:
        """Whether the detector may see nodes and all namespaces."""
        return bool(self.metadata["namespace"] == self.config.namespace)

    @property
    def worker(self) -> Worker:
        """Names of the detector's worker."""
        return Worker(
            detector_name=self.metadata["name"],
            detector_namespace=self.metadata["namespace"],
            detector_uid=self.metadata["uid"],
            namespace=self.config.namespace,
        )

    @property
    def status(self) -> AnomalyDetectorStatus:
        """Status as stored; empty where it cannot be read (written by something newer)."""
        try:
            return AnomalyDetectorStatus.parse(self.body.get("status") or {})
        except SpecError:
            return AnomalyDetectorStatus()

    def child(self, kind: str, *, name: str = "") -> Body | None:
        """Return the child of a kind in the operator's namespace, under the worker's name."""
        return self.children.get(ChildKey(kind, self.config.namespace, name or self.worker.name))


@dataclass(frozen=True, slots=True)
class Event:
    """One Kubernetes Event on the detector: a state has changed."""

    type: str  # Normal | Warning
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one detector; empty where all is as it should be."""

    apply: tuple[Body, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    nudge: tuple[Body, ...] = ()  # pods to annotate; whatever comes of it, the rest goes on
    status: Body | None = None  # the operator's whole part of the status, or None: leave it
    events: tuple[Event, ...] = ()
    requeue_after_s: float | None = None
