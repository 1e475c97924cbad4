"""What the operator says of itself to Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as Count
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

STATES = ("opening", "opened", "closing", "closed", "failed")
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Telemetry(Collector):
    """Counts and durations, and a table of detectors' states read at scrape time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._states: dict[str, str] = {}
        self._stalled: dict[str, str] = {}
        self.reconciles = Count(
            "anomaly_operator_reconciles",
            "Times a detector was looked at, by result.",
            ["result"],
            registry=self.registry,
        )
        self.errors = Count(
            "anomaly_operator_reconcile_errors",
            "Times it failed, by the API server's reason.",
            ["reason"],
            registry=self.registry,
        )
        self.writes = Count(
            "anomaly_operator_writes",
            "Writes to the API server; a steady state has none.",
            ["verb", "kind"],
            registry=self.registry,
        )
        self.features_lost = Count(
            "anomaly_operator_optional_writes_refused",
            "Optional parts the API server refused: one feature less each.",
            ["kind"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "anomaly_operator_reconcile_duration_seconds",
            "How long one look took.",
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        for result in ("ok", "error"):
            self.reconciles.labels(result)  # 0 rather than absent
        self.registry.register(self)

    def saw(self, key: str, *, state: str, stalled: str) -> None:
        """Note a detector's state, and the reason where it is stalled."""
        self._states[key] = state
        self._stalled[key] = stalled

    def forget(self, key: str) -> None:
        """Forget a detector that is gone."""
        self._states.pop(key, None)
        self._stalled.pop(key, None)

    def known(self) -> list[str]:
        """Return the detectors that are known."""
        return list(self._states)

    def collect(self) -> Iterable[Metric]:
        """Give detectors by state, and those stalled by reason."""
        states = GaugeMetricFamily(
            "anomaly_operator_detectors", "AnomalyDetectors by state.", labels=["state"]
        )
        counted = Counter(self._states.values())
        for state in STATES:
            states.add_metric([state], counted.get(state, 0))
        yield states
        stalled = GaugeMetricFamily(
            "anomaly_operator_detectors_stalled",
            "AnomalyDetectors that wait for somebody to edit them, by reason.",
            labels=["reason"],
        )
        for reason, number in Counter(filter(None, self._stalled.values())).items():
            stalled.add_metric([reason], number)
        yield stalled
