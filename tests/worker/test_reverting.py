"""Going back to a snapshot, with and without deleting what came after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
def settled(rig: Rig) -> Rig:
    """A worker with a snapshot, and twenty buckets and a spike after it."""
    rig.run_until(rig.clock.now + 2 * SPAN_S)
    rig.kept = rig.snapshots.list()[-1]  # type: ignore[attr-defined]
    rig.run_until(rig.spike_until_s + 20 * SPAN_S)
    return rig


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
    settled.job = wish(kept.snapshot_id, delete=False)
    settled.source.reads.clear()
    run_through(settled, settled.clock.now + 3 * SPAN_S)
    assert before.items() <= settled.store.records.items()
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


def test_a_snapshot_that_is_not_there_changes_nothing(settled: Rig) -> None:
    before = dict(settled.store.buckets)
    settled.job = wish("12345", delete=True)
    run_through(settled, settled.clock.now + 1)
    assert before.items() <= settled.store.buckets.items()


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
