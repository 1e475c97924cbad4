"""Cases of changes: what can be updated, what cannot, and the memory limit against what is held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.api.cases import EVENTS, LOW_MEMORY, Update, detector

_IMMUTABLE = (
    "cannot be changed after creation; create another detector, or delete and recreate this one"
    " (its anomalies go with it)"
)
_MIB = 2**20
_LIMIT = "spec.analysisLimits.modelMemoryLimit"

_FIXED: dict[str, tuple[Any, Any]] = {
    "sourceRef": ({"name": "a"}, {"name": "b"}),
    "start": ("2024-05-01T10:00:00Z", "2024-05-02T10:00:00Z"),
    "partitionField": ("namespace", "zone"),
    "influencers": (["node"], ["node", "namespace"]),
    "frequency": ("5m", "6m"),
}
"""Fields that may be unset: two values each."""


def _refused(
    name: str, old: dict[str, Any], new: dict[str, Any], *, field: str, path: str = ""
) -> Update:
    named = field.replace("detectors.", "detectors[].")
    return Update(
        name,
        detector(**old),
        detector(**new),
        path or f"spec.{field}",
        f"{named} {_IMMUTABLE}",
        field="spec.detectors" if field.startswith("detectors") else f"spec.{field}",
    )


def _optional() -> Iterator[Update]:
    for field, (one, other) in _FIXED.items():
        yield _refused(f"{field} changed", {field: one}, {field: other}, field=field)
        yield _refused(f"{field} added", {}, {field: one}, field=field)
        yield _refused(f"{field} removed", {field: one}, {}, field=field)


def _targets() -> Iterator[Update]:
    lists: dict[str, tuple[Any, Any]] = {
        "namespaces": (["a"], ["a", "b"]),
        "nodeNames": (["n1"], ["n2"]),
        "namespaceSelector": ({"matchLabels": {"a": "b"}}, {"matchLabels": {"a": "c"}}),
        "selector": ({"matchLabels": {"a": "b"}}, {"matchLabels": {"a": "c"}}),
    }
    for name, (one, other) in lists.items():
        field = f"target.{name}"
        without, first, second = (
            {"target": {"kind": "Pod", **value}} for value in ({}, {name: one}, {name: other})
        )
        yield _refused(f"{field} changed", first, second, field=field)
        yield _refused(f"{field} added", without, first, field=field)
        yield _refused(f"{field} removed", first, without, field=field)


def _detectors(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"detectors": [{"metric": "memory_usage", **some} for some in fields]}


IMMUTABLE_UPDATES = (
    *_optional(),
    *_targets(),
    _refused("the bucket span changed", {}, {"bucketSpan": "10m"}, field="bucketSpan"),
    _refused("the bucket span left to its default", {"bucketSpan": "10m"}, {}, field="bucketSpan"),
    _refused("the query delay changed", {}, {"queryDelay": "1m"}, field="queryDelay"),
    _refused(
        "another metric",
        _detectors({}),
        _detectors({"metric": "network_in", "function": "high_max"}),
        field="detectors.metric",
        path="spec.detectors[0].metric",
    ),
    _refused(
        "another function",
        _detectors({}, {"by": "workload"}),
        _detectors({}, {"by": "workload", "function": "mean"}),
        field="detectors.function",
        path="spec.detectors[1].function",
    ),
    _refused(
        "other entities",
        _detectors({}),
        _detectors({"by": "workload"}),
        field="detectors.by",
        path="spec.detectors[0].by",
    ),
    _refused(
        "categories for every partition switched on",
        {"partitionField": "namespace", "detectors": [EVENTS]},
        {
            "partitionField": "namespace",
            "detectors": [EVENTS],
            "perPartitionCategorization": {"enabled": True},
        },
        field="perPartitionCategorization.enabled",
    ),
)
"""Each is refused for one reason; what breaks several laws stands in ``MANIFOLD_UPDATES``."""

MANIFOLD_UPDATES = (
    Update(
        "pods become nodes",
        detector(detectors=[{"metric": "memory_usage", "by": "node"}]),
        detector(target={"kind": "Node"}, detectors=[{"metric": "memory_usage", "by": "node"}]),
        "spec.target.kind",
        f"target.kind {_IMMUTABLE}",
    ),
    Update(
        "a detector added",
        detector(**_detectors({})),
        detector(**_detectors({}, {"by": "workload"})),
        "spec.detectors",
        f"detectors[].metric {_IMMUTABLE}",
    ),
    Update(
        "a detector removed",
        detector(**_detectors({}, {"by": "workload"})),
        detector(**_detectors({})),
        "spec.detectors",
        f"detectors[].by {_IMMUTABLE}",
    ),
    Update(
        "detectors in another order",
        detector(**_detectors({}, {"metric": "network_in"})),
        detector(**_detectors({"metric": "network_in"}, {})),
        "spec.detectors[0].metric",
        f"detectors[].metric {_IMMUTABLE}",
        field="spec.detectors",
    ),
)


def _mutable() -> Iterator[Update]:
    changes: dict[str, Any] = {
        "description": "new",
        "groups": ["a"],
        "customSettings": {"a": 1},
        "suspend": True,
        "allowLazyOpen": True,
        "analysisLimits": {"modelMemoryLimit": "64mb"},
        "backgroundPersistInterval": "2h",
        "renormalizationWindowDays": 60,
        "modelPruneWindow": "60d",
        "modelSnapshotRetentionDays": 20,
        "dailyModelSnapshotRetentionAfterDays": 2,
        "resultsRetentionDays": 60,
        "modelPlotConfig": {"enabled": True},
        "maintenanceWindows": [{"name": "a", "schedule": "0 2 * * *", "duration": "1h"}],
    }
    for field, value in changes.items():
        yield Update(f"{field} set", detector(), detector(**{field: value}))
        yield Update(f"{field} unset", detector(**{field: value}), detector())
    for field, value in {
        "description": "new",
        "customRules": [{"conditions": [LOW_MEMORY]}],
        "minDeviation": {"absolute": 1},
    }.items():
        yield Update(
            f"a detector's {field} set",
            detector(**_detectors({})),
            detector(**_detectors({field: value})),
        )
        yield Update(
            f"a detector's {field} unset",
            detector(**_detectors({field: value})),
            detector(**_detectors({})),
        )


ACCEPTED_UPDATES = (
    *_mutable(),
    Update("the same span in other words", detector(), detector(bucketSpan="900s")),
    Update(
        "the same delay in other words", detector(queryDelay="90s"), detector(queryDelay="1m30s")
    ),
    Update(
        "the same frequency in other words", detector(frequency="5m"), detector(frequency="300s")
    ),
    Update(
        "defaults written out",
        detector(**_detectors({})),
        detector(**_detectors({"function": "high_max", "by": "pod"})),
    ),
    Update(
        "namespaces in another order",
        detector(target={"kind": "Pod", "namespaces": ["a", "b"]}),
        detector(target={"kind": "Pod", "namespaces": ["b", "a"]}),
    ),
    Update(
        "influencers in another order",
        detector(influencers=["node", "pod"]),
        detector(influencers=["pod", "node"]),
    ),
    Update(
        "an empty list of namespaces",
        detector(),
        detector(target={"kind": "Pod", "namespaces": [], "nodeNames": []}),
    ),
    Update(
        "stopping where categories warn",
        detector(
            partitionField="namespace",
            detectors=[EVENTS],
            perPartitionCategorization={"enabled": True},
        ),
        detector(
            partitionField="namespace",
            detectors=[EVENTS],
            perPartitionCategorization={"enabled": True, "stopOnWarn": True},
        ),
    ),
)


def _limits(old: object, new: object) -> tuple[dict[str, Any], dict[str, Any]]:
    before, after = (detector(analysisLimits={"modelMemoryLimit": limit}) for limit in (old, new))
    return before, after


MEMORY_UPDATES = (
    Update("a limit lowered to what is used", *_limits("64mb", "12mb"), model_bytes=12 * _MIB),
    Update("a limit lowered before anything is known", *_limits("64mb", "12mb")),
    Update("a limit raised, still below use", *_limits("8mb", "12mb"), model_bytes=11 * _MIB),
    Update(
        "a limit that stays, below use",
        detector(analysisLimits={"modelMemoryLimit": "8mb"}),
        detector(analysisLimits={"modelMemoryLimit": "8mb"}, description="new"),
        model_bytes=20 * _MIB,
    ),
    Update("the same limit in other words", *_limits("8mb", 8), model_bytes=20 * _MIB),
    Update(
        "a limit lowered below use",
        *_limits("64mb", "11mb"),
        _LIMIT,
        "11mb is below what the models use now (12mb); use 12mb or more",
        model_bytes=11 * _MIB + 1,
    ),
    Update(
        "a limit lowered below use, in Kubernetes' units",
        *_limits("1Gi", "100M"),
        _LIMIT,
        "95mb is below what the models use now (200mb); use 200mb or more",
        model_bytes=200 * _MIB,
    ),
    Update(
        "a limit lowered below use, as a number",
        *_limits(64, 1),
        _LIMIT,
        "1mb is below what the models use now (2mb); use 2mb or more",
        model_bytes=2 * _MIB,
    ),
    Update(
        "a limit left to its default, below use",
        *_limits("2gb", "1024mb"),
        _LIMIT,
        "1024mb is below what the models use now (1500mb); use 1500mb or more",
        model_bytes=1500 * _MIB,
    ),
)
