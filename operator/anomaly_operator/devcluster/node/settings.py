"""What a stand-in node is made of: its name, size, folders and habits."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anomaly_operator.devcluster.node.addresses import AddressPool

# All processes of a cluster carry this variable, children too; the watchdog finds them by it.
RUN_MARK = "DEVCLUSTER_RUN"
DEFAULT_MEMORY = "4Gi"


def default_images() -> Mapping[str, tuple[str, ...]]:
    """Entry points by a part of the image name; ours is the command beside this interpreter."""
    return {"anomaly-operator": (str(Path(sys.executable).parent / "anomaly"),)}


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One stand-in node."""

    name: str
    folder: Path  # pods, volumes and logs live below it
    run_id: str  # value of RUN_MARK
    memory: str = DEFAULT_MEMORY  # a Kubernetes quantity
    cpu: str = field(default_factory=lambda: str(os.cpu_count() or 1))
    pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, tuple[str, ...]] = field(default_factory=default_images)
    # Each node has a loopback address of its own, so that all kubelets can have the usual port.
    address: str = field(default_factory=lambda: AddressPool().take())
    kubelet_port: int = 10250
    # A real kubelet refreshes its figures every 10 to 19 s, each at its own time.
    stats_period_s: tuple[float, float] = (10.0, 19.0)
    heartbeat_s: float = 10.0
    first_backoff_s: float = 10.0
    last_backoff_s: float = 300.0
