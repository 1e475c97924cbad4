"""What the engine must know of an AnomalyDetector: the API model in, plain engine values out.

Worker and backtest both come through here, so that a backtest is the live engine unchanged. Names
are resolved (filters become their items), defaults that hang on other fields are filled in, and
maintenance windows become absolute intervals over a horizon: the engine has no clock and knows no
cron. A worker calls again before its horizon runs out, and hands the result to ``Engine.update``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from anomaly_operator.adapters.windows import intervals
from anomaly_operator.api.v1alpha1.analysis import Detector
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.defaults import default_prune_window, with_defaults
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
_EPOCH = datetime.fromtimestamp(0, UTC)

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
    # A worker's job has its defaults resolved; here that changes nothing.
    spec = with_defaults(spec, created=spec.start or _EPOCH, uid="")
    prune_window = spec.model_prune_window or default_prune_window(spec.bucket_span)
    span_s = spec.bucket_span.total_seconds()
    return AnalysisSettings(
        span_s=span_s,
        detectors=tuple(
            detector_settings(spec, index, filters=filters, info=catalogue.get(detector.metric))
            for index, detector in enumerate(spec.detectors)
        ),
        influencers=tuple(spec.influencers or ()),
        windows=tuple(window(one, filters, horizon_s) for one in spec.maintenance_windows),
        model_memory_limit_bytes=spec.analysis_limits.model_memory_limit,
        renormalization_window_s=(spec.renormalization_window_days or 0) * DAY_S,
        prune_window_s=prune_window.total_seconds(),
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
