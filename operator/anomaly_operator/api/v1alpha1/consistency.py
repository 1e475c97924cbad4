"""What fields of a spec demand of each other: as laws for the API server, and as checks in Python.

``SPEC_LAWS`` stand on ``spec`` in the CRD; ``problems_of_spec`` finds the same, and all of it, and
says which entry of a list is meant, which CEL cannot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from anomaly_operator.api.laws import Law, seconds
from anomaly_operator.api.quantities import format_duration
from anomaly_operator.api.v1alpha1.analysis import EVENT_FUNCTIONS, EVENTS_METRIC, Detector
from anomaly_operator.errors import Problem

if TYPE_CHECKING:
    from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec

POD_ONLY_PARTITIONS = ("namespace", "workload")
POD_ONLY_BY = ("pod", "workload", "container")


def function_of(detector: str) -> str:
    """CEL for a detector's function, with the metric's default where it is unset."""
    return (
        f"(has({detector}.__function__) ? {detector}.__function__"
        f" : {detector}.metric == 'memory_usage' ? 'high_max'"
        f" : {detector}.metric == 'network_in' || {detector}.metric == 'network_out' ? 'high_mean'"
        f" : {detector}.metric == 'events' ? 'count' : 'mean')"
    )


def by_of(detector: str, spec: str = "self") -> str:
    """CEL for a detector's by field, with the target's default where it is unset."""
    return (
        f"(has({detector}.by) ? {detector}.by : {detector}.metric == 'events' ? 'category'"
        f" : {spec}.target.kind == 'Node' ? 'node' : 'pod')"
    )


_CATEGORY = f"({by_of('d')} == 'category')"
_SPAN = seconds("self.bucketSpan")
_PRUNE = seconds("self.modelPruneWindow")

NODE_NAMESPACES = Law(
    "self.target.kind != 'Node' || !has(self.target.namespaces)"
    " || size(self.target.namespaces) == 0",
    "nodes have no namespace; leave namespaces out or make target.kind Pod",
    "target.namespaces",
)
NODE_NAMESPACE_SELECTOR = Law(
    "self.target.kind != 'Node' || !has(self.target.namespaceSelector)",
    "nodes have no namespace; leave namespaceSelector out or make target.kind Pod",
    "target.namespaceSelector",
)
NODE_PARTITION = Law(
    "self.target.kind != 'Node' || !has(self.partitionField)"
    " || !(self.partitionField in ['namespace', 'workload'])",
    "nodes have neither namespace nor workload; partition by node, zone, instance-type or a label",
    "partitionField",
)
NODE_BY = Law(
    "self.target.kind != 'Node'"
    " || !self.detectors.exists(d, has(d.by) && d.by in ['pod', 'workload', 'container'])",
    "a detector over nodes is by node or by category",
    "detectors",
)
CATEGORY_METRIC = Law(
    f"self.detectors.all(d, {_CATEGORY} == (d.metric == 'events'))",
    "metric events is by: category, and by: category is for metric events",
    "detectors",
)
CATEGORY_FUNCTION = Law(
    f"self.detectors.all(d, {_CATEGORY} =="
    f" ({function_of('d')} in ['count', 'high_count', 'low_count', 'rare']))",
    "count, high_count, low_count and rare are the functions for by: category, and nothing else's",
    "detectors",
)
RARE_CONDITIONS = Law(
    "self.detectors.all(d, !has(d.__function__) || d.__function__ != 'rare'"
    " || !has(d.customRules) || d.customRules.all(r, !has(r.conditions)"
    " || r.conditions.all(c, c.appliesTo == 'time')))",
    "function rare only supports conditions that apply to time",
    "detectors",
)
DUPLICATE_DETECTORS = Law(
    "self.detectors.all(d, self.detectors.exists_one(e, d.metric == e.metric"
    f" && {function_of('d')} == {function_of('e')} && {by_of('d')} == {by_of('e')}))",
    "two detectors have the same metric, function and by; leave one out",
    "detectors",
)
SCOPE_FIELDS = Law(
    "self.detectors.all(d, !has(d.customRules) || d.customRules.all(r, !has(r.scope)"
    f" || r.scope.all(f, f == {by_of('d')}"
    " || (has(self.partitionField) && f == self.partitionField))))",
    "a rule's scope can only use the detector's by field and the partition field",
    "detectors",
)
FREQUENCY = Law(
    f"!has(self.frequency) || {seconds('self.frequency')} <= {_SPAN}",
    "must not be longer than bucketSpan",
    "frequency",
)
PRUNE_MULTIPLE = Law(
    f"!has(self.modelPruneWindow) || {_SPAN} == 0 || {_PRUNE} % {_SPAN} == 0",
    "must be a multiple of bucketSpan",
    "modelPruneWindow",
)
PRUNE_AT_LEAST = Law(
    f"!has(self.modelPruneWindow) || {_PRUNE} >= 2 * {_SPAN}",
    "must be at least 2 times bucketSpan",
    "modelPruneWindow",
)
DAILY_RETENTION = Law(
    "self.dailyModelSnapshotRetentionAfterDays <= self.modelSnapshotRetentionDays",
    "must not be greater than modelSnapshotRetentionDays",
    "dailyModelSnapshotRetentionAfterDays",
)
STOP_ON_WARN = Law(
    "!self.perPartitionCategorization.stopOnWarn || self.perPartitionCategorization.enabled",
    "cannot be true when perPartitionCategorization.enabled is false",
    "perPartitionCategorization.stopOnWarn",
)
PER_PARTITION = Law(
    "!self.perPartitionCategorization.enabled || (has(self.partitionField)"
    f" && self.detectors.exists(d, {_CATEGORY}))",
    "needs a detector by: category and a partitionField",
    "perPartitionCategorization.enabled",
)
WINDOW_NAMES = Law(
    "!has(self.maintenanceWindows)"
    " || self.maintenanceWindows.all(w, self.maintenanceWindows.exists_one(v, v.name == w.name))",
    "two maintenance windows have the same name",
    "maintenanceWindows",
)

SPEC_LAWS = (
    NODE_NAMESPACES,
    NODE_NAMESPACE_SELECTOR,
    NODE_PARTITION,
    NODE_BY,
    CATEGORY_METRIC,
    CATEGORY_FUNCTION,
    RARE_CONDITIONS,
    DUPLICATE_DETECTORS,
    SCOPE_FIELDS,
    FREQUENCY,
    PRUNE_MULTIPLE,
    PRUNE_AT_LEAST,
    DAILY_RETENTION,
    STOP_ON_WARN,
    PER_PARTITION,
    WINDOW_NAMES,
)


def problems_of_spec(spec: AnomalyDetectorSpec) -> list[Problem]:
    """Find everything that fields of a spec demand of each other and do not get."""
    return [
        *_node_problems(spec),
        *_detector_problems(spec),
        *_time_problems(spec),
        *_categorization_problems(spec),
        *_window_problems(spec),
    ]


def _broken(law: Law, path: str = "", *, what: str = "") -> Problem:
    return Problem(path or law.field, f"{what} {law.message}" if what else law.message)


def _node_problems(spec: AnomalyDetectorSpec) -> Iterator[Problem]:
    if spec.target.kind != "Node":
        return
    if spec.target.namespaces:
        yield _broken(NODE_NAMESPACES)
    if spec.target.namespace_selector is not None:
        yield _broken(NODE_NAMESPACE_SELECTOR)
    if spec.partition_field in POD_ONLY_PARTITIONS:
        yield _broken(NODE_PARTITION)
    for index, detector in enumerate(spec.detectors):
        if detector.by in POD_ONLY_BY:
            yield _broken(NODE_BY, f"detectors[{index}].by")


def _detector_problems(spec: AnomalyDetectorSpec) -> Iterator[Problem]:
    kind = spec.target.kind
    seen = Counter[tuple[str, str, str]]()
    for index, detector in enumerate(spec.detectors):
        path = f"detectors[{index}]"
        identity = (detector.metric, detector.effective_function, detector.effective_by(kind))
        if seen[identity]:
            yield _broken(DUPLICATE_DETECTORS, path)
        seen[identity] += 1
        is_category = detector.effective_by(kind) == "category"
        if is_category != (detector.metric == EVENTS_METRIC):
            yield _broken(CATEGORY_METRIC, f"{path}.by")
        if is_category != (detector.effective_function in EVENT_FUNCTIONS):
            yield _broken(CATEGORY_FUNCTION, f"{path}.function")
        yield from _rule_problems(detector, path, (detector.effective_by(kind), spec))


def _rule_problems(
    detector: Detector, path: str, context: tuple[str, AnomalyDetectorSpec]
) -> Iterator[Problem]:
    by, spec = context
    fields = [by, *([spec.partition_field] if spec.partition_field else [])]
    for index, rule in enumerate(detector.custom_rules):
        here = f"{path}.customRules[{index}]"
        if detector.function == "rare":
            for at, condition in enumerate(rule.conditions):
                if condition.applies_to != "time":
                    yield _broken(RARE_CONDITIONS, f"{here}.conditions[{at}].appliesTo")
        for name in rule.scope:
            if name not in fields:
                text = f"'{name}' is neither by nor partitionField; choose from {', '.join(fields)}"
                yield Problem(f"{here}.scope", text)


def _time_problems(spec: AnomalyDetectorSpec) -> Iterator[Problem]:
    span = spec.bucket_span
    shown = format_duration(span)
    if spec.frequency is not None and spec.frequency > span:
        spent = format_duration(spec.frequency)
        yield Problem(FREQUENCY.field, f"{spent} {FREQUENCY.message} ({shown})")
    if spec.model_prune_window is not None:
        spent = format_duration(spec.model_prune_window)
        if spec.model_prune_window % span:
            yield Problem(PRUNE_MULTIPLE.field, f"{spent} {PRUNE_MULTIPLE.message} ({shown})")
        if spec.model_prune_window < 2 * span:
            yield Problem(PRUNE_AT_LEAST.field, f"{spent} {PRUNE_AT_LEAST.message} ({shown})")
    daily, kept = spec.daily_model_snapshot_retention_after_days, spec.model_snapshot_retention_days
    if daily > kept:
        yield Problem(DAILY_RETENTION.field, f"{daily} {DAILY_RETENTION.message} ({kept})")


def _categorization_problems(spec: AnomalyDetectorSpec) -> Iterator[Problem]:
    settings = spec.per_partition_categorization
    if settings.stop_on_warn and not settings.enabled:
        yield _broken(STOP_ON_WARN)
    has_category = any(d.effective_by(spec.target.kind) == "category" for d in spec.detectors)
    if settings.enabled and not (spec.partition_field and has_category):
        yield _broken(PER_PARTITION)


def _window_problems(spec: AnomalyDetectorSpec) -> Iterator[Problem]:
    names = [window.name for window in spec.maintenance_windows]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield _broken(WINDOW_NAMES, f"maintenanceWindows[{index}].name")


def filters_of(spec: AnomalyDetectorSpec) -> Mapping[str, str]:
    """AnomalyFilters that a spec names, each with the path of its first use."""
    used: dict[str, str] = {}
    for d, detector in enumerate(spec.detectors):
        for r, rule in enumerate(detector.custom_rules):
            for name, scope in rule.scope.items():
                if scope.filter_id:
                    path = f"spec.detectors[{d}].customRules[{r}].scope.{name}.filterId"
                    used.setdefault(scope.filter_id, path)
    for w, window in enumerate(spec.maintenance_windows):
        for name, scope in window.scope.items():
            if scope.filter_id:
                path = f"spec.maintenanceWindows[{w}].scope.{name}.filterId"
                used.setdefault(scope.filter_id, path)
    return used
