"""Going back to a snapshot, with and without deleting what came after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from anomaly_operator.api.quantities import format_time
from anomaly_operator.worker.gathering import Share
from anomaly_operator.worker.loop import Ending
from tests.support.jobs import START_S, job_json
from tests.worker.conftest import SPAN_S, Rig


def wish(snapshot_id: str, *, delete: bool, number: int = 1) -> bytes:
    return job_json(
        generation=2,
        revert={
            "requestId": f"wish-{number}",
            "snapshotId": snapshot_id,
            "deleteInterveningResults": delete,
        },
    )


@pytest.fixture
def settled(later_rig: Rig) -> Rig:
    """A worker with a snapshot, and twenty buckets and a spike after it."""
    later_rig.run_until(later_rig.clock.now + 2 * SPAN_S)
    later_rig.kept = later_rig.snapshots.list()[-1]  # type: ignore[attr-defined]
    later_rig.run_until(later_rig.spike_until_s + 20 * SPAN_S)
    return later_rig


def run_through(rig: Rig, until_s: float) -> None:
    """Run as assembly does: a worker that wants a new start gets one, but not for ever."""
    rig.clock.stop_at = until_s
    for _ in range(3):
        if rig.start().run() is Ending.STOPPED:
            return
    pytest.fail("the worker starts anew again and again")


def test_with_deletion_the_time_after_the_snapshot_is_analysed_again(settled: Rig) -> None:
    """The same data give the same results; a result that should not be there is gone."""
    before = dict(settled.store.records)
    kept = settled.kept  # type: ignore[attr-defined]
    forged = next(iter(before))
    settled.store.records[(kept.timestamp_s + 900.0, 0, "forged")] = before[forged]
    settled.job = wish(kept.snapshot_id, delete=True)
    settled.source.reads.clear()
    run_through(settled, settled.clock.now + 1)
    assert settled.store.records == before
    assert min(r.start_s for r in settled.source.reads) < kept.timestamp_s + SPAN_S
    assert settled.status["appliedGeneration"] == 2


def test_without_deletion_it_goes_on_from_now(settled: Rig) -> None:
    before = dict(settled.store.records)
    kept = settled.kept  # type: ignore[attr-defined]
    newest = max(time_s for time_s, _ in settled.store.buckets)
    found = settled.status["recentAnomalies"]
    assert found
    settled.job = wish(kept.snapshot_id, delete=False)
    settled.source.reads.clear()
    run_through(settled, settled.clock.now + 3 * SPAN_S)
    assert before.items() <= settled.store.records.items()
    assert settled.status["recentAnomalies"] == found, "they stay, so they are still shown"
    assert min(r.start_s for r in settled.source.reads) > newest - SPAN_S
    assert max(time_s for time_s, _ in settled.store.buckets) > newest


def test_a_wish_is_carried_out_once(settled: Rig) -> None:
    kept = settled.kept  # type: ignore[attr-defined]
    settled.job = wish(kept.snapshot_id, delete=True)
    run_through(settled, settled.clock.now + 3 * SPAN_S)
    settled.source.reads.clear()
    run_through(settled, settled.clock.now + 2 * SPAN_S)
    assert min(r.start_s for r in settled.source.reads) > kept.timestamp_s + 10 * SPAN_S


def test_empty_is_from_scratch(settled: Rig) -> None:
    settled.job = wish("empty", delete=True)
    settled.source.reads.clear()
    run_through(settled, settled.clock.now + 1)
    assert min(r.start_s for r in settled.source.reads) < START_S
    assert settled.status["backfill"]["percent"] == 100.0


def told(rig: Rig) -> dict[str, Any]:
    """What the status says became of the wish."""
    entry: dict[str, Any] = rig.status["revert"]
    return {name: entry[name] for name in ("requestId", "snapshotId", "outcome", "message")}


def test_a_snapshot_that_is_not_there_changes_nothing_and_the_status_says_so(settled: Rig) -> None:
    before = dict(settled.store.buckets)
    kept = [info.snapshot_id for info in settled.snapshots.list()]
    settled.job = wish("12345", delete=True)
    run_through(settled, settled.clock.now + 1)
    assert before.items() <= settled.store.buckets.items()
    assert [info.snapshot_id for info in settled.snapshots.list()] == kept
    assert told(settled) == {
        "requestId": "wish-1",
        "snapshotId": "12345",
        "outcome": "refused",
        "message": "snapshot 12345: there is none of that name; there are: "
        + ", ".join(reversed(kept)),
    }
    assert "Reverted" not in settled.recorder.reasons(), "the operator tells of the refusal"


def test_a_wish_before_there_is_any_snapshot_is_refused_in_words(
    make_rig: Callable[..., Rig],
) -> None:
    """Whoever writes the annotation by hand may name anything, a path too."""
    rig = make_rig(days=1.0)
    rig.job = wish("../../etc/passwd", delete=True)
    rig.run_until(rig.clock.now + 1)
    assert told(rig)["message"] == (
        "snapshot ../../etc/passwd: there is none of that name, nor any other"
    )


def test_a_torn_snapshot_is_not_gone_back_to(settled: Rig) -> None:
    kept = settled.kept  # type: ignore[attr-defined]
    settled.snapshots.torn.add(kept.snapshot_id)
    settled.job = wish(kept.snapshot_id, delete=True)
    run_through(settled, settled.clock.now + 1)
    assert told(settled)["outcome"] == "refused"
    assert kept.snapshot_id in told(settled)["message"]


@pytest.mark.parametrize("delete", [True, False], ids=["delete", "keep"])
def test_what_was_done_is_told_and_survives_a_restart(settled: Rig, *, delete: bool) -> None:
    kept = settled.kept  # type: ignore[attr-defined]
    settled.job = wish(kept.snapshot_id, delete=delete)
    run_through(settled, settled.clock.now + 1)
    run_through(settled, settled.clock.now + 1)
    since = format_time(datetime.fromtimestamp(kept.timestamp_s, UTC))
    found = told(settled)
    assert found["outcome"] == "done"
    assert found["message"].startswith(f"went back to snapshot {kept.snapshot_id}, learnt until")
    assert since in found["message"]
    assert ("are deleted" if delete else "stay") in found["message"]
    reasons = settled.recorder.reasons()
    assert reasons.count("Reverted") == 1, "once, whatever starts again"
    assert "reverted to" in [one["description"] for one in settled.status["modelSnapshots"]]


def test_of_several_workers_each_goes_back_to_its_own_newest_before(
    make_rig: Callable[..., Rig],
) -> None:
    """Ids are times learnt until, and workers do not store at the same one."""
    rig = make_rig(days=1.0)
    rig.job = job_json(shards=2)
    rig.run_until(rig.clock.now + 2 * SPAN_S, share=Share(0, 2))
    (kept,) = rig.snapshots.list()[-1:]
    rig.run_until(rig.clock.now + 8 * SPAN_S, share=Share(0, 2))
    document = json.loads(wish(str(int(kept.timestamp_s + 3 * SPAN_S)), delete=True))
    rig.job = json.dumps(document | {"shards": 2}).encode()
    rig.clock.stop_at = rig.clock.now + 1
    rig.start(share=Share(0, 2)).run()
    assert told(rig)["outcome"] == "done"
    assert f"went back to snapshot {kept.snapshot_id}," in told(rig)["message"]


def test_without_a_past_to_ask_for_the_results_there_are_stay(make_rig: Callable[..., Rig]) -> None:
    """A kubelet cannot tell again what was: closing that time anew would make it empty."""
    rig = make_rig(history=False)
    rig.run_until(rig.clock.now + 4 * SPAN_S)
    kept = rig.snapshots.list()[-1]
    rig.run_until(rig.clock.now + 10 * SPAN_S)
    before = {key: told for key, told in rig.store.buckets.items() if told[1]}
    assert any(time_s >= kept.timestamp_s for time_s, _ in before)
    rig.job = wish(kept.snapshot_id, delete=False)
    run_through(rig, rig.clock.now + 5 * SPAN_S)
    assert before.items() <= rig.store.buckets.items()
    assert max(time_s for time_s, _ in rig.store.buckets) > max(time_s for time_s, _ in before)
