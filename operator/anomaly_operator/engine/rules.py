"""Custom rules, maintenance windows, scopes and minimum deviations, inside the step.

Rules and windows are turned into arrays once per set of series and buckets; the kernel then asks
``rule_that_applies`` for every judged value.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.compiled import inlined
from anomaly_operator.engine.contract import (
    Condition,
    Rule,
    RuleAction,
    Scope,
    SeriesSet,
    Window,
)

SKIP_RESULT = 1
SKIP_LEARNING = 2
CUT_SHORT = 32767  # who mutes a planned end: neither a rule nor a window, and it is not told
RULE_WEIGHT = 0.005  # not 0: a rule that is wrong must not starve a model

_APPLIES_TO = {"actual": 0, "typical": 1, "diff_from_typical": 2, "ratio_to_typical": 3, "time": 4}
_OPERATOR = {"gt": 0, "gte": 1, "lt": 2, "lte": 3}


def action_bits(actions: frozenset[RuleAction]) -> int:
    """A set of actions as bits."""
    bits = SKIP_RESULT if RuleAction.SKIP_RESULT in actions else 0
    return bits | (SKIP_LEARNING if RuleAction.SKIP_MODEL_UPDATE in actions else 0)


def matches(pattern: str, text: str) -> bool:
    """Whether ``text`` is the literal ``pattern``, or fits its leading or trailing ``*``.

    >>> matches("web-*", "web-1"), matches("*-db", "web-1"), matches("*eb*", "web-1")
    (True, False, True)
    """
    core = pattern.strip("*") if len(pattern) > 1 else pattern.replace("*", "")
    starts, ends = pattern.startswith("*"), pattern.endswith("*")
    if starts and ends:
        return core in text
    if starts:
        return text.endswith(core)
    return text.startswith(core) if ends else text == pattern


def in_scope(scopes: tuple[Scope, ...], series: SeriesSet) -> NDArray[np.bool_]:
    """(S,): which series every scope lets through."""
    chosen = np.ones(len(series.keys), dtype=bool)
    for scope in scopes:
        hits = np.array(
            [
                any(matches(p, labels.get(scope.field, "")) for p in scope.patterns)
                for labels in series.labels
            ],
            dtype=bool,
        )
        chosen &= ~hits if scope.exclude else hits
    return chosen


def rule_arrays(
    rules: tuple[Rule, ...], series: SeriesSet
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]]:
    """Scopes (rules, S), conditions (n, 4) as rule, what, operator, value; action bits (rules,)."""
    scopes = np.ones((len(rules), len(series.keys)), dtype=bool)
    conditions: list[tuple[float, float, float, float]] = []
    for i, rule in enumerate(rules):
        scopes[i] = in_scope(rule.scopes, series)
        conditions += [_condition_row(i, condition) for condition in rule.conditions]
    table = np.array(conditions, dtype=np.float64).reshape(-1, 4)
    return scopes, table, np.array([action_bits(rule.actions) for rule in rules], dtype=np.int64)


def _condition_row(rule: int, condition: Condition) -> tuple[float, float, float, float]:
    return (
        float(rule),
        float(_APPLIES_TO[condition.applies_to]),
        float(_OPERATOR[condition.operator]),
        condition.value,
    )


def window_arrays(
    windows: tuple[Window, ...], series: SeriesSet
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Scopes (windows, S) and action bits (windows,)."""
    scopes = np.ones((len(windows), len(series.keys)), dtype=bool)
    for i, window in enumerate(windows):
        scopes[i] = in_scope(window.scopes, series)
    return scopes, np.array([action_bits(w.actions) for w in windows], dtype=np.int64)


def windows_active(
    windows: tuple[Window, ...], starts_s: NDArray[np.float64], span_s: float
) -> NDArray[np.bool_]:
    """(windows, T): which buckets a window touches, wholly or in part."""
    active = np.zeros((len(windows), len(starts_s)), dtype=bool)
    for i, window in enumerate(windows):
        for begin, end in window.intervals:
            active[i] |= (starts_s < end) & (starts_s + span_s > begin)
    return active


@inlined
def holds(operator: float, left: float, right: float) -> bool:
    """One comparison."""
    if operator == 0.0:
        return left > right
    if operator == 1.0:
        return left >= right
    if operator == 2.0:
        return left < right
    return left <= right


@inlined
def rule_that_applies(
    s: int,
    t: int,
    actual: float,
    typical: float,
    time_s: float,
    scopes: NDArray[np.bool_],
    conditions: NDArray[np.float64],
    actions: NDArray[np.int64],
    window_scopes: NDArray[np.bool_],
    window_active: NDArray[np.bool_],
    window_actions: NDArray[np.int64],
    cut_short: bool,
    inside: bool,
) -> tuple[int, float]:
    """Who mutes this value (0 nobody, i + 1 rule i, -i - 1 window i) and its weight in learning.

    What a planned end has cut short is no news of the series, and teaches nothing unless it is
    ``inside`` the bounds: then it was hardly cut.
    """
    if cut_short:
        return CUT_SHORT, 1.0 if inside else 0.0
    muted = 0
    weight = 1.0
    for i in range(len(actions)):
        if not scopes[i, s]:
            continue
        applies = True
        for j in range(len(conditions)):
            if conditions[j, 0] != i:
                continue
            what = conditions[j, 1]
            left = actual
            if what == 1.0:
                left = typical
            elif what == 2.0:
                left = abs(actual - typical)
            elif what == 3.0:
                left = actual / typical if typical != 0.0 else math.copysign(math.inf, actual)
            elif what == 4.0:
                left = time_s
            if not holds(conditions[j, 2], left, conditions[j, 3]):
                applies = False
        if applies:
            if actions[i] & SKIP_LEARNING:
                weight = RULE_WEIGHT
            if actions[i] & SKIP_RESULT and muted == 0:
                muted = i + 1
    for i in range(len(window_actions)):
        if window_scopes[i, s] and window_active[i, t]:
            if window_actions[i] & SKIP_LEARNING:
                weight = 0.0
            if window_actions[i] & SKIP_RESULT:
                muted = -i - 1
    return muted, weight
