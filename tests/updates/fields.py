"""Every field that can be updated: what it takes and refuses, and what it does once it is followed.

``observe`` looks at a running worker at the end of a run; it sees ``before`` where nothing was
edited and ``after`` where the field was, whether the worker ran meanwhile or was closed. Times of
windows are those of the lab: NOW_S is 2025-10-13T09:00 UTC, the strange bucket after the edit
begins at 11:30.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.api.cases import AT_LEAST, AT_MOST, MATCH, REQUIRED, TOO_LONG, TYPE
from tests.updates import observing
from tests.updates.lab import START_S, Lab, bucket_s
from tests.updates.scenario import STRANGE

MIB = 2**20
SOON_S = bucket_s(13)
EVENING_S = bucket_s(40)
NEXT_MORNING_S = bucket_s(73)  # after the nightly maintenance, whatever its spread

Spec = Mapping[str, Any]
DETECTOR = {"metric": "memory_usage", "function": "max", "by": "pod"}


def of_detector(**fields: Any) -> Spec:
    """Give the list of the one detector, with fields added."""
    return {"detectors": [{**DETECTOR, **fields}]}


def window(**fields: Any) -> Spec:
    """Give the list of one maintenance window named backup."""
    return {"maintenanceWindows": [{"name": "backup", **fields}]}


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that is not valid: where and what is said in Python, and by the API server."""

    spec: Spec
    path: str
    message: str
    server: str | None = None
    server_path: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the table."""

    name: str
    spec: Spec  # a valid value
    refused: Refused
    observe: Callable[[Lab], object]
    before: object
    after: object
    reopens: bool = False
    until_s: float = SOON_S
    happens: str = "plain"  # what the pods of the lab do
    old: Spec = field(default_factory=dict)  # the spec before the edit
    prepare: Callable[[Lab], None] | None = None
    labelled: str = ""  # what is special about this row of the field
    covers: tuple[str, ...] = ()  # fields within the field that its effect hangs on

    @property
    def title(self) -> str:
        """What the row is called in reports."""
        return f"{self.name} {self.labelled}".strip()


# Counted from the newest snapshot, made about an hour after NOW_S: older than a day are those of
# 24 h and more; the first of each 24 h from there on back is that of 42 h, that of 54 h, and the
# one from when the analysis began.
_THINNED = [96, 54, 42, 18, 12, 6]

_LIMIT = "spec.analysisLimits.modelMemoryLimit"
_SIZE = "must be at least 1mb and at most 1tb"
_WINDOW = "spec.maintenanceWindows[0]"
_SHAPE = "give either start and end, or schedule and duration"
_LATE_MORNING = {"start": "2025-10-13T11:30:00Z", "end": "2025-10-13T11:45:00Z"}
_NO_WINDOW = Refused(window(), _WINDOW, _SHAPE)
_NO_PLOT = Refused(
    {"modelPlotConfig": {"terms": "a"}},
    "spec.modelPlotConfig.enabled",
    "is required",
    REQUIRED,
)

FIELDS = (
    Field(
        "description",
        {"description": "Memory of the shop"},
        Refused(
            {"description": "x" * 1025},
            "spec.description",
            "'" + "x" * 56 + "... has more than 1024 characters",
            TOO_LONG,
        ),
        lambda lab: (lab.job()["description"], lab.info()["description"]),
        before=("", ""),
        after=("Memory of the shop", "Memory of the shop"),
    ),
    Field(
        "groups",
        {"groups": ["kubernetes", "shop_1"]},
        Refused(
            {"groups": ["Shop"]},
            "spec.groups[0]",
            "'Shop' is not a group: lower case letters, digits, hyphens and underscores, a letter"
            " or digit at both ends",
            MATCH,
        ),
        observing.groups,
        before=([], ""),
        after=(["kubernetes", "shop_1"], ",kubernetes,shop_1,"),
    ),
    Field(
        "customSettings",
        {
            "customSettings": {
                "createdBy": "us",
                "customUrls": [
                    {
                        "urlName": "Logs",
                        "urlValue": "https://logs/?pod=$pod$&ns=$namespace$&node=$node$"
                        "&from=$earliest$&to=$latest$&x=$nothing$",
                        "timeRange": "1h",
                    },
                    {"urlName": "Near", "urlValue": "/near?from=$earliest$&to=$latest$"},
                    {"urlName": "Script", "urlValue": "javascript:alert($pod$)"},
                ],
            }
        },
        Refused(
            {"customSettings": {"customUrls": [{"urlName": "Logs"}]}},
            "spec.customSettings.customUrls[0].urlValue",
            "is required",
            REQUIRED,
        ),
        observing.links,
        before=[],
        after=[
            (
                "https://logs/?pod=web-1&ns=shop&node=n1"
                "&from=2025-10-13T10:30:00Z&to=2025-10-13T12:45:00Z&x=$nothing$"
            ),
            "/near?from=2025-10-13T11:15:00Z&to=2025-10-13T12:00:00Z",
        ],
        covers=("customUrls[].urlValue", "customUrls[].timeRange"),
    ),
    Field(
        "customSettings",
        {"customSettings": {"managed": True, "anything": {"deep": [1, "two"]}}},
        Refused({"customSettings": "mine"}, "spec.customSettings", "'mine' is not an object", TYPE),
        lambda lab: lab.job()["custom_settings"],
        before={},
        after={"managed": True, "anything": {"deep": [1, "two"]}},
        labelled="of any kind",
    ),
    Field(
        "detectors[].description",
        of_detector(description="Peak memory of each pod"),
        Refused(
            of_detector(description="x" * 257),
            "spec.detectors[0].description",
            "'" + "x" * 56 + "... has more than 256 characters",
            TOO_LONG,
        ),
        lambda lab: (
            lab.job()["detectors"][0]["description"],
            observing.record(lab, "web-1").get("detector_description"),
        ),
        before=("", None),
        after=("Peak memory of each pod", "Peak memory of each pod"),
    ),
    Field(
        "detectors[].customRules",
        of_detector(customRules=[{"scope": {"pod": {"values": ["web-*"]}}}]),
        Refused(
            of_detector(customRules=[{"actions": ["skip_result"]}]),
            "spec.detectors[0].customRules[0]",
            "a rule needs a scope or at least one condition",
        ),
        observing.withheld,
        before={},
        after={"web-1": "", "web-2": ""},
    ),
    Field(
        "detectors[].minDeviation.absolute",
        of_detector(minDeviation={"absolute": 250e6}),
        Refused(
            of_detector(minDeviation={"absolute": -1}),
            "spec.detectors[0].minDeviation.absolute",
            "-1 is less than 0.0",
            AT_LEAST,
        ),
        observing.too_near,
        before=frozenset(),
        after=STRANGE - {"main-db"},
    ),
    Field(
        "detectors[].minDeviation.relative",
        of_detector(minDeviation={"relative": 0.8}),
        Refused(
            of_detector(minDeviation={"relative": -0.1}),
            "spec.detectors[0].minDeviation.relative",
            "-0.1 is less than 0.0",
            AT_LEAST,
        ),
        observing.too_near,
        before=frozenset(),
        after={"low-1"},
    ),
    Field(
        "analysisLimits.modelMemoryLimit",
        {"analysisLimits": {"modelMemoryLimit": "1mb"}},
        Refused(
            {"analysisLimits": {"modelMemoryLimit": "1023kb"}}, _LIMIT, f"1023kb {_SIZE}", _SIZE
        ),
        observing.held,
        before=(1024, True, False, True),
        after=(1, False, True, False),
        reopens=True,
        happens="crowd",
    ),
    Field(
        "backgroundPersistInterval",
        {"backgroundPersistInterval": "1h"},
        Refused(
            {"backgroundPersistInterval": "59m"},
            "spec.backgroundPersistInterval",
            "59m must be between 1h and 30d",
            "must be between 1h and 30d",
        ),
        observing.stored_since,
        before=0,
        after=8,  # of the eight hours and a half until the evening
        reopens=True,
        until_s=EVENING_S,
    ),
    Field(
        "renormalizationWindowDays",
        {"renormalizationWindowDays": 0},
        Refused(
            {"renormalizationWindowDays": -1},
            "spec.renormalizationWindowDays",
            "-1 is less than 0",
            AT_LEAST,
        ),
        observing.rescored,
        before=True,
        after=False,
        reopens=True,
        until_s=bucket_s(96),
        happens="flood",
    ),
    Field(
        "modelPruneWindow",
        {"modelPruneWindow": "2h"},
        Refused(
            {"modelPruneWindow": "40m"},
            "spec.modelPruneWindow",
            "40m must be a multiple of bucketSpan (15m)",
            "must be a multiple of bucketSpan",
        ),
        lambda lab: lab.status["modelSizeStats"]["seriesCount"],
        before=7,
        after=6,  # without gone-1
        reopens=True,
        until_s=NEXT_MORNING_S,
    ),
    Field(
        "modelSnapshotRetentionDays",
        {"modelSnapshotRetentionDays": 2},
        Refused(
            {"modelSnapshotRetentionDays": -1},
            "spec.modelSnapshotRetentionDays",
            "-1 is less than 0",
            AT_LEAST,
        ),
        observing.snapshots_kept,
        before=_THINNED,
        after=[42, 18, 12, 6],
        until_s=NEXT_MORNING_S,
        prepare=observing.age_snapshots,
    ),
    Field(
        "dailyModelSnapshotRetentionAfterDays",
        {"dailyModelSnapshotRetentionAfterDays": 2},
        Refused(
            {"dailyModelSnapshotRetentionAfterDays": 11},
            "spec.dailyModelSnapshotRetentionAfterDays",
            "11 must not be greater than modelSnapshotRetentionDays (10)",
            "must not be greater than modelSnapshotRetentionDays",
        ),
        observing.snapshots_kept,
        before=_THINNED,
        after=[96, 54, 42, 36, 30, 24, 18, 12, 6],
        until_s=NEXT_MORNING_S,
        prepare=observing.age_snapshots,
    ),
    Field(
        "resultsRetentionDays",
        {"resultsRetentionDays": 2},
        Refused(
            {"resultsRetentionDays": 36501},
            "spec.resultsRetentionDays",
            "36501 is greater than 36500",
            AT_MOST,
        ),
        lambda lab: 2.0 <= observing.oldest_result(lab) <= 2.2,  # type: ignore[operator]
        before=False,
        after=True,
        until_s=NEXT_MORNING_S,
    ),
    Field(
        "modelPlotConfig.enabled",
        {"modelPlotConfig": {"enabled": True}},
        _NO_PLOT,
        observing.plotted,
        before=(set(), False, set()),
        after=(STRANGE, True, STRANGE),
    ),
    Field(
        "modelPlotConfig.terms",
        {"modelPlotConfig": {"enabled": True, "terms": "web-1, batch"}},
        Refused(
            {"modelPlotConfig": {"enabled": True, "terms": "web-*"}},
            "spec.modelPlotConfig.terms",
            "'web-*' holds a wildcard; write the values out, comma separated",
            MATCH,
        ),
        observing.plotted,
        before=(set(), False, set()),
        after=({"web-1", "job-7", "low-1"}, True, {"web-1", "job-7", "low-1"}),
    ),
    Field(
        "modelPlotConfig.annotationsEnabled",
        {"modelPlotConfig": {"enabled": False, "annotationsEnabled": True}},
        Refused(
            {"modelPlotConfig": {"enabled": True, "annotationsEnabled": "yes"}},
            "spec.modelPlotConfig.annotationsEnabled",
            "'yes' is not true or false",
            TYPE,
        ),
        observing.changes_told,
        before=False,
        after=True,
        until_s=EVENING_S,
    ),
    Field(
        "maintenanceWindows",
        window(**_LATE_MORNING),
        _NO_WINDOW,
        observing.withheld,
        before={},
        after=dict.fromkeys(STRANGE, "backup"),
        labelled="once",
        covers=("[].name", "[].start", "[].end"),
    ),
    Field(
        "maintenanceWindows",
        # Half past one in the afternoon in Berlin, which is two hours ahead in October.
        window(schedule="30 13 * * 1", duration="10m", timezone="Europe/Berlin"),
        Refused(
            window(schedule="0 0 2 * * *", duration="1h"),
            f"{_WINDOW}.schedule",
            "'0 0 2 * * *' is not a five-field cron expression, such as 0 2 * * 6",
            MATCH,
        ),
        observing.withheld,
        before={},
        after=dict.fromkeys(STRANGE, "backup"),
        labelled="by cron in a time zone",
        covers=("[].schedule", "[].duration", "[].timezone"),
    ),
    Field(
        "maintenanceWindows",
        window(schedule="30 13 * * 1", duration="10m"),
        Refused(
            window(schedule="30 13 * * 1", duration="30s"),
            f"{_WINDOW}.duration",
            "30s must be between 1m and 7d",
            "must be between 1m and 7d",
        ),
        observing.withheld,
        before={},
        after={},
        labelled="by cron in UTC, which is another time",
    ),
    Field(
        "maintenanceWindows",
        window(**_LATE_MORNING, scope={"workload": {"values": ["web"]}}),
        Refused(
            window(**_LATE_MORNING, scope={"workload": {}}),
            f"{_WINDOW}.scope.workload",
            "give either filterId or values, and not both",
            server_path=f"{_WINDOW}.scope[workload]",
        ),
        observing.withheld,
        before={},
        after={"web-1": "backup", "web-2": "backup"},
        labelled="for a workload",
        covers=("[].scope.<key>.values",),
    ),
    Field(
        "maintenanceWindows",
        window(**_LATE_MORNING, scope={"workload": {"filterId": "loud", "filterType": "exclude"}}),
        Refused(
            window(**_LATE_MORNING, scope={"workload": {"filterId": "loud", "values": ["web"]}}),
            f"{_WINDOW}.scope.workload",
            "give either filterId or values, and not both",
            server_path=f"{_WINDOW}.scope[workload]",
        ),
        observing.withheld,
        before={},
        after=dict.fromkeys(STRANGE - {"web-1", "web-2"}, "backup"),
        prepare=lambda lab: lab.filters.update(loud=["we*"]),
        labelled="for all but what a filter holds",
        covers=("[].scope.<key>.filterId", "[].scope.<key>.filterType"),
    ),
    Field(
        "maintenanceWindows",
        window(**_LATE_MORNING, actions=["skip_model_update"]),
        Refused(
            window(start=_LATE_MORNING["end"], end=_LATE_MORNING["start"]),
            f"{_WINDOW}.end",
            "must be after start",
        ),
        observing.withheld,
        before={},
        after={},
        labelled="that only keeps values from the model",
        covers=("[].actions",),
    ),
)

__all__ = ["FIELDS", "START_S", "Field", "Refused"]
