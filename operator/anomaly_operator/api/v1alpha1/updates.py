"""What an update may not do: change what is analysed, or take memory that the models hold.

``UPDATE_LAWS`` stand on ``spec`` and ``MEMORY_IN_USE`` on the whole object in the CRD, as
transition rules; ``problems_of_update`` finds the same in Python. A transition rule does not see a
field that is added or removed, so every optional field is guarded on ``spec``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from anomaly_operator.api.laws import IMMUTABLE, Law, mebibytes, seconds, unchanged, unchanged_set
from anomaly_operator.api.quantities import MIB
from anomaly_operator.api.v1alpha1.consistency import by_of, function_of
from anomaly_operator.errors import Problem

if TYPE_CHECKING:
    from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetector, AnomalyDetectorSpec
    from anomaly_operator.api.v1alpha1.status import AnomalyDetectorStatus

_NEW_LIMIT = mebibytes("self.spec.analysisLimits.modelMemoryLimit")
_OLD_LIMIT = mebibytes("oldSelf.spec.analysisLimits.modelMemoryLimit")
_IN_USE = f"((self.status.modelSizeStats.modelBytes + {MIB - 1}) / {MIB})"

MEMORY_IN_USE = Law(
    "!has(self.status) || !has(self.status.modelSizeStats)"
    " || !has(self.status.modelSizeStats.modelBytes)"
    " || !has(self.spec.analysisLimits) || !has(self.spec.analysisLimits.modelMemoryLimit)"
    " || !has(oldSelf.spec.analysisLimits) || !has(oldSelf.spec.analysisLimits.modelMemoryLimit)"
    f" || {_NEW_LIMIT} == {_OLD_LIMIT} || {_NEW_LIMIT} >= {_IN_USE}",
    "cannot be set below what the models use now (status.modelSizeStats.modelBytes)",
    "spec.analysisLimits.modelMemoryLimit",
    f"'%dmb is below what the models use now (%dmb); use %dmb or more'"
    f".format([{_NEW_LIMIT}, {_IN_USE}, {_IN_USE}])",
)
"""Holds only when the limit changes: it also runs on status updates, and must not block them."""

UPDATE_LAWS = (
    unchanged("target.kind"),
    unchanged_set("target.namespaces"),
    unchanged("target.namespaceSelector", optional=True),
    unchanged("target.selector", optional=True),
    unchanged_set("target.nodeNames"),
    unchanged("sourceRef", optional=True),
    unchanged("start", optional=True),
    unchanged("bucketSpan", value=seconds),
    unchanged("partitionField", optional=True),
    unchanged_set("influencers", optional=True),
    unchanged("queryDelay", value=seconds),
    unchanged("frequency", optional=True, value=seconds),
    unchanged("perPartitionCategorization.enabled"),
    *(
        Law(
            f"self.detectors.map(d, {now}) == oldSelf.detectors.map(d, {then})",
            f"detectors[].{name} {IMMUTABLE}",
            "detectors",
        )
        for name, now, then in (
            ("metric", "d.metric", "d.metric"),
            ("function", function_of("d"), function_of("d")),
            ("by", by_of("d"), by_of("d", "oldSelf")),
        )
    ),
)


def problems_of_update(
    old: AnomalyDetector, new: AnomalyDetector, status: AnomalyDetectorStatus | None = None
) -> list[Problem]:
    """Find what the API server would refuse about turning ``old`` into ``new``.

    ``status`` is the stored one; unset, it is that of ``old``.
    """
    changed = [
        Problem(f"spec.{field}", f"{field} {IMMUTABLE}")
        for field, value in _UNCHANGED.items()
        if value(old.spec) != value(new.spec)
    ]
    return [
        *changed,
        *_detector_changes(old.spec, new.spec),
        *_memory(old.spec, new.spec, status=status or old.status),
    ]


_UNCHANGED: dict[str, Callable[[AnomalyDetectorSpec], object]] = {
    "target.kind": lambda spec: spec.target.kind,
    "target.namespaces": lambda spec: frozenset(spec.target.namespaces),
    "target.namespaceSelector": lambda spec: spec.target.namespace_selector,
    "target.selector": lambda spec: spec.target.selector,
    "target.nodeNames": lambda spec: frozenset(spec.target.node_names),
    "sourceRef": lambda spec: spec.source_ref,
    "start": lambda spec: spec.start,
    "bucketSpan": lambda spec: spec.bucket_span,
    "partitionField": lambda spec: spec.partition_field,
    "influencers": lambda spec: None if spec.influencers is None else frozenset(spec.influencers),
    "queryDelay": lambda spec: spec.query_delay,
    "frequency": lambda spec: spec.frequency,
    "perPartitionCategorization.enabled": lambda spec: spec.per_partition_categorization.enabled,
}


def _detector_changes(old: AnomalyDetectorSpec, new: AnomalyDetectorSpec) -> Iterator[Problem]:
    if len(old.detectors) != len(new.detectors):
        for name in ("metric", "function", "by"):
            yield Problem("spec.detectors", f"detectors[].{name} {IMMUTABLE}")
        return
    for index, (was, now) in enumerate(zip(old.detectors, new.detectors, strict=True)):
        path = f"spec.detectors[{index}]"
        if was.metric != now.metric:
            yield Problem(f"{path}.metric", f"detectors[].metric {IMMUTABLE}")
        if was.effective_function != now.effective_function:
            yield Problem(f"{path}.function", f"detectors[].function {IMMUTABLE}")
        if was.effective_by(old.target.kind) != now.effective_by(new.target.kind):
            yield Problem(f"{path}.by", f"detectors[].by {IMMUTABLE}")


def _memory(
    old: AnomalyDetectorSpec, new: AnomalyDetectorSpec, *, status: AnomalyDetectorStatus | None
) -> Iterator[Problem]:
    limit = new.analysis_limits.model_memory_limit
    stats = status.model_size_stats if status else None
    in_use = stats.model_bytes if stats else None
    if in_use is None or limit == old.analysis_limits.model_memory_limit or limit >= in_use:
        return
    used_mib = math.ceil(in_use / MIB)
    yield Problem(
        f"{MEMORY_IN_USE.field}",
        f"{limit // MIB}mb is below what the models use now ({used_mib}mb);"
        f" use {used_mib}mb or more",
    )
