"""Condition types and their reasons: what is promised to people, Flux and Argo CD.

Types follow metav1.Condition and kstatus. An anomaly never touches ``Ready``, ``Reconciling`` or
``Stalled``: a deployment tool would call the roll-out failed because the tool for seeing trouble
saw some. Reasons are stable words for the cause; messages are for people and may change.
"""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    """Types of conditions on the three kinds."""

    READY = "Ready"
    """True: the job runs as its spec says (or is closed, as its spec says). Positive polarity;
    always there, `Unknown` from the moment of creation. On AnomalyFilter and MetricSource:
    usable."""
    RECONCILING = "Reconciling"
    """True: the operator is bringing the cluster in line with the spec. Absent when it is done."""
    STALLED = "Stalled"
    """True: nothing more will happen until a person edits the spec. Absent otherwise."""
    ANOMALY_DETECTED = "AnomalyDetected"
    """True: a record of score 50 or more in the last closed buckets. Neutral: neither good nor bad
    for the deployment. There once the first bucket was judged."""
    SOURCE_READY = "SourceReady"
    """True: the metric source answers. Positive polarity; there once it was asked."""
    DATA_COMPLETE = "DataComplete"
    """True: what should have data has data. Positive polarity; missing data never reads as normal.
    There once the source was read."""
    MODEL_TRAINED = "ModelTrained"
    """True: the models are past their cold start. Positive polarity; the message gives percent and
    time left."""
    MODEL_MEMORY_OK = "ModelMemoryOk"
    """True: every series that was seen is modelled within the limit. Positive polarity."""
    JOB_FOLLOWED = "JobFollowed"
    """Only in a worker's own entry of `status.shards`. True: the worker follows the job document
    that it was given last. False: it refuses it or cannot take it over yet, goes on with the one
    before, and the message says why."""
    RESULTS_STORED = "ResultsStored"
    """Only in a worker's own entry of `status.shards`. True: the results store takes results.
    False: they wait and are offered again, or the worker waits to start."""
    UPDATE_PENDING = "UpdatePending"
    """True: the spec holds a change that the running workers do not follow yet. Negative polarity;
    the message names the fields."""


class Reason(StrEnum):
    """Reasons, by the condition they belong to. Stable, but a utility rather than API."""

    OPENED = "Opened"
    """Ready: workers run with the spec's newest generation."""
    CLOSED = "Closed"
    """Ready: suspended, as the spec says."""
    OPENING = "Opening"
    """Ready, Reconciling: workers are starting."""
    CLOSING = "Closing"
    """Ready, Reconciling: snapshots are being stored, then workers stop."""
    PROGRESSING = "Progressing"
    """Ready (Unknown), Reconciling: the first look is not over."""
    INSUFFICIENT_CAPACITY = "InsufficientCapacity"
    """Ready, Stalled: no node has room for the worker and allowLazyOpen is false."""
    WAITING_FOR_CAPACITY = "WaitingForCapacity"
    """Ready, Reconciling: no room yet, and allowLazyOpen is true."""
    VOLUME_UNBOUND = "VolumeUnbound"
    """Ready, Reconciling: the worker's volume claim is not bound; is there a provisioner?"""
    WORKER_FAILING = "WorkerFailing"
    """Ready: a worker ended again and again; it is restarted with back-off."""
    INVALID_SPEC = "InvalidSpec"
    """Ready, Stalled: the message lists every problem with its path."""
    SOURCE_NOT_FOUND = "SourceNotFound"
    """Ready, Stalled: the named MetricSource does not exist, or none is marked default."""
    FILTER_NOT_FOUND = "FilterNotFound"
    """Ready, Stalled: a rule names an AnomalyFilter that does not exist; its last content stays."""
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    """Ready, Stalled: outside the operator's namespace only the own namespace may be watched."""
    LIMIT_EXCEEDED = "LimitExceeded"
    """Ready, Stalled: modelMemoryLimit is above the operator's maximum."""
    MODEL_RESET = "ModelReset"
    """Event: learning started afresh because no stored snapshot could be used."""
    ANOMALY = "Anomaly"
    """AnomalyDetected: the message names the worst record."""
    NO_ANOMALY = "NoAnomaly"
    """AnomalyDetected is False: nothing of score 50 or more."""
    SOURCE_ANSWERS = "SourceAnswers"
    """SourceReady is True."""
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    """SourceReady is False: the message is the source's own; asked again with back-off."""
    COMPLETE = "Complete"
    """DataComplete is True."""
    NO_DATA = "NoData"
    """DataComplete: the query answered with nothing at all."""
    STALE = "Stale"
    """DataComplete: the newest sample is older than it should be."""
    PARTIAL_COVERAGE = "PartialCoverage"
    """DataComplete: n of m entities have data."""
    NO_NETWORK_SERIES = "NoNetworkSeries"
    """DataComplete: memory is reported and network is not."""
    RBAC = "RBAC"
    """SourceReady, DataComplete: permission was denied; the message says which."""
    TLS = "TLS"
    """SourceReady, DataComplete: the server's certificate was not accepted."""
    TRAINED = "Trained"
    """ModelTrained is True."""
    WARMING_UP = "WarmingUp"
    """ModelTrained is False: percent and time left are in the message."""
    WITHIN_LIMIT = "WithinLimit"
    """ModelMemoryOk is True: memory status ok."""
    SOFT_LIMIT = "SoftLimit"
    """ModelMemoryOk is False: pruning is more aggressive; everything seen is still modelled."""
    HARD_LIMIT = "HardLimit"
    """ModelMemoryOk is False: new series are not modelled."""
    FOLLOWED = "Followed"
    """JobFollowed is True."""
    JOB_REFUSED = "JobRefused"
    """JobFollowed; Ready, Stalled: a worker refuses its job document; the message says why."""
    STORED = "Stored"
    """ResultsStored is True."""
    STORE_UNAVAILABLE = "StoreUnavailable"
    """ResultsStored is False: the message is the store's own; tried again with back-off."""
    UP_TO_DATE = "UpToDate"
    """UpdatePending is False: workers follow the newest generation."""
    REOPENING = "Reopening"
    """UpdatePending: the job is closed and opened again for a setting that is read at the start."""
    WAITING_FOR_WORKERS = "WaitingForWorkers"
    """UpdatePending: not every worker has said that it follows the newest generation."""
