"""Killed at any instant, a worker ends with exactly what an uninterrupted one has."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anomaly_operator.adapters.journal import FileJournal
from anomaly_operator.adapters.snapshot_store import open_snapshot_store
from anomaly_operator.ports import MetricSource
from tests.support.jobs import START_S, UID, job_json
from tests.worker.conftest import SPAN_S, Rig


class Killed(BaseException):
    """Ends the worker where it stands; nothing catches it."""


class Guillotine:
    """Stands before every port and strikes at the n-th call, before or after its effect."""

    def __init__(self, strike_at: int, *, after: bool) -> None:
        self.calls = 0
        self.strike_at = strike_at
        self.after = after

    def around(self, port: Any, names: tuple[str, ...]) -> Any:
        return _Guarded(port, names, self)


class _Guarded:
    def __init__(self, port: Any, names: tuple[str, ...], guillotine: Guillotine) -> None:
        self._port = port
        self._names = names
        self._guillotine = guillotine

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in self._names:
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self._guillotine.calls += 1
            strike = self._guillotine.calls == self._guillotine.strike_at
            if strike and not self._guillotine.after:
                raise Killed
            result = method(*args, **kwargs)
            if strike:
                raise Killed
            return result

        return call


def run_with_kills(rig: Rig, until_s: float, *, chance: random.Random, kills: int) -> int:
    """Run to a time, killed again and again at random port calls; returns kills that struck."""
    rig.clock.stop_at = until_s
    struck = 0
    for number in range(kills + 1):
        last = number == kills
        strike_at = 10**9 if last else chance.randint(1, 60)
        guillotine = Guillotine(strike_at, after=chance.random() < 0.5)
        try:
            rig.start(
                store=guillotine.around(rig.store, ("write", "flush", "keep_snapshots")),
                snapshots=guillotine.around(rig.snapshots, ("save", "load", "delete")),
                journal=guillotine.around(rig.journal, ("append", "rotate", "forget")),
                source=guillotine.around(rig.source, ("read",)),
            ).run()
        except Killed:
            struck += 1
        else:
            break
    return struck


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_random_calls_it_ends_with_the_same_records(seed: int):
    chance = random.Random(seed)
    until_s = START_S + 3 * 86400 + 30 * SPAN_S
    killed, undisturbed = Rig(), Rig()
    struck = run_with_kills(killed, until_s, chance=chance, kills=12)
    undisturbed.run_until(until_s)

    assert struck >= 5
    assert killed.store.records == undisturbed.store.records
    assert killed.store.buckets == undisturbed.store.buckets
    assert killed.status["dataCounts"] == undisturbed.status["dataCounts"]
    assert killed.status["anomalies"] == undisturbed.status["anomalies"]
    assert killed.status["recentAnomalies"] == undisturbed.status["recentAnomalies"]
    told = {each.key: each.message for each in killed.recorder.announcements}
    assert told == {e.key: e.message for e in undisturbed.recorder.announcements}, (
        "told under the same keys, so that the API server knows a repeat"
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_same_with_real_files_and_counters(seed: int, tmp_path: Path):
    """Counters need the sample before the bucket: it must survive in snapshot and journal."""
    chance = random.Random(100 + seed)
    until_s = START_S + 3 * 86400 + 30 * SPAN_S
    rigs = []
    for name in ("killed", "undisturbed"):
        rig = Rig()
        rig.source.kind = type(rig.source.kind)("counter")
        wave = rig.source.value
        rig.source.value = _cumulative(wave)
        rig.snapshots = open_snapshot_store(str(tmp_path / name / "snapshots"), UID, shard=0)
        rig.journal = FileJournal(tmp_path / name / "journal")
        rigs.append(rig)
    killed, undisturbed = rigs
    assert run_with_kills(killed, until_s, chance=chance, kills=10) >= 4
    undisturbed.run_until(until_s)
    for rig in rigs:
        rig.journal.close()  # a process that is killed has no files open any more
    assert killed.store.buckets == undisturbed.store.buckets
    assert killed.store.records == undisturbed.store.records
    assert killed.status["dataCounts"] == undisturbed.status["dataCounts"]


def _cumulative(rate: Callable[..., Any]) -> Callable[..., Any]:
    """Return a counter that grows with the rate's level, as a closed formula of time."""

    def counter(metric: str, pod: str, times: Any) -> Any:
        return (times - START_S + 1e6) * 1e3 + rate(metric, pod, times) / 1e3

    return counter


def test_a_source_without_history_keeps_its_open_bucket_over_a_kill():
    """Samples of the open bucket are in the journal: nobody could be asked for them again."""
    until_s = START_S + 3 * 86400 + 6.5 * SPAN_S
    rigs = [Rig(history=False), Rig(history=False)]
    rigs[0].clock.stop_at = until_s
    guillotine = Guillotine(150, after=True)
    with pytest.raises(Killed):
        rigs[0].start(
            journal=guillotine.around(rigs[0].journal, ("append",)),
        ).run()
    middle = (rigs[0].clock.now - START_S) % SPAN_S
    assert 60 < middle < 840, "killed in the middle of a bucket"
    rigs[0].start().run()
    rigs[1].run_until(until_s)
    assert rigs[0].store.buckets == rigs[1].store.buckets


@pytest.mark.parametrize("hours", [1, 5, 50])
def test_after_an_outage_of_hours_nothing_is_missing(rig: Rig, hours: int):
    """What the source has of the outage is read at once and judged as if there had been none."""
    rig.run_until(rig.clock.now + 2 * SPAN_S)
    rig.clock.now += hours * 3600
    until_s = rig.clock.now + 3 * SPAN_S
    rig.run_until(until_s)
    undisturbed = Rig()
    undisturbed.run_until(until_s)
    assert rig.store.buckets == undisturbed.store.buckets
    assert rig.store.records == undisturbed.store.records
    assert rig.status["dataCounts"] == undisturbed.status["dataCounts"]


def test_a_torn_snapshot_gives_way_to_the_one_before(rig: Rig):
    until_s = rig.clock.now + 20 * SPAN_S
    rig.run_until(rig.clock.now + 9 * SPAN_S)
    rig.run_until(rig.clock.now + SPAN_S)
    assert len(rig.snapshots.list()) >= 3
    rig.snapshots.torn = {rig.snapshots.list()[-1].snapshot_id}
    rig.source.reads.clear()
    rig.run_until(until_s)
    undisturbed = Rig()
    undisturbed.run_until(until_s)
    assert rig.store.records == undisturbed.store.records
    assert rig.store.buckets == undisturbed.store.buckets
    assert "ModelReset" not in rig.recorder.reasons()
    assert min(r.start_s for r in rig.source.reads) > START_S + 3 * 86400 - 600, (
        "the journal reached back to the older snapshot; the past was not asked for again"
    )


def test_when_no_snapshot_can_be_used_it_starts_afresh_and_says_so(rig: Rig):
    rig.run_until(rig.clock.now + 3 * SPAN_S)
    rig.snapshots.torn = {info.snapshot_id for info in rig.snapshots.list()}
    before = dict(rig.store.buckets)
    rig.run_until(rig.clock.now + 2 * SPAN_S)
    assert rig.recorder.reasons().count("ModelReset") == 1
    told = next(each for each in rig.recorder.announcements if each.reason == "ModelReset")
    assert told.warning
    assert "learning starts afresh" in told.message
    assert set(before) <= set(rig.store.buckets)


def test_a_snapshot_of_another_detector_is_not_used(rig: Rig):
    rig.run_until(rig.clock.now + 2 * SPAN_S)
    document = job_json().replace(UID.encode(), UID[:-1].encode() + b"9")
    rig.job = document
    rig.run_until(rig.clock.now + 2 * SPAN_S)
    assert "ModelReset" in rig.recorder.reasons()


def test_a_rule_that_came_in_between_is_replayed_in_its_place(rig: Rig):
    """After a kill, buckets from before the rule are judged without it, as they first were."""
    rule = {
        "actions": ["skip_result"],
        "conditions": [{"appliesTo": "actual", "operator": "gt", "value": 0}],
    }
    detector = {"metric": "memory_usage", "function": "high_max", "by": "pod"}
    new = job_json(spec={"detectors": [{**detector, "customRules": [rule]}]}, generation=2)
    rigs = [rig, Rig()]
    until_s = rig.spike_until_s + 2 * SPAN_S
    for each in rigs:
        each.clock.schedule(
            each.spike_from_s + SPAN_S + 120, lambda each=each: setattr(each, "job", new)
        )
        each.clock.stop_at = until_s
    guillotine = Guillotine(10**9, after=False)
    rig.clock.schedule(
        rig.spike_from_s + 2 * SPAN_S + 200,
        lambda: setattr(guillotine, "strike_at", guillotine.calls + 1),
    )
    with pytest.raises(Killed):
        rig.start(journal=guillotine.around(rig.journal, ("append",))).run()
    rig.start().run()
    rigs[1].start().run()
    assert rig.store.records == rigs[1].store.records
    assert rig.store.records


def test_ports_are_what_the_guillotine_stands_before(rig: Rig):
    """The guard passes everything else through unchanged."""
    source: MetricSource = Guillotine(1, after=False).around(rig.source, ())
    assert source.catalogue() == rig.source.catalogue()
