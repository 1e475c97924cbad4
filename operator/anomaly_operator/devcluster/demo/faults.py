"""What is made to go wrong, and whether it was caught: the demo's question and its answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from anomaly_operator.devcluster.demo.reporting import Anomaly


@dataclass(frozen=True, slots=True)
class Fault:
    """What a workload is told to do, and how it should show."""

    order: str
    workload: str
    metric: str
    words: str


FAULTS = (
    Fault("leak", "basket", "memory_usage", "leaks 8 MiB a second"),
    Fault("surge", "uploader", "network_out", "sends 25 times as much"),
)


@dataclass(slots=True)
class Verdict:
    """Which faults were caught, after how many seconds, by which anomaly.

    Parameters
    ----------
    begun
        When the pods were told to misbehave.
    span
        A bucket that ends after that counts: the one in which the fault begins starts before it.
    """

    begun: datetime
    span: timedelta
    caught: dict[str, tuple[float, Anomaly]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Every fault was caught in time."""
        return all(fault.order in self.caught for fault in FAULTS)

    def judge(self, anomaly: Anomaly, *, after_s: float) -> Iterable[Fault]:
        """Faults that this anomaly is the first to show."""
        for fault in FAULTS:
            shows = anomaly.metric == fault.metric and anomaly.entity.startswith(
                f"{fault.workload}-"
            )
            is_after = datetime.fromisoformat(anomaly.time) >= self.begun - self.span
            if shows and is_after and fault.order not in self.caught:
                self.caught[fault.order] = (after_s, anomaly)
                yield fault
