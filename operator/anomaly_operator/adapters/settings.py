"""What the engine must know of an AnomalyDetector: the API model in, plain engine values out.

Worker and backtest both come through here, so that a backtest is the live engine unchanged. Names
are resolved (filters become their items), defaults that hang on other fields are filled in, and
maintenance windows become absolute intervals over a horizon: the engine has no clock and knows no
cron. A worker calls again before its horizon runs out, and hands the result to ``Engine.update``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from anomaly_operator.adapters.windows import intervals
from anomaly_operator.api.v1alpha1.analysis import Detector
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.rules import CustomRule, MaintenanceWindow, ScopeFilter
from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Condition,
    DetectorSettings,
    Rule,
    RuleAction,
    Scope,
    Side,
    Window,
)
from anomaly_operator.errors import Problem, SpecError
from anomaly_operator.ports import MetricInfo

DAY_S = 86400.0
# Lasting state is kept this long unless the spec says otherwise; Elastic's numbers.
LASTING_DAYS = 30
RENORMALIZATION_BUCKETS = 100
PRUNE_BUCKETS = 20

Filters = Mapping[str, Sequence[str]]
"""Items of each AnomalyFilter in the detector's namespace, by name."""


def analysis_settings(
    spec: AnomalyDetectorSpec,
    filters: Filters,
    *,
    catalogue: Mapping[str, MetricInfo],
    horizon_s: tuple[float, float],
) -> AnalysisSettings:
    """Translate a spec; windows are expanded over ``horizon_s`` (from, to; epoch seconds).

    Raises
    ------
    SpecError
        Where a rule or window names a filter that is not there; names every one.
    """
    problems = missing_filters(spec, filters)
    if problems:
        raise SpecError(problems, reason="FilterNotFound")
    span_s = spec.bucket_span.total_seconds()
    return AnalysisSettings(
        span_s=span_s,
        detectors=tuple(
            detector_settings(spec, index, filters=filters, info=catalogue.get(detector.metric))
            for index, detector in enumerate(spec.detectors)
        ),
        influencers=influencers(spec),
        windows=tuple(window(one, filters, horizon_s) for one in spec.maintenance_windows),
        model_memory_limit_bytes=spec.analysis_limits.model_memory_limit,
        renormalization_window_s=renormalization_window_s(spec),
        prune_window_s=prune_window_s(spec),
    )


def detector_settings(
    spec: AnomalyDetectorSpec, index: int, *, filters: Filters, info: MetricInfo | None
) -> DetectorSettings:
    """Translate one detector; ``info`` is its metric's catalogue entry, where there is one."""
    detector = spec.detectors[index]
    deviation = detector.min_deviation
    return DetectorSettings(
        index=index,
        metric=detector.metric,
        function=detector.effective_function,
        side=side(detector.effective_function),
        field_name=info.name if info else detector.metric,
        non_negative=info.non_negative if info else False,
        resolution=info.resolution if info else 0.0,
        min_deviation_absolute=(deviation.absolute or 0.0) if deviation else 0.0,
        min_deviation_relative=(deviation.relative or 0.0) if deviation else 0.0,
        by=detector.effective_by(spec.target.kind),
        partition_field=spec.partition_field or "",
        rules=tuple(rule(one, filters) for one in detector.custom_rules),
    )


def side(function: str) -> Side:
    """One-sided where the name begins with ``high_`` or ``low_``, two-sided otherwise.

    Elastic's plain ``max`` looks upwards only, so a service that falls silent is never seen; here
    that is asked for by name.
    """
    if function.startswith("high_"):
        return Side.HIGH
    return Side.LOW if function.startswith("low_") else Side.BOTH


def base_function(function: str) -> str:
    """How samples become a value: the function without the side it looks at."""
    return function.removeprefix("high_").removeprefix("low_")


def influencers(spec: AnomalyDetectorSpec) -> tuple[str, ...]:
    """Labels that may carry a bucket's anomaly: the spec's, or those that its entities have."""
    if spec.influencers is not None:
        return tuple(spec.influencers)
    if spec.target.kind == "Node":
        labels = ["node"]
    else:
        finer = [by for by in by_fields(spec) if by not in {"node", "category"}]
        labels = ["namespace", "node", "workload"]
        labels += [label for label in ("pod", "container") if label in finer]
        if "container" in finer and "pod" not in labels:
            labels.insert(3, "pod")
    if spec.partition_field and spec.partition_field not in labels:
        labels.append(spec.partition_field)
    return tuple(labels)


def by_fields(spec: AnomalyDetectorSpec) -> tuple[str, ...]:
    """Give the by field of each detector, defaults filled in."""
    return tuple(detector.effective_by(spec.target.kind) for detector in spec.detectors)


def renormalization_window_s(spec: AnomalyDetectorSpec) -> float:
    """Seconds; 0 switches renormalisation off."""
    if spec.renormalization_window_days is not None:
        return spec.renormalization_window_days * DAY_S
    buckets_s = RENORMALIZATION_BUCKETS * spec.bucket_span.total_seconds()
    return max(LASTING_DAYS * DAY_S, buckets_s)


def prune_window_s(spec: AnomalyDetectorSpec) -> float:
    """Seconds without a sample after which a model goes."""
    if spec.model_prune_window is not None:
        return spec.model_prune_window.total_seconds()
    return max(timedelta(days=LASTING_DAYS), PRUNE_BUCKETS * spec.bucket_span).total_seconds()


def rule(model: CustomRule, filters: Filters) -> Rule:
    """Translate one custom rule, with its filters' items in place of their names."""
    return Rule(
        actions=frozenset(RuleAction(action) for action in model.actions),
        conditions=tuple(
            Condition(
                applies_to=condition.applies_to,
                operator=condition.operator,
                value=float(condition.value),
            )
            for condition in model.conditions
        ),
        scopes=scopes(model.scope, filters),
    )


def window(model: MaintenanceWindow, filters: Filters, horizon_s: tuple[float, float]) -> Window:
    """Translate one maintenance window, its occurrences within the horizon spelt out."""
    return Window(
        name=model.name,
        intervals=intervals(model, horizon_s),
        actions=frozenset(RuleAction(action) for action in model.actions),
        scopes=scopes(model.scope, filters),
    )


def scopes(scope: Mapping[str, ScopeFilter], filters: Filters) -> tuple[Scope, ...]:
    """Translate a scope: every field's patterns, written in place or taken from a filter."""
    return tuple(
        Scope(
            field=field,
            patterns=tuple(filters[one.filter_id]) if one.filter_id else one.values,
            exclude=one.filter_type == "exclude",
        )
        for field, one in sorted(scope.items())
    )


def missing_filters(spec: AnomalyDetectorSpec, filters: Filters) -> list[Problem]:
    """Every place that names a filter which is not there."""
    places: list[tuple[str, Mapping[str, ScopeFilter]]] = []
    for index, detector in enumerate(spec.detectors):
        places += rule_scopes(index, detector)
    for index, one in enumerate(spec.maintenance_windows):
        places.append((f"spec.maintenanceWindows[{index}].scope", one.scope))
    return [
        Problem(
            f"{path}.{field}.filterId",
            f"AnomalyFilter '{one.filter_id}' is not in the detector's namespace; "
            "create it, or write the values in place",
        )
        for path, scope in places
        for field, one in scope.items()
        if one.filter_id and one.filter_id not in filters
    ]


def rule_scopes(index: int, detector: Detector) -> list[tuple[str, Mapping[str, ScopeFilter]]]:
    """Scopes of a detector's rules, each with its path."""
    return [
        (f"spec.detectors[{index}].customRules[{position}].scope", one.scope)
        for position, one in enumerate(detector.custom_rules)
    ]
