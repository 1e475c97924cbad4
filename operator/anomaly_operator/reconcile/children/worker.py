"""The names a detector's worker goes by; what all its children share."""

from __future__ import annotations

from dataclasses import dataclass

from anomaly_operator.reconcile.naming import (
    FOR,
    Body,
    child_labels,
    child_name,
    selector_labels,
)


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker of one detector: where it runs and for whom."""

    detector_name: str
    detector_namespace: str
    detector_uid: str
    namespace: str  # the operator's

    @property
    def name(self) -> str:
        """Name of its StatefulSet, account, Service and the rest."""
        return child_name(self.detector_name, self.detector_uid)

    @property
    def selector(self) -> dict[str, str]:
        """Labels that choose its pods."""
        return selector_labels(self.detector_uid)

    @property
    def labels(self) -> dict[str, str]:
        """Labels of its children and pods."""
        return child_labels(self.detector_name, self.detector_namespace, self.detector_uid)

    def metadata(self, name: str, *, namespace: str | None = None) -> Body:
        """Metadata of a child; ``namespace`` defaults to the operator's, "" is cluster-scoped."""
        place = self.namespace if namespace is None else namespace
        return {
            "name": name,
            **({"namespace": place} if place else {}),
            "labels": self.labels,
            "annotations": {FOR: f"{self.detector_namespace}/{self.detector_name}"},
        }
