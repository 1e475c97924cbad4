"""What a running worker deletes at night, and what it never does; the clock is an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anomaly_operator.adapters import results_schema
from anomaly_operator.adapters.results_query import Query, query_results
from anomaly_operator.adapters.results_rows import SYSTEM_USER
from anomaly_operator.adapters.results_store import add_user_annotation
from anomaly_operator.ports import SnapshotInfo
from anomaly_operator.worker.maintenance import DAY_S, next_run_s
from tests.lifecycle.test_damage import NOW_S, real
from tests.support.jobs import START_S, UID, job_json

HOUR_S = 3600.0
EVENING_S = NOW_S + DAY_S / 2
NIGHT_S = next_run_s(EVENING_S, UID)
POLL_S = 900.0


def note(number: int, user: str, time_s: float) -> dict[str, Any]:
    """One annotation, as the read API stores it."""
    return {
        "job_id": "shop/memory",
        "annotation_id": f"note-{number}",
        "timestamp": round(time_s * 1000),
        "end_timestamp": round(time_s * 1000),
        "annotation": "something was said",
        "type": "annotation",
        "event": "user" if user != SYSTEM_USER else "rollout",
        "create_time": round(time_s * 1000),
        "create_username": user,
    }


def times(rig: Any, kind: str) -> list[float]:
    """Times of all results of a kind, oldest first."""
    found = query_results(rig.store, Query(kind, limit=10_000)).documents
    return sorted(each["timestamp"] / 1000 for each in found)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Any]:
    with real(tmp_path) as made:
        yield made


class Night:
    """What there was just before a nightly run, and just after it."""

    def __init__(self, rig: Any, **spec: Any) -> None:
        self.rig = rig
        self.rig.job = job_json(spec={"modelPlotConfig": {"enabled": True}, **spec})
        self.seen: list[dict[str, Any]] = []

    def live_through(self, prepare: Callable[[Any], None] = lambda _rig: None) -> Night:
        self.rig.run_until(EVENING_S, poll_s=POLL_S)
        prepare(self.rig)
        for at_s in (NIGHT_S - 1.0, NIGHT_S + 2 * POLL_S):
            self.rig.clock.schedule(at_s, self._look)
        self.rig.run_until(NIGHT_S + 3 * POLL_S, poll_s=POLL_S)
        return self

    def _look(self) -> None:
        kinds = ("records", "buckets", "influencers", "model_plot")
        self.seen.append(
            {
                "snapshots": [(one.timestamp_s, one.retain) for one in self.rig.snapshots.list()],
                "listed": times(self.rig, "snapshots"),
                "notes": {
                    (each["timestamp"] / 1000, each["create_username"])
                    for each in query_results(self.rig.store, Query("annotations")).documents
                },
                **{kind: times(self.rig, kind) for kind in kinds},
            }
        )


def five_days_of_hours(rig: Any) -> None:
    """Give the job the snapshots of five days, one an hour; a person keeps the oldest."""
    arrays = rig.snapshots.load(rig.snapshots.list()[-1].snapshot_id)
    for hour in range(1, 5 * 24):
        time_s = EVENING_S - DAY_S / 2 - hour * HOUR_S
        info = SnapshotInfo(f"{time_s:.0f}", time_s, 0, retain=hour == 5 * 24 - 1)
        rig.snapshots.save(info, arrays)


def test_snapshots_are_thinned_at_night_and_not_before(rig: Any):
    night = Night(
        rig, modelSnapshotRetentionDays=3, dailyModelSnapshotRetentionAfterDays=1
    ).live_through(five_days_of_hours)
    before, after = (seen["snapshots"] for seen in night.seen)
    assert len(before) > 5 * 24
    newest_s = before[-1][0]
    first_of = {}  # by window of 24 hours, counted back from the newest
    for time_s, _ in before:
        if newest_s - 3 * DAY_S <= time_s < newest_s - DAY_S:
            first_of.setdefault((time_s - newest_s) // DAY_S, time_s)
    assert len(first_of) == 2
    whole = {time_s for time_s, _ in before if time_s >= newest_s - DAY_S}
    retained = {time_s for time_s, retain in before if retain}
    assert len(retained) == 1
    kept = {time_s for time_s, _ in after if time_s <= newest_s}
    assert kept == {*first_of.values(), *whole, *retained}
    assert night.seen[1]["listed"] == [time_s for time_s, _ in after]


def test_results_are_kept_for_ever_where_nothing_is_said(rig: Any):
    night = Night(rig).live_through()
    assert min(night.seen[1]["buckets"]) == START_S
    assert len(night.seen[1]["records"]) >= len(night.seen[0]["records"]) > 0


def test_results_and_our_annotations_end_and_peoples_stay(rig: Any):
    old_s, new_s = START_S + HOUR_S, NOW_S + HOUR_S

    def annotate(rig: Any) -> None:
        with rig.store._transaction() as connection:
            add_user_annotation(connection, note(1, "jane", old_s))
            for number, time_s in enumerate((old_s, new_s), start=2):
                row = note(number, SYSTEM_USER, time_s)
                connection.execute(results_schema.job_annotations.insert().values(**row))

    night = Night(rig, resultsRetentionDays=1).live_through(annotate)
    before, after = night.seen
    oldest_s = max(before["buckets"]) - DAY_S
    for kind in ("buckets", "model_plot"):
        assert min(before[kind]) < oldest_s - HOUR_S, "nothing to delete: the test says nothing"
        assert min(after[kind]) == pytest.approx(oldest_s, abs=1.0 + 900.0)
    assert all(time_s >= oldest_s for kind in ("records", "influencers") for time_s in after[kind])
    told = {one for one in before["notes"] if one[0] in {old_s, new_s}}
    assert told == {(old_s, "jane"), (old_s, SYSTEM_USER), (new_s, SYSTEM_USER)}
    left = {one for one in after["notes"] if one[0] in {old_s, new_s}}
    assert left == {(old_s, "jane"), (new_s, SYSTEM_USER)}
