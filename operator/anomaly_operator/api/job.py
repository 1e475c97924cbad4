"""WorkerJob: the document job.json that the operator renders and a worker reads.

It stands between the two processes as a ConfigMap, mounted into every shard's pod. The worker needs
nothing else to know what to do: every default is resolved, every filter is copied in, and what it
may see is named. Which shard it is comes from the pod's ordinal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import Field, StringConstraints

from anomaly_operator.api.model import ApiModel, Count, DnsName, Time
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.errors import Problem, SpecError

JOB_FILE = "job.json"
JOB_VERSION = 1


class JobDetector(ApiModel):
    """The AnomalyDetector that the job is of."""

    namespace: str
    name: str
    uid: str
    generation: int
    """Generation of the spec: what the worker reports as appliedGeneration."""
    creation_time: Time


class JobSource(ApiModel):
    """The MetricSource to read."""

    name: str
    spec: MetricSourceSpec
    credentials_path: str | None = None
    """Folder under which Secrets are mounted, a folder each: ``<path>/<secret>/<key>``."""


WishName = Annotated[str, StringConstraints(min_length=1, max_length=253)]  # as a status holds it


class Revert(ApiModel):
    """A wish to go back to a stored state, done once: the worker remembers the id of the wish."""

    request_id: WishName
    """A new one for every wish."""
    snapshot_id: WishName
    """Snapshot to start from; ``empty`` is from scratch."""
    delete_intervening_results: bool = False
    """Delete results after the snapshot and analyse that time again; else go on from now."""


def digest_of(text: bytes | str) -> str:
    """Digest of a job document, exactly as it is spelled.

    The worker reports that of the document it follows, and the operator compares it with its own.
    A generation alone would not tell: an edited filter changes the document and not the detector.
    """
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


class WorkerJob(ApiModel):
    """All a worker must know. Durations and sizes are spelled as in the spec."""

    version: Literal[1] = JOB_VERSION  # type: ignore[assignment]
    """Version of this document; a worker refuses one it does not know."""
    detector: JobDetector
    spec: AnomalyDetectorSpec
    """The spec with every default resolved (``v1alpha1.defaults.with_defaults``)."""
    source: JobSource
    filters: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Items of every AnomalyFilter that the spec names; a deleted one keeps its last content."""
    namespaces: tuple[DnsName, ...] | None = None
    """Namespaces that the worker may see; None is all of them."""
    operator_namespace: str
    """Where the worker itself and its Secrets are."""
    shards: Annotated[Count, Field(ge=1, le=64)] = 1
    """How many workers share the series."""
    results_url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    """SQLAlchemy URL of the results store; None is SQLite in the data folder. Never with a
    password: credentials come from the mounted file that ``results_url_file`` names."""
    results_url_file: str | None = None
    """File that holds the URL, with credentials; wins over ``results_url``."""
    snapshots_url: str | None = None
    """Where snapshots go, such as ``s3://bucket/prefix``; None is the data folder."""
    revert: Revert | None = None
    """A wish to go back to a stored state."""
    suspended: bool = False
    """True: store a snapshot and stop; the operator takes the pod away when it is stored."""

    @property
    def model_memory_share(self) -> int:
        """Bytes that the models of one shard may take: an equal part of the job's limit."""
        return self.spec.analysis_limits.model_memory_limit // self.shards

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read the document; raises SpecError with every problem and its path."""
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise SpecError([Problem(JOB_FILE, f"is not JSON: {error}")]) from None
        if not isinstance(document, Mapping):
            raise SpecError([Problem(JOB_FILE, "is not a JSON object")])
        return cls.from_document(document)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the document, after it was parsed."""
        return cls.parse(document)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the mounted file; raises SpecError when it is absent or wrong."""
        try:
            text = path.read_bytes()
        except OSError as error:
            raise SpecError([Problem(str(path), f"cannot be read: {error.strerror}")]) from None
        return cls.from_json(text)

    def to_json(self) -> str:
        """Spell the document with sorted keys, so that an equal job is an equal ConfigMap."""
        return orjson.dumps(
            self.document(), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2
        ).decode()
