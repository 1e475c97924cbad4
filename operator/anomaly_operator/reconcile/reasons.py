"""Reasons that only the operator gives, beside the API's own list.

Stable words for a cause, as in ``api.v1alpha1.conditions.Reason``; messages are for people.
"""

from __future__ import annotations

from typing import Final

SOURCE_AMBIGUOUS: Final = "DefaultSourceAmbiguous"
"""Ready, Stalled: more than one MetricSource is marked default."""
SOURCE_INVALID: Final = "SourceInvalid"
"""Ready, Stalled: the MetricSource's own spec has problems."""
FILTER_INVALID: Final = "FilterInvalid"
"""Ready, Stalled: an AnomalyFilter's own spec has problems."""
REVERT_INVALID: Final = "RevertInvalid"
"""Stalled: the annotation that asks for an older snapshot cannot be read."""
REVERT_REFUSED: Final = "RevertRefused"
"""Ready, Stalled: a worker could not go back to the snapshot; nothing was changed."""
LIMIT_BELOW_USE: Final = "LimitBelowUse"
"""Ready, Stalled: modelMemoryLimit is below what the models hold now."""
PODS_REFUSED: Final = "PodsRefused"
"""Ready: quota or admission keeps the worker's pods from being created."""
IMAGE_UNAVAILABLE: Final = "ImageUnavailable"
"""Ready: the worker's image cannot be pulled."""
CHILDREN_REFUSED: Final = "ChildrenRefused"
"""Ready: the API server refuses a part of the worker."""
MOUNT_FAILED: Final = "MountFailed"
"""Ready: a volume or Secret of the worker cannot be mounted."""
WORKER_NOT_RUNNING: Final = "WorkerNotRunning"
"""SourceReady, DataComplete: nobody is reading, so nobody knows."""
NOT_JUDGED: Final = "NotJudged"
"""AnomalyDetected: no bucket was judged lately."""
