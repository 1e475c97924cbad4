"""What the person who runs the operator decides, as opposed to those who write detectors.

Read by the controller from a file, the environment and flags; taken by the planning as a value.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from anomaly_operator.reconcile.quantities import parse_quantity


def _size(value: object) -> object:
    return int(parse_quantity(value)) if isinstance(value, str) else value


SizeBytes = Annotated[int, BeforeValidator(_size), Field(ge=0)]


class VolumeMode(StrEnum):
    """Where a worker keeps results and snapshots."""

    CLAIM = "claim"
    EMPTY_DIR = "emptyDir"


class OperatorConfig(BaseModel):
    """Configuration of one operator; each field is a flag and an ANOMALY_* variable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, str_strip_whitespace=True
    )

    namespace: str = Field(default="anomaly-system", min_length=1)
    """Namespace the operator and its workers run in."""

    worker_image: str = ""
    """Image of the workers; empty is the operator's own."""

    worker_image_pull_policy: str = Field(default="", pattern="^(|Always|IfNotPresent|Never)$")
    """Pull policy of the workers' image; empty leaves it to Kubernetes."""

    worker_image_pull_secrets: tuple[str, ...] = ()
    """Names of pull Secrets in the operator's namespace."""

    worker_command: tuple[str, ...] = ("anomaly", "worker")
    """Command of the workers."""

    worker_environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables given to every worker."""

    worker_node_selector: dict[str, str] = Field(default_factory=dict)
    """Nodes that workers may run on."""

    worker_priority_class: str = ""
    """Priority class of the workers; empty is the cluster's default."""

    worker_cpu_request: str = "50m"
    """CPU a worker asks for; there is no CPU limit, backfill takes what is free."""

    worker_memory_overhead: SizeBytes = 256 * 2**20
    """Memory a worker needs beside its models: interpreter, libraries, one query; bytes."""

    worker_poll_interval_s: float = Field(default=10.0, gt=0)
    """How often a worker looks whether its job document has changed; seconds."""

    worker_status_interval_s: float = Field(default=60.0, gt=0)
    """How often at most a worker writes its part of the status; seconds."""

    worker_grace_period_s: int = Field(default=120, ge=1)
    """How long a worker may take to save its model when told to stop; seconds."""

    volume_mode: VolumeMode = VolumeMode.CLAIM
    """``claim``: a volume a shard, kept over restarts. ``emptyDir``: gone with the pod."""

    volume_storage_class: str = ""
    """Storage class of the claims; empty is the cluster's default."""

    volume_size: SizeBytes = 10 * 2**30
    """Size of each claim, or limit of each emptyDir; bytes."""

    maximum_model_memory_limit: SizeBytes = 64 * 2**30
    """Largest ``spec.analysisLimits.modelMemoryLimit`` a detector may ask for; bytes."""

    shards: int = Field(default=1, ge=1, le=64)
    """Workers of a new detector, which share its series; a running one keeps its own number."""

    results_url: str = ""
    """SQLAlchemy URL of the results store, without a password; empty is SQLite on each volume."""

    results_secret: str = ""
    """Secret, as ``name/key``, that holds the results store's URL with its password."""

    snapshots_url: str = ""
    """Where model snapshots go, such as ``s3://bucket/prefix``; empty is the worker's volume."""

    default_source: bool = True
    """Whether a cluster without any MetricSource gets one called ``kubelet``, marked default."""

    network_policies: bool = True
    """Whether each worker gets a NetworkPolicy."""

    pod_monitors: bool = True
    """Whether PodMonitors and a PrometheusRule are made where those kinds are served."""

    pod_monitor_labels: dict[str, str] = Field(default_factory=dict)
    """Labels put on PodMonitors and the PrometheusRule, for Prometheuses that select by label."""

    resync_interval_s: float = Field(default=300.0, gt=0)
    """How often everything is looked at again, whatever events came; seconds."""

    sweep_interval_s: float = Field(default=300.0, gt=0)
    """How often children whose detector is gone are looked for; seconds."""

    capacity_retry_s: float = Field(default=600.0, gt=0)
    """How long after a refusal for want of room a worker is tried again; seconds."""

    claim_patience_s: float = Field(default=30.0, ge=0)
    """How long a volume claim may stay unbound before the status says so; seconds."""
