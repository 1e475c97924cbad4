"""A pod that is deleted as planned is no anomaly; one that dies the same way without a plan is."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from anomaly_operator.adapters.journal import FileJournal
from anomaly_operator.engine.contract import PlannedEnd, Record
from anomaly_operator.ports import Advance
from tests.support.jobs import START_S, job_json
from tests.worker.conftest import SPAN_S, Rig, wavy
from tests.worker.test_recovery import run_with_kills

DAYS = 4  # since a Thursday: on a first weekend nothing is major
LOW = {"detectors": [{"metric": "memory_usage", "function": "low_mean", "by": "pod"}]}
ASKED_S = START_S + DAYS * 86400 + 5 * SPAN_S + 200.0  # inside a bucket
GONE_S = ASKED_S + 420.0
UNTIL_S = GONE_S + 6 * SPAN_S
END = PlannedEnd("shop", "pay-1", ASKED_S, GONE_S)


def draining_rig(*ends: PlannedEnd, asked_s: float = ASKED_S, history: bool = True) -> Rig:
    """From a time on pay-1 has 0.6 of its memory, and seven minutes later it is gone."""
    rig = Rig(days=DAYS, history=history)

    def value(metric: str, pod: str, times: np.ndarray) -> np.ndarray:
        values = 1e8 + (wavy(metric, pod, times) - 1e8) / 10
        if pod == "pay-1":
            values = np.where(times >= asked_s, 0.6 * values, values)
            values = np.where(times >= asked_s + GONE_S - ASKED_S, np.nan, values)
        return values

    rig.source.value = value
    rig.source.ends = ends
    rig.job = job_json(spec=LOW)
    return rig


def recorded(rig: Rig) -> set[tuple[str, float]]:
    """Who was anomalous, and how many buckets after the one in which the end was asked for."""
    begin_s = ASKED_S - ASKED_S % SPAN_S
    return {(key[2].member, (key[0] - begin_s) / SPAN_S) for key in rig.store.records}


def test_the_last_bucket_of_a_pod_that_was_deleted_is_no_anomaly() -> None:
    crashed, deleted = draining_rig(), draining_rig(END)
    crashed.run_until(UNTIL_S)
    deleted.run_until(UNTIL_S)
    assert ("pay-1", 0.0) in recorded(crashed)
    assert recorded(deleted) == recorded(crashed) - {("pay-1", 0.0)}
    assert "AnomalyStarted" in crashed.recorder.reasons()
    assert "AnomalyStarted" not in deleted.recorder.reasons()


def test_so_it_is_in_history() -> None:
    earlier_s = ASKED_S - 86400.0
    ends = PlannedEnd("shop", "pay-1", earlier_s, earlier_s + 420.0)
    crashed = draining_rig(asked_s=earlier_s)
    deleted = draining_rig(ends, asked_s=earlier_s)
    crashed.run_until(UNTIL_S)
    deleted.run_until(UNTIL_S)
    assert ("pay-1", -96.0) in recorded(crashed)
    assert ("pay-1", -96.0) not in recorded(deleted)


def test_another_tenants_end_changes_nothing() -> None:
    rig = draining_rig(PlannedEnd("bank", "pay-1", ASKED_S, GONE_S))
    rig.run_until(UNTIL_S)
    assert ("pay-1", 0.0) in recorded(rig)


class Kept:
    """A sink that keeps what the worker concluded."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, advance: Advance) -> None:
        self.records += advance.outcome.records

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(("gone_after_s", "few"), [(700.0, False), (300.0, True)])
def test_a_pod_that_dies_early_in_a_bucket_claims_less_and_says_so(
    gone_after_s: float, *, few: bool
) -> None:
    """Nobody planned it: it has a tenth of its memory from the bucket's start, and then none."""
    begin_s = ASKED_S - ASKED_S % SPAN_S
    rig, kept = draining_rig(), Kept()

    def value(metric: str, pod: str, times: np.ndarray) -> np.ndarray:
        values = 1e8 + (wavy(metric, pod, times) - 1e8) / 10
        if pod == "pay-1":
            values = np.where(times >= begin_s, 0.5 * values, values)
            values = np.where(times >= begin_s + gone_after_s, np.nan, values)
        return values

    rig.source.value = value
    rig.run_until(UNTIL_S, sinks=(kept,))
    (record,) = [one for one in kept.records if one.timestamp_s == begin_s]
    assert record.series.member == "pay-1"
    assert record.explanation.incomplete_bucket_penalty == few
    assert ("fewer samples" in record.explanation.sentence) == few


@pytest.mark.parametrize("seed", range(3))
def test_ends_survive_kills(seed: int, tmp_path: Path) -> None:
    """They are in journal and snapshot: the watch that told of them begins anew with a worker."""
    killed, undisturbed = draining_rig(END), draining_rig(END)
    killed.journal = FileJournal(tmp_path / "journal")
    assert run_with_kills(killed, UNTIL_S, chance=random.Random(seed), kills=12) >= 2
    killed.journal.close()
    undisturbed.run_until(UNTIL_S)
    assert killed.store.buckets == undisturbed.store.buckets
    assert killed.store.records == undisturbed.store.records
