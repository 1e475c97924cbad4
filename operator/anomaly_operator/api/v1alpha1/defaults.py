"""Defaults that depend on other fields, the creation time or the UID; the rest stand in the schema.

The operator resolves them once, when it renders the worker's job, so that the worker and
``anomaly backtest`` decide nothing by themselves.
"""

from __future__ import annotations

import hashlib
import math
from datetime import datetime, timedelta

from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.settings import ModelPlotConfig

HISTORY = timedelta(days=28)
_DAY = timedelta(days=1)
_STAGGER_S = 3600


def with_defaults(spec: AnomalyDetectorSpec, *, created: datetime, uid: str) -> AnomalyDetectorSpec:
    """Fill in every unset field that has a default; applying it twice changes nothing more."""
    kind = spec.target.kind
    detectors = tuple(
        d.model_copy(update={"function": d.effective_function, "by": d.effective_by(kind)})
        for d in spec.detectors
    )
    plot = spec.model_plot_config or ModelPlotConfig(enabled=False)
    return spec.model_copy(
        update={
            "start": spec.start or created - HISTORY,
            "detectors": detectors,
            "influencers": default_influencers(spec)
            if spec.influencers is None
            else spec.influencers,
            "frequency": spec.frequency or default_frequency(spec.bucket_span),
            "background_persist_interval": spec.background_persist_interval
            or default_persist_interval(uid),
            "renormalization_window_days": default_renormalization_days(spec.bucket_span)
            if spec.renormalization_window_days is None
            else spec.renormalization_window_days,
            "model_prune_window": spec.model_prune_window or default_prune_window(spec.bucket_span),
            "model_plot_config": plot.model_copy(
                update={"annotations_enabled": plot.effective_annotations}
            ),
        }
    )


def default_influencers(spec: AnomalyDetectorSpec) -> tuple[str, ...]:
    """Labels that can carry an anomaly of the target, and the partition field with them."""
    labels = ["node"] if spec.target.kind == "Node" else ["namespace", "node", "workload", "pod"]
    if spec.partition_field and spec.partition_field not in labels:
        labels.append(spec.partition_field)
    return tuple(labels)


def default_frequency(bucket_span: timedelta) -> timedelta:
    """Half a bucket span in whole seconds, within 1 s and 10 min."""
    half = timedelta(seconds=bucket_span // timedelta(seconds=2))
    return min(max(half, timedelta(seconds=1)), timedelta(minutes=10))


def default_persist_interval(uid: str) -> timedelta:
    """Three hours, and up to one more by the UID, so that jobs do not all store at once."""
    digest = hashlib.sha256(uid.encode()).digest()
    return timedelta(hours=3, seconds=int.from_bytes(digest[:8], "big") % _STAGGER_S)


def default_renormalization_days(bucket_span: timedelta) -> int:
    """Days of the longer of 30 days and 100 buckets."""
    return max(30, math.ceil(100 * bucket_span / _DAY))


def default_prune_window(bucket_span: timedelta) -> timedelta:
    """Whole buckets that cover the longer of 30 days and 20 buckets."""
    return bucket_span * max(20, math.ceil(30 * _DAY / bucket_span))
