"""What a running worker shows of each setting, asked of its read API, metrics, status and files."""

from __future__ import annotations

from typing import Any

from anomaly_operator.ports import SnapshotInfo
from tests.updates.lab import AFTER, EDIT_S, NOW_S, Lab, bucket_s
from tests.updates.scenario import STRANGE

MIB = 2**20


def record(lab: Lab, pod: str) -> dict[str, Any]:
    start_s = bucket_s(AFTER)
    (found,) = lab.results("records", start=start_s, end=start_s + 1, entity=pod)
    return found


def groups(lab: Lab) -> object:
    return lab.job()["groups"], lab.info()["groups"]


def links(lab: Lab) -> object:
    return [link["url"] for link in record(lab, "web-1").get("links", ())]


def withheld(lab: Lab) -> object:
    return {pod: name for pod, name in lab.muted(AFTER).items() if pod in STRANGE}


def too_near(lab: Lab) -> object:
    return STRANGE - lab.recorded(AFTER)


def plotted(lab: Lab) -> object:
    """Pods with stored bounds, whether those begin with the edit, and pods with bounds shown."""
    rows = lab.results("model_plot")
    since = min((row["timestamp"] / 1000 for row in rows), default=0.0)
    pods = {row["by_field_value"] for row in rows}
    return pods & STRANGE, since >= EDIT_S - 900, set(lab.metric("anomaly_upper_bound")) & STRANGE


def changes_told(lab: Lab) -> object:
    events = {note["event"] for note in lab.results("annotations", by_field_value="rise-1")}
    return "model_change" in events


def stored_since(lab: Lab) -> object:
    return sum(info.timestamp_s > EDIT_S + 900 for info in lab.snapshots().list())


def held(lab: Lab) -> object:
    stats = lab.status["modelSizeStats"]
    return (
        stats["modelBytesMemoryLimit"] // MIB,
        stats["memoryStatus"] == "ok",
        stats["bucketAllocationFailuresCount"] > 0,
        stats["seriesCount"] > 400,
    )


def oldest_result(lab: Lab) -> object:
    """How old the oldest bucket and record are, in days."""
    (newest,) = lab.results("buckets", order="desc", limit=1)
    (oldest,) = lab.results("buckets", limit=1)
    return round((newest["timestamp"] - oldest["timestamp"]) / 86_400_000, 1)


def rescored(lab: Lab) -> object:
    """Whether scores of the past were corrected as the flood was seen."""
    records = lab.results("records", min_score=1)
    return any(each["record_score"] < each["initial_record_score"] - 1 for each in records)


AGES_H = tuple(range(6, 60, 6))


def age_snapshots(lab: Lab) -> None:
    """Store the models as if every six hours of the last two days and a half."""
    store = lab.snapshots()
    arrays = store.load(store.list()[-1].snapshot_id)
    for age_h in AGES_H:
        time_s = NOW_S - age_h * 3600
        store.save(SnapshotInfo(f"{time_s:.0f}", time_s, 0), arrays)


def snapshots_kept(lab: Lab) -> object:
    """Ages in hours, counted from NOW_S, of the snapshots that the night left."""
    return [
        round((NOW_S - info.timestamp_s) / 3600)
        for info in lab.snapshots().list()
        if info.timestamp_s <= NOW_S - 6 * 3600
    ]
