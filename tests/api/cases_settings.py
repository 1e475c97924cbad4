"""Cases of the settings that can be updated."""

from __future__ import annotations

from tests.api.cases import (
    ACCEPTS,
    AT_LEAST,
    AT_MOST,
    DUPLICATE,
    EVENTS,
    MATCH,
    REQUIRED,
    TOO_LONG,
    TYPE,
    Case,
    detector,
    windowed,
)

_SIZE = "must be at least 1mb and at most 1tb"
_NOT_A_SIZE = "is not a byte size; write it such as 1024mb or 1Gi"
_LIMIT = "spec.analysisLimits.modelMemoryLimit"
_WINDOW = "spec.maintenanceWindows[0]"


def nested(levels: int) -> object:
    """Lists in lists, so many; an object that holds them is one level more."""
    found: object = 1
    for _ in range(levels):
        found = [found]
    return found


def _limit(value: object) -> dict[str, object]:
    return detector(analysisLimits={"modelMemoryLimit": value})


MEMORY_CASES = (
    *(
        Case(f"a memory limit of {value!r}", _limit(value))
        for value in (
            1,
            11,
            "11mb",
            "11MB",
            "1gb",
            "1tb",
            "1048576b",
            "1024kb",
            "1Gi",
            "512Mi",
            "500M",
        )
    ),
    Case("a memory limit of 0", _limit(0), _LIMIT, f"0 (MiB) {_SIZE}", _SIZE),
    Case("less than a MiB", _limit("1023kb"), _LIMIT, f"1023kb {_SIZE}", _SIZE),
    Case("more than a TiB", _limit("2tb"), _LIMIT, f"2tb {_SIZE}", _SIZE),
    Case(
        "a size in a string without a unit",
        _limit("1024"),
        _LIMIT,
        f"'1024' {_NOT_A_SIZE}; did you mean 1024mb?",
        MATCH,
    ),
    Case("Kubernetes' milli", _limit("1024m"), _LIMIT, f"'1024m' {_NOT_A_SIZE}", MATCH),
    Case("a size in words", _limit("much"), _LIMIT, f"'much' {_NOT_A_SIZE}", MATCH),
    Case(
        "a size that is true",
        _limit(value=True),
        _LIMIT,
        f"True {_NOT_A_SIZE}",
        "must be of type",
    ),
)

LIFECYCLE_CASES = (
    Case("a description", detector(description="Memory of the shop's pods")),
    Case(
        "a description without end",
        detector(description="x" * 1025),
        "spec.description",
        "'" + "x" * 56 + "... has more than 1024 characters",
        TOO_LONG,
    ),
    Case("groups", detector(groups=["metrics", "k8s_pods-1"])),
    Case(
        "a group in capitals",
        detector(groups=["Metrics"]),
        "spec.groups[0]",
        "'Metrics' is not a group: lower case letters, digits, hyphens and underscores, a letter or"
        " digit at both ends",
        MATCH,
    ),
    Case(
        "a group twice",
        detector(groups=["a", "a"]),
        "spec.groups",
        "a stands more than once; every entry must be different",
        DUPLICATE,
        "spec.groups[1]",
    ),
    Case(
        "custom settings with whatever is wanted",
        detector(
            customSettings={
                "createdBy": "me",
                "nested": {"deep": [1, None]},
                "customUrls": [
                    {"urlName": "Logs", "urlValue": "https://logs/?q=$pod$", "timeRange": "1h"}
                ],
            }
        ),
    ),
    Case(
        "custom settings that are no object",
        detector(customSettings="me"),
        "spec.customSettings",
        "'me' is not an object",
        TYPE,
    ),
    Case(
        "a custom URL without an address",
        detector(customSettings={"customUrls": [{"urlName": "Logs"}]}),
        "spec.customSettings.customUrls[0].urlValue",
        "is required",
        REQUIRED,
    ),
    Case(
        "a custom URL over some time",
        detector(
            customSettings={"customUrls": [{"urlName": "a", "urlValue": "b", "timeRange": "some"}]}
        ),
        "spec.customSettings.customUrls[0].timeRange",
        "'some' is neither auto nor a duration such as 1h",
        MATCH,
    ),
    Case(
        "custom settings as deep as they may be",
        detector(customSettings={"a": nested(31)}),
    ),
    Case(
        "custom settings that are too deep",
        detector(customSettings={"a": nested(32)}),
        "spec.customSettings",
        "is nested deeper than 32 levels",
        ACCEPTS,
    ),
    Case("a closed job", detector(suspend=True, allowLazyOpen=True)),
    Case(
        "suspended in words",
        detector(suspend="yes"),
        "spec.suspend",
        "'yes' is not true or false",
        TYPE,
    ),
    Case(
        "lazy in numbers",
        detector(allowLazyOpen=1),
        "spec.allowLazyOpen",
        "1 is not true or false",
        TYPE,
    ),
    Case(
        "a field of Elastic's spelling",
        detector(model_prune_window="30d"),
        "spec.model_prune_window",
        "unknown field; did you mean modelPruneWindow?",
        ACCEPTS,
    ),
)

RETENTION_CASES = (
    Case("stored every hour", detector(backgroundPersistInterval="1h")),
    Case(
        "stored every half hour",
        detector(backgroundPersistInterval="30m"),
        "spec.backgroundPersistInterval",
        "30m must be between 1h and 30d",
        "must be between 1h and 30d",
    ),
    Case("no renormalisation", detector(renormalizationWindowDays=0)),
    Case(
        "renormalisation of the future",
        detector(renormalizationWindowDays=-1),
        "spec.renormalizationWindowDays",
        "-1 is less than 0",
        AT_LEAST,
    ),
    Case(
        "renormalisation of half a day",
        detector(renormalizationWindowDays=0.5),
        "spec.renormalizationWindowDays",
        "0.5 is not a whole number",
        TYPE,
    ),
    Case("models pruned after two buckets", detector(modelPruneWindow="30m")),
    Case(
        "models pruned after one bucket",
        detector(modelPruneWindow="15m"),
        "spec.modelPruneWindow",
        "15m must be at least 2 times bucketSpan (15m)",
        "must be at least 2 times bucketSpan",
    ),
    Case(
        "models pruned in the middle of a bucket",
        detector(modelPruneWindow="40m"),
        "spec.modelPruneWindow",
        "40m must be a multiple of bucketSpan (15m)",
        "must be a multiple of bucketSpan",
    ),
    Case("snapshots kept a day", detector(modelSnapshotRetentionDays=1)),
    Case(
        "every snapshot kept longer than any",
        detector(modelSnapshotRetentionDays=7, dailyModelSnapshotRetentionAfterDays=8),
        "spec.dailyModelSnapshotRetentionAfterDays",
        "8 must not be greater than modelSnapshotRetentionDays (7)",
        "must not be greater than modelSnapshotRetentionDays",
    ),
    Case(
        "snapshots kept for no day, and the default for daily ones",
        detector(modelSnapshotRetentionDays=0),
        "spec.dailyModelSnapshotRetentionAfterDays",
        "1 must not be greater than modelSnapshotRetentionDays (0)",
        "must not be greater than modelSnapshotRetentionDays",
    ),
    Case(
        "snapshots kept for less than no day",
        detector(modelSnapshotRetentionDays=10, dailyModelSnapshotRetentionAfterDays=-1),
        "spec.dailyModelSnapshotRetentionAfterDays",
        "-1 is less than 0",
        AT_LEAST,
    ),
    Case("results kept for no day", detector(resultsRetentionDays=0)),
    Case(
        "results kept for ages",
        detector(resultsRetentionDays=36501),
        "spec.resultsRetentionDays",
        "36501 is greater than 36500",
        AT_MOST,
    ),
)

PLOT_CASES = (
    Case(
        "a model plot of some series", detector(modelPlotConfig={"enabled": True, "terms": "a,b"})
    ),
    Case(
        "a model plot that does not say whether",
        detector(modelPlotConfig={"terms": "a"}),
        "spec.modelPlotConfig.enabled",
        "is required",
        REQUIRED,
    ),
    Case(
        "a model plot with wildcards",
        detector(modelPlotConfig={"enabled": True, "terms": "a*"}),
        "spec.modelPlotConfig.terms",
        "'a*' holds a wildcard; write the values out, comma separated",
        MATCH,
    ),
)

CATEGORY_CASES = (
    Case(
        "categories for every namespace",
        detector(
            partitionField="namespace",
            detectors=[EVENTS],
            perPartitionCategorization={"enabled": True, "stopOnWarn": True},
        ),
    ),
    Case(
        "categories for every namespace, without namespaces",
        detector(detectors=[EVENTS], perPartitionCategorization={"enabled": True}),
        "spec.perPartitionCategorization.enabled",
        "needs a detector by: category and a partitionField",
    ),
    Case(
        "categories for every namespace, without categories",
        detector(partitionField="namespace", perPartitionCategorization={"enabled": True}),
        "spec.perPartitionCategorization.enabled",
        "needs a detector by: category and a partitionField",
    ),
    Case(
        "stopping what was not started",
        detector(perPartitionCategorization={"stopOnWarn": True}),
        "spec.perPartitionCategorization.stopOnWarn",
        "cannot be true when perPartitionCategorization.enabled is false",
    ),
)

_ONCE = {"start": "2024-05-01T10:00:00Z", "end": "2024-05-01T12:00:00Z"}
_NIGHTLY = {"schedule": "0 2 * * *", "duration": "1h"}
_SHAPE = "give either start and end, or schedule and duration"

WINDOW_CASES = (
    Case("a window once", windowed(**_ONCE)),
    Case(
        "a window every night for some",
        windowed(
            **_NIGHTLY,
            timezone="Europe/Berlin",
            scope={"workload": {"values": ["backup-*"]}},
            actions=["skip_result"],
        ),
    ),
    Case("a window without time", windowed(), _WINDOW, _SHAPE),
    Case("a window without end", windowed(start=_ONCE["start"]), _WINDOW, _SHAPE),
    Case("a window both once and nightly", windowed(**_ONCE, **_NIGHTLY), _WINDOW, _SHAPE),
    Case("a schedule without length", windowed(schedule="0 2 * * *"), _WINDOW, _SHAPE),
    Case(
        "a window that ends before it begins",
        windowed(start=_ONCE["end"], end=_ONCE["start"]),
        f"{_WINDOW}.end",
        "must be after start",
    ),
    Case(
        "a schedule of six fields",
        windowed(schedule="0 0 2 * * *", duration="1h"),
        f"{_WINDOW}.schedule",
        "'0 0 2 * * *' is not a five-field cron expression, such as 0 2 * * 6",
        MATCH,
    ),
    Case(
        "a schedule at an hour that is none",
        windowed(schedule="0 25 * * *", duration="1h"),
        f"{_WINDOW}.schedule",
        "'0 25 * * *' is not a five-field cron expression, such as 0 2 * * 6",
        ACCEPTS,
    ),
    Case(
        "a window of seconds",
        windowed(schedule="0 2 * * *", duration="30s"),
        f"{_WINDOW}.duration",
        "30s must be between 1m and 7d",
        "must be between 1m and 7d",
    ),
    Case(
        "a time zone that is none",
        windowed(**_NIGHTLY, timezone="Mars/Base"),
        f"{_WINDOW}.timezone",
        "'Mars/Base' is not an IANA time zone, such as Europe/Berlin",
        ACCEPTS,
    ),
    Case(
        "two windows of one name",
        detector(maintenanceWindows=[{"name": "a", **_ONCE}, {"name": "a", **_NIGHTLY}]),
        "spec.maintenanceWindows[1].name",
        "two maintenance windows have the same name",
        field="spec.maintenanceWindows",
    ),
)
