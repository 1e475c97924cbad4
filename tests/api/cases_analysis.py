"""Cases of what is analysed: the target, the detectors, their rules."""

from __future__ import annotations

from tests.api.cases import (
    ACCEPTS,
    AT_LEAST,
    DUPLICATE,
    ENUM,
    EVENTS,
    LOW_MEMORY,
    MATCH,
    REQUIRED,
    TOO_MANY,
    TOO_SHORT,
    TYPE,
    Case,
    detector,
    one,
    ruled,
)

_SPAN = (
    "is not a duration in whole seconds; use numbers with d, h, m and s, in this order, such as 15m"
    " or 1h30m"
)
_LABEL = "is not a name: lower case letters, digits and hyphens, a letter or digit at both ends"
_SELECTOR = "In and NotIn need values; Exists and DoesNotExist take none"
_RULE = "spec.detectors[0].customRules[0]"
_EVENT_METRIC = "metric events is by: category, and by: category is for metric events"
_EVENT_FUNCTION = (
    "count, high_count, low_count and rare are the functions for by: category, and nothing else's"
)

TARGET_CASES = (
    Case("pods of some namespaces", detector(target={"kind": "Pod", "namespaces": ["a", "b"]})),
    Case(
        "nodes by label", detector(target={"kind": "Node", "selector": {"matchLabels": {"a": "b"}}})
    ),
    Case("nodes by name", detector(target={"kind": "Node", "nodeNames": ["n-1", "n-2.example"]})),
    Case("no target", detector(target=None), "spec.target", "is required", REQUIRED),
    Case(
        "a kind that is not known",
        detector(target={"kind": "Service"}),
        "spec.target.kind",
        "'Service' is not one of Pod, Node",
        ENUM,
    ),
    Case(
        "a namespace that cannot be",
        detector(target={"kind": "Pod", "namespaces": ["A"]}),
        "spec.target.namespaces[0]",
        f"'A' {_LABEL}",
        MATCH,
    ),
    Case(
        "a namespace twice",
        detector(target={"kind": "Pod", "namespaces": ["a", "b", "a"]}),
        "spec.target.namespaces",
        "a stands more than once; every entry must be different",
        DUPLICATE,
        "spec.target.namespaces[2]",
    ),
    Case(
        "too many namespaces",
        detector(target={"kind": "Pod", "namespaces": [f"n{i}" for i in range(65)]}),
        "spec.target.namespaces",
        "has more than the 64 entries that are allowed",
        TOO_MANY,
    ),
    Case(
        "nodes in namespaces",
        detector(target={"kind": "Node", "namespaces": ["a"]}),
        "spec.target.namespaces",
        "nodes have no namespace; leave namespaces out or make target.kind Pod",
    ),
    Case(
        "nodes in namespaces by label",
        detector(target={"kind": "Node", "namespaceSelector": {"matchLabels": {"a": "b"}}}),
        "spec.target.namespaceSelector",
        "nodes have no namespace; leave namespaceSelector out or make target.kind Pod",
    ),
    Case(
        "an expression with values",
        detector(
            target={
                "kind": "Pod",
                "selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
            }
        ),
    ),
    Case(
        "In without values",
        detector(
            target={
                "kind": "Pod",
                "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]},
            }
        ),
        "spec.target.selector.matchExpressions[0].values",
        _SELECTOR,
    ),
    Case(
        "Exists with values",
        detector(
            target={
                "kind": "Pod",
                "selector": {
                    "matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]
                },
            }
        ),
        "spec.target.selector.matchExpressions[0].values",
        _SELECTOR,
    ),
)

ANALYSIS_CASES = (
    Case("a source by name", detector(sourceRef={"name": "prometheus"})),
    Case(
        "a source without a name",
        detector(sourceRef={}),
        "spec.sourceRef.name",
        "is required",
        REQUIRED,
    ),
    Case("a start", detector(start="2024-05-01T10:00:00Z")),
    Case(
        "a start that is no time",
        detector(start="yesterday"),
        "spec.start",
        "'yesterday' is not an RFC 3339 time; write it such as 2024-05-01T10:00:00Z",
        "date-time",
    ),
    Case("a bucket span of a second", detector(bucketSpan="1s")),
    Case("a compound bucket span", detector(bucketSpan="1h30m")),
    Case(
        "a bucket span of nothing",
        detector(bucketSpan="0s"),
        "spec.bucketSpan",
        "0s must be between 1s and 1d",
        "must be between 1s and 1d",
    ),
    Case(
        "a bucket span of two days",
        detector(bucketSpan="2d"),
        "spec.bucketSpan",
        "2d must be between 1s and 1d",
        "must be between 1s and 1d",
    ),
    Case(
        "a bucket span in milliseconds",
        detector(bucketSpan="900000ms"),
        "spec.bucketSpan",
        f"'900000ms' {_SPAN}",
        MATCH,
    ),
    Case(
        "a bucket span as a number",
        detector(bucketSpan=900),
        "spec.bucketSpan",
        "900 is not a duration; write it as a string such as 15m or 1h30m",
        TYPE,
    ),
    Case("a partition by label", detector(partitionField="example.com/tier")),
    Case(
        "a partition that is no label",
        detector(partitionField="a b"),
        "spec.partitionField",
        "'a b' is not a label key, such as app or example.com/tier",
        MATCH,
    ),
    Case(
        "nodes partitioned by namespace",
        detector(target={"kind": "Node"}, partitionField="namespace"),
        "spec.partitionField",
        "nodes have neither namespace nor workload; partition by node, zone, instance-type or a"
        " label",
    ),
    Case("influencers", detector(influencers=["namespace", "app"])),
    Case(
        "an influencer twice",
        detector(influencers=["node", "node"]),
        "spec.influencers",
        "node stands more than once; every entry must be different",
        DUPLICATE,
        "spec.influencers[1]",
    ),
    Case("no query delay", detector(queryDelay="0s")),
    Case(
        "a query delay of two days",
        detector(queryDelay="2d"),
        "spec.queryDelay",
        "2d must be between 0s and 1d",
        "must be between 0s and 1d",
    ),
    Case("a frequency of a bucket span", detector(frequency="15m")),
    Case(
        "a frequency of nothing",
        detector(frequency="0s"),
        "spec.frequency",
        "0s must be between 1s and 1d",
        "must be between 1s and 1d",
    ),
    Case(
        "a frequency longer than a bucket span",
        detector(frequency="16m"),
        "spec.frequency",
        "16m must not be longer than bucketSpan (15m)",
        "must not be longer than bucketSpan",
    ),
)

DETECTOR_CASES = (
    Case(
        "every function over metrics",
        detector(
            detectors=[
                {"metric": "memory_usage", "function": f"{side}{name}"}
                for side in ("", "high_", "low_")
                for name in ("mean", "max", "min", "sum", "median")
            ]
        ),
    ),
    Case("no detectors", detector(detectors=None), "spec.detectors", "is required", REQUIRED),
    Case(
        "an empty list of detectors",
        detector(detectors=[]),
        "spec.detectors",
        "has 0 entries; at least 1 needed",
        "should have at least 1 items",
    ),
    Case(
        "seventeen detectors",
        detector(detectors=[{"metric": f"m{i}"} for i in range(17)]),
        "spec.detectors",
        "has more than the 16 entries that are allowed",
        TOO_MANY,
    ),
    Case(
        "a metric that cannot be",
        one(metric="memory-usage"),
        "spec.detectors[0].metric",
        "'memory-usage' is not a metric or label name: letters, digits and underscores, no digit"
        " first",
        MATCH,
    ),
    Case(
        "an empty metric",
        one(metric=""),
        "spec.detectors[0].metric",
        "must not be empty",
        TOO_SHORT,
    ),
    Case(
        "a function that is not known",
        one(function="avg"),
        "spec.detectors[0].function",
        "'avg' is not one of mean, max, min, sum, median, high_mean, high_max, high_min, high_sum,"
        " high_median, low_mean, low_max, low_min, low_sum, low_median, count, high_count,"
        " low_count, rare",
        ENUM,
    ),
    Case(
        "nodes by pod",
        detector(target={"kind": "Node"}, detectors=[{"metric": "memory_usage", "by": "pod"}]),
        "spec.detectors[0].by",
        "a detector over nodes is by node or by category",
        field="spec.detectors",
    ),
    Case("containers", one(by="container")),
    Case(
        "the same detector twice",
        detector(detectors=[{"metric": "memory_usage"}, {"metric": "memory_usage", "by": "pod"}]),
        "spec.detectors[1]",
        "two detectors have the same metric, function and by; leave one out",
        field="spec.detectors",
    ),
    Case(
        "the same metric by other entities",
        detector(
            detectors=[{"metric": "memory_usage"}, {"metric": "memory_usage", "by": "workload"}]
        ),
    ),
    Case(
        "a field that is not known",
        one(funktion="max"),
        "spec.detectors[0].funktion",
        "unknown field; did you mean function?",
        ACCEPTS,
    ),
    Case("a deviation that matters", one(minDeviation={"absolute": 1e6, "relative": 0.1})),
    Case(
        "a negative deviation",
        one(minDeviation={"absolute": -1}),
        "spec.detectors[0].minDeviation.absolute",
        "-1 is less than 0.0",
        AT_LEAST,
    ),
    Case(
        "events in categories",
        detector(detectors=[EVENTS, {"metric": "events", "function": "rare"}]),
    ),
    Case(
        "a category of a metric",
        one(by="category", function="count"),
        "spec.detectors[0].by",
        _EVENT_METRIC,
        field="spec.detectors",
    ),
    Case(
        "events by pod",
        detector(detectors=[{"metric": "events", "by": "pod", "function": "mean"}]),
        "spec.detectors[0].by",
        _EVENT_METRIC,
        field="spec.detectors",
    ),
    Case(
        "a count of a metric",
        one(function="count"),
        "spec.detectors[0].function",
        _EVENT_FUNCTION,
        field="spec.detectors",
    ),
    Case(
        "the mean of events",
        detector(detectors=[{**EVENTS, "function": "mean"}]),
        "spec.detectors[0].function",
        _EVENT_FUNCTION,
        field="spec.detectors",
    ),
)

RULE_CASES = (
    Case("a rule with a condition", ruled(conditions=[LOW_MEMORY])),
    Case("a rule with a scope", ruled(scope={"pod": {"filterId": "noisy"}})),
    Case(
        "a rule over the partition",
        detector(
            partitionField="namespace",
            detectors=[
                {
                    "metric": "memory_usage",
                    "customRules": [
                        {"scope": {"namespace": {"values": ["kube-*"], "filterType": "exclude"}}}
                    ],
                }
            ],
        ),
    ),
    Case(
        "a rule with neither",
        ruled(actions=["skip_result"]),
        _RULE,
        "a rule needs a scope or at least one condition",
    ),
    Case(
        "a rule that does nothing",
        ruled(actions=[], conditions=[LOW_MEMORY]),
        f"{_RULE}.actions",
        "has 0 entries; at least 1 needed",
        "should have at least 1 items",
    ),
    Case(
        "an action that is not known",
        ruled(actions=["force_time_shift"], conditions=[LOW_MEMORY]),
        f"{_RULE}.actions[0]",
        "'force_time_shift' is not one of skip_result, skip_model_update",
        ENUM,
    ),
    Case(
        "an action twice",
        ruled(actions=["skip_result", "skip_result"], conditions=[LOW_MEMORY]),
        f"{_RULE}.actions",
        "skip_result stands more than once; every entry must be different",
        DUPLICATE,
        f"{_RULE}.actions[1]",
    ),
    Case(
        "a condition on what is not there",
        ruled(conditions=[{**LOW_MEMORY, "appliesTo": "typicl"}]),
        f"{_RULE}.conditions[0].appliesTo",
        "'typicl' is not one of actual, typical, diff_from_typical, ratio_to_typical, time",
        ENUM,
    ),
    Case(
        "an operator that is not known",
        ruled(conditions=[{**LOW_MEMORY, "operator": "<"}]),
        f"{_RULE}.conditions[0].operator",
        "'<' is not one of gt, gte, lt, lte",
        ENUM,
    ),
    Case(
        "a value that is no number",
        ruled(conditions=[{**LOW_MEMORY, "value": "0.1"}]),
        f"{_RULE}.conditions[0].value",
        "'0.1' is not a number",
        TYPE,
    ),
    Case(
        "a condition without a value",
        ruled(conditions=[{"appliesTo": "actual", "operator": "lt"}]),
        f"{_RULE}.conditions[0].value",
        "is required",
        REQUIRED,
    ),
    Case(
        "a scope over a field that the detector has not",
        ruled(scope={"zone": {"filterId": "a"}}),
        f"{_RULE}.scope",
        "'zone' is neither by nor partitionField; choose from pod",
        "a rule's scope can only use the detector's by field and the partition field",
        "spec.detectors",
    ),
    Case(
        "a scope with a filter and values",
        ruled(scope={"pod": {"filterId": "a", "values": ["b"]}}),
        f"{_RULE}.scope.pod",
        "give either filterId or values, and not both",
        field=f"{_RULE}.scope[pod]",
    ),
    Case(
        "a scope with neither filter nor values",
        ruled(scope={"pod": {}}),
        f"{_RULE}.scope.pod",
        "give either filterId or values, and not both",
        field=f"{_RULE}.scope[pod]",
    ),
    Case(
        "a wildcard in the middle",
        ruled(scope={"pod": {"values": ["a*b"]}}),
        f"{_RULE}.scope.pod.values[0]",
        "'a*b' may have * only at its start and its end, and must have more than that",
        MATCH,
    ),
    Case(
        "rare with a condition on the value",
        detector(
            detectors=[
                {
                    "metric": "events",
                    "function": "rare",
                    "customRules": [{"conditions": [LOW_MEMORY]}],
                }
            ]
        ),
        f"{_RULE}.conditions[0].appliesTo",
        "function rare only supports conditions that apply to time",
        field="spec.detectors",
    ),
)
