"""The worker's loop: backfill, live, trouble outside, and being told things."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from anomaly_operator.api.job import digest_of
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import Advance, Samples
from anomaly_operator.worker.gathering import Share
from anomaly_operator.worker.loop import Ending
from tests.support.jobs import START_S, job_json, rfc3339
from tests.worker.conftest import SPAN_S, Rig

DAY_S = 86400.0


def test_analyses_the_past_in_chunks_and_then_follows_live(rig: Rig):
    """Every bucket from the start is judged exactly once, and progress reaches 100 %."""
    ending = rig.run_until(rig.clock.now + 5 * SPAN_S)

    due = np.floor((rig.clock.now - 90) / SPAN_S) * SPAN_S
    times = sorted(time for time, partition in rig.store.buckets if partition == "")
    assert ending is Ending.STOPPED
    assert times[0] == START_S
    assert np.all(np.diff(times) == SPAN_S)
    assert due - times[-1] in {SPAN_S, 2 * SPAN_S}
    assert rig.status["backfill"]["percent"] == 100.0
    assert rig.status["dataCounts"]["bucketCount"] == len(times)
    percents = [entry["backfill"]["percent"] for entry in rig.recorder.entries]
    assert percents == sorted(percents)
    assert percents[0] < 50


def test_reads_backfill_in_large_blocks(rig: Rig):
    """Three days of 288 buckets take a handful of reads, not one a bucket."""
    rig.run_until(rig.clock.now + 1)
    backfill = [r for r in rig.source.reads if r.end_s <= START_S + 3 * DAY_S]
    assert len(backfill) <= 10
    starts = [r.start_s for r in backfill[1:]]
    assert starts == [r.end_s for r in backfill[:-1]], "no time is read twice or left out"


def test_a_bucket_closes_once_its_end_and_the_query_delay_have_passed(rig: Rig):
    rig.run_until(rig.clock.now + 10 * SPAN_S)
    closed: dict[float, float] = {}
    rig2 = Rig()
    write = rig2.store.write

    def noting(advance: Advance) -> None:
        closed.setdefault(advance.end_s, rig2.clock.now)
        write(advance)

    rig2.store.write = noting
    rig2.run_until(rig2.clock.now + 10 * SPAN_S)
    live = {end: at for end, at in closed.items() if end > START_S + 3 * DAY_S}
    assert len(live) >= 8
    for end, at in live.items():
        assert 90 <= at - end <= 90 + 6, "not before its samples are in, nor seconds later"


def test_an_anomaly_is_recorded_announced_once_and_ends(later_rig: Rig):
    """A pod that uses four times its memory for three buckets: one start, one end, no flood."""
    later_rig.run_until(later_rig.spike_until_s + 24 * SPAN_S)

    scores = {
        key[0]: record[1]
        for key, record in later_rig.store.records.items()
        if key[2].member == "pay-1"
    }
    assert max(scores.values()) >= 50
    reasons = later_rig.recorder.reasons()
    assert reasons.count("AnomalyStarted") == 1
    assert reasons.count("AnomalyEnded") == 1
    about_pods = {each.pod for each in later_rig.recorder.announcements if each.pod}
    assert about_pods == {("shop", "pay-1")}
    started = next(e for e in later_rig.recorder.announcements if e.reason == "AnomalyStarted")
    assert started.warning
    assert started.message.startswith("memory_usage of pod shop/pay-1 is ")
    assert "MiB, typical" in started.message
    assert later_rig.condition("AnomalyDetected")["status"] == "False", "it is over"
    assert later_rig.status["recentAnomalies"][0]["entity"] == "pay-1"


def test_history_makes_no_events(later_rig: Rig):
    """An anomaly of the backfill is in the results and the status, but nobody is told of it."""
    later_rig.spike_from_s = START_S + 3.9 * DAY_S
    later_rig.spike_until_s = later_rig.spike_from_s + 3 * SPAN_S
    later_rig.run_until(later_rig.clock.now + 1)
    assert any(record[1] >= 50 for record in later_rig.store.records.values())
    assert later_rig.status["recentAnomalies"]
    assert later_rig.recorder.announcements == []


def test_a_source_that_is_away_costs_time_but_no_bucket(rig: Rig):
    """While it is away time stands still; back-off grows; when it is back nothing is missing."""
    away_from, back_at = rig.clock.now + 2 * SPAN_S, rig.clock.now + 6 * SPAN_S
    failure = SourceUnavailable("prometheus http://prom: 503", reason="SourceUnavailable")
    rig.clock.schedule(away_from, lambda: setattr(rig.source, "failure", failure))
    rig.clock.schedule(back_at, lambda: setattr(rig.source, "failure", None))
    rig.run_until(back_at - 1)
    assert rig.condition("SourceReady") == {
        **rig.condition("SourceReady"),
        "status": "False",
        "reason": "SourceUnavailable",
        "message": "prometheus http://prom: 503",
    }
    position = rig.parts.journal and max(time for time, _ in rig.store.buckets)
    assert position < away_from
    failed = [r for r in rig.source.reads if r.end_s > position + 2 * SPAN_S]
    assert 0 < len(failed) < 100, "it was asked with back-off, not in a busy loop"

    rig.run_until(back_at + 3 * SPAN_S)
    undisturbed = Rig()
    undisturbed.run_until(back_at + 3 * SPAN_S)
    assert rig.store.buckets == undisturbed.store.buckets
    assert rig.store.records == undisturbed.store.records
    assert rig.condition("SourceReady")["status"] == "True"


@pytest.mark.parametrize("what", ["store", "snapshots", "journal", "all"])
def test_a_full_disk_loses_nothing(what: str):
    """Whatever cannot be written for a while, the results in the end are the same."""
    rig, undisturbed = Rig(), Rig()
    parts = {"store": rig.store, "snapshots": rig.snapshots, "journal": rig.journal}
    broken = list(parts.values()) if what == "all" else [parts[what]]
    full_from, free_at = rig.clock.now + 3 * SPAN_S, rig.clock.now + 9 * SPAN_S

    def fill(*, full: bool) -> None:
        for part in broken:
            part.failing = full

    rig.clock.schedule(full_from, lambda: fill(full=True))
    rig.clock.schedule(free_at, lambda: fill(full=False))
    rig.clock.stop_at = free_at + 5 * SPAN_S
    said: list[str] = []
    rig.clock.schedule(
        free_at - SPAN_S, lambda: said.append(rig.condition("ResultsStored")["status"])
    )
    rig.start().run()
    undisturbed.run_until(free_at + 5 * SPAN_S)

    assert rig.store.records == undisturbed.store.records
    assert rig.store.buckets == undisturbed.store.buckets
    assert rig.store.records
    if what in {"store", "all"}:
        assert said == ["False"]
    assert rig.condition("ResultsStored")["status"] == "True"


def test_a_worker_starts_on_a_disk_that_takes_nothing(rig: Rig):
    """It analyses as far as memory allows, says so, and delivers all of it later."""
    rig.store.failing = rig.snapshots.failing = rig.journal.failing = True
    rig.snapshots.list = list
    rig.clock.schedule(rig.clock.now + SPAN_S, lambda: setattr(rig.store, "failing", False))
    rig.run_until(rig.clock.now + 3 * SPAN_S)
    assert rig.condition("ResultsStored")["status"] == "True"
    assert len(rig.store.buckets) >= 288


@pytest.mark.parametrize("back_s", [1.0, 1000.0, 7 * 86400.0])
def test_a_clock_that_goes_back_judges_no_bucket_twice(rig: Rig, back_s: float):
    """Buckets come in order and once, whatever the clock does."""
    ends: list[float] = []
    write = rig.store.write

    def noting(advance: Advance) -> None:
        ends.append(advance.end_s)
        write(advance)

    rig.store.write = noting
    jumped_at = rig.clock.now + 3 * SPAN_S

    def jump() -> None:
        rig.clock.now -= back_s

    rig.clock.schedule(jumped_at, jump)
    rig.clock.schedule(jumped_at - back_s + 10, lambda: None)
    rig.clock.stop_at = jumped_at + 3 * SPAN_S
    loop = rig.start()
    rig.parts.clock.at.append((jumped_at + 3 * SPAN_S, rig.clock.stop))
    waits = 0
    wait = rig.clock.wait

    def bounded(seconds: float) -> bool:
        nonlocal waits
        waits += 1
        return wait(seconds) and waits < 3000

    rig.clock.wait = bounded
    loop.run()
    assert ends == sorted(set(ends))
    assert max(ends) >= jumped_at - SPAN_S - 90


def test_a_source_without_history_begins_now(make_rig: Callable[..., Rig]):
    """Kubelets cannot be asked for the past: the first bucket is the next whole one."""
    rig = make_rig(history=False)
    rig.source.history = False
    began = rig.clock.now
    rig.run_until(began + 4 * SPAN_S)
    first = min(time for time, _ in rig.store.buckets)
    assert began <= first < began + SPAN_S
    assert all(request.end_s - request.start_s <= 60 for request in rig.source.reads[1:])


def test_settings_that_can_change_live_hold_for_new_results_only(later_rig: Rig):
    """A rule that arrives in the middle is applied within a poll, and its generation reported."""
    rule = {
        "actions": ["skip_result"],
        "conditions": [{"appliesTo": "actual", "operator": "gt", "value": 0}],
    }
    detectors = [
        {"metric": "memory_usage", "function": "high_max", "by": "pod", "customRules": [rule]}
    ]
    new = job_json(spec={"detectors": detectors}, generation=2)
    first_spike_bucket = later_rig.spike_from_s
    later_rig.clock.schedule(
        later_rig.spike_from_s + SPAN_S + 120, lambda: setattr(later_rig, "job", new)
    )  # after the spike's first bucket was judged
    later_rig.run_until(later_rig.spike_until_s + 4 * SPAN_S)
    spikes = {
        k[0] for k, v in later_rig.store.records.items() if k[2].member == "pay-1" and v[1] > 50
    }
    assert spikes == {first_spike_bucket}, "recorded before the rule, withheld after"
    assert later_rig.status["appliedGeneration"] == 2


def test_settings_that_the_engine_is_built_from_end_the_loop_with_a_snapshot(rig: Rig):
    new = job_json(spec={"analysisLimits": {"modelMemoryLimit": "64mb"}}, generation=2)
    rig.clock.schedule(rig.clock.now + 2 * SPAN_S, lambda: setattr(rig, "job", new))
    ending = rig.run_until(rig.clock.now + 10 * SPAN_S)
    assert ending is Ending.REOPEN
    newest = rig.snapshots.list()[-1]
    assert newest.timestamp_s == max(time for time, _ in rig.store.buckets) + SPAN_S
    again = rig.run_until(rig.clock.now + 5 * SPAN_S)
    assert again is Ending.STOPPED
    assert rig.status["appliedGeneration"] == 2
    assert rig.status["modelSizeStats"]["modelBytesMemoryLimit"] == 64 * 2**20
    undisturbed = Rig()
    undisturbed.run_until(rig.clock.now)
    assert set(rig.store.buckets) == set(undisturbed.store.buckets)


def test_a_suspended_job_stores_its_models_and_waits(rig: Rig):
    rig.run_until(rig.clock.now + 3 * SPAN_S)
    buckets = len(rig.store.buckets)
    rig.job = job_json(suspended=True, generation=2)
    rig.run_until(rig.clock.now + 10 * SPAN_S)
    assert len(rig.store.buckets) == buckets
    assert rig.status["appliedGeneration"] == 2
    assert rig.recorder.figures.state == "suspended"
    rig.job = job_json(generation=3)
    rig.run_until(rig.clock.now + 1)
    assert len(rig.store.buckets) > buckets + 5, "what was missed is caught up with"


RULE = {"metric": "memory_usage", "customRules": [{"scope": {"pod": {"filterId": "batch"}}}]}
NO_FILTER = job_json(generation=2, spec={"detectors": [RULE]}, filters={})
REFUSED = {
    "no JSON": (b"{broken", "job.json: is not JSON: "),
    "of another version": (
        orjson.dumps(orjson.loads(job_json()) | {"version": 2}),
        "version: ",
    ),
    "with a filter that is not there": (
        NO_FILTER,
        "spec.detectors[0].customRules[0].scope.pod.filterId: AnomalyFilter 'batch' is not in",
    ),
}


@pytest.mark.parametrize(("document", "said"), REFUSED.values(), ids=REFUSED)
def test_a_job_document_that_is_refused_changes_nothing_and_is_told_of(
    rig: Rig, document: bytes, said: str
):
    """Until it is one that can be followed."""
    began_s = rig.clock.now
    good = rig.job
    seen: list[Any] = []
    rig.clock.schedule(began_s + SPAN_S, lambda: setattr(rig, "job", document))
    rig.clock.schedule(began_s + 3 * SPAN_S, lambda: seen.append(rig.status))
    rig.clock.schedule(began_s + 3 * SPAN_S, lambda: setattr(rig, "job", good))
    rig.run_until(began_s + 5 * SPAN_S)
    (during,) = seen
    (followed,) = [one for one in during["conditions"] if one["type"] == "JobFollowed"]
    assert (followed["status"], followed["reason"]) == ("False", "JobRefused")
    assert followed["message"].startswith(said)
    assert during["refusedDocument"] == digest_of(document)
    assert during["appliedDocument"] == digest_of(good)
    assert during["appliedGeneration"] == 1
    assert len(rig.store.buckets) >= 288 + 3
    assert rig.condition("JobFollowed")["status"] == "True"
    assert "refusedDocument" not in rig.status


def test_a_worker_that_starts_with_a_refused_document_goes_on_with_the_last_one(rig: Rig):
    rig.run_until(rig.clock.now + 2 * SPAN_S)
    before = len(rig.store.buckets)
    rig.job = NO_FILTER
    rig.run_until(rig.clock.now + 4 * SPAN_S)
    assert len(rig.store.buckets) > before
    assert rig.status["appliedGeneration"] == 1
    assert rig.condition("JobFollowed")["reason"] == "JobRefused"
    assert rig.recorder.troubles == []


def refuse(rig: Rig, until_s: float) -> None:
    good, rig.job = rig.job, NO_FILTER
    rig.clock.schedule(until_s, lambda: setattr(rig, "job", good))


def take_snapshots_away(rig: Rig, until_s: float) -> None:
    rig.snapshots.failing = True
    rig.clock.schedule(until_s, lambda: setattr(rig.snapshots, "failing", False))


TROUBLES = {
    "a refused document": (refuse, "JobFollowed", "JobRefused", "AnomalyFilter 'batch'"),
    "no snapshots": (take_snapshots_away, "ResultsStored", "StoreUnavailable", "told to fail"),
}


@pytest.mark.parametrize(("hinder", "kind", "reason", "said"), TROUBLES.values(), ids=TROUBLES)
def test_a_worker_that_cannot_start_says_why_and_starts_when_it_can(
    rig: Rig, hinder: Callable[[Rig, float], None], kind: str, reason: str, said: str
):
    hinder(rig, rig.clock.now + 300.0)
    rig.run_until(rig.clock.now + 2 * SPAN_S)
    first = rig.recorder.troubles[0]
    assert (first["type"], first["status"], first["reason"]) == (kind, "False", reason)
    assert said in first["message"]
    assert rig.condition(kind)["status"] == "True"
    assert rig.status["backfill"]["percent"] == 100.0


def test_of_several_workers_each_has_an_equal_part_of_the_memory_limit(rig: Rig):
    rig.job = job_json(shards=4, spec={"analysisLimits": {"modelMemoryLimit": "100mb"}})
    rig.run_until(rig.clock.now + 1, share=Share(1, 4))
    assert rig.status["modelSizeStats"]["modelBytesMemoryLimit"] == 25 * 2**20


def test_of_a_past_without_samples_there_are_no_results(rig: Rig):
    """A start long before anything was measured fills no volume; a later gap is a gap."""
    gap = range(100, 104)

    def value(_metric: str, _pod: str, times: np.ndarray) -> np.ndarray:
        bucket = np.floor((times - START_S) / SPAN_S)
        return np.where((bucket < 0) | np.isin(bucket, gap), np.nan, 1e8)

    rig.source.value = value
    rig.job = job_json(spec={"start": rfc3339(START_S - 1000 * DAY_S)})
    rig.run_until(rig.clock.now + 2 * SPAN_S)
    stored = sorted(time_s for time_s, _ in rig.store.buckets)
    assert rig.status["backfill"]["percent"] == 100.0
    assert START_S - 7 * DAY_S < stored[0] <= START_S, "but for what was read with the first sample"
    assert set(np.diff(stored)) == {SPAN_S}


def test_series_of_other_shards_and_namespaces_are_dropped(make_rig: Callable[..., Rig]):
    """Two shards together have every series once; a worker shows nothing outside its namespaces."""
    seen = []
    for shard in (0, 1):
        rig = make_rig(days=0.5)
        rig.source.pods = [f"app{i}-1" for i in range(20)]
        rig.spike_from_s = START_S + 0.25 * DAY_S
        rig.job = job_json(shards=2)
        rig.run_until(rig.clock.now + 1, share=Share(shard, 2))
        seen.append(rig.status["modelSizeStats"]["seriesCount"])
    assert sum(seen) == 20
    assert min(seen) >= 4

    rig = make_rig(days=0.5)
    rig.job = job_json(namespaces=["elsewhere"])
    rig.run_until(rig.clock.now + 1)
    assert rig.status["modelSizeStats"]["seriesCount"] == 0


def test_empty_answers_are_buckets_without_data(rig: Rig):
    rig.source.pods = []
    rig.source.read = lambda request: Samples(  # noqa: ARG005
        kind=rig.source.kind,
        series=(),
        index=np.empty(0, np.int32),
        time_s=np.empty(0),
        value=np.empty(0),
    )
    rig.run_until(rig.clock.now + 1)
    assert rig.status["dataCounts"]["gapCount"] == 287
    assert rig.store.buckets == {}, "there was nothing to have results of"
    rig.run_until(rig.clock.now + 2 * SPAN_S)
    assert rig.status["dataCounts"]["gapCount"] == 289
    assert len(rig.store.buckets) == 2, "from now on somebody looks, and sees nothing"
    assert rig.store.records == {}
