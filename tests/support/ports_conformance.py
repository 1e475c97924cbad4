"""What every implementation of a port must do, fake or real: laws as functions.

A test module runs each law of a suite against each implementation. A fake that broke a law would
make the loop's tests prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    BucketResult,
    DetectorSettings,
    Explanation,
    Outcome,
    PlannedEnd,
    Record,
    Rescore,
    SeriesKey,
    Side,
)
from anomaly_operator.errors import SnapshotRejected
from anomaly_operator.ports import (
    Advance,
    CloseEntry,
    Journal,
    JournalEntry,
    PlotSettings,
    ResultStore,
    SampleKind,
    Samples,
    SamplesEntry,
    SettingsEntry,
    SnapshotInfo,
    SnapshotStore,
)

MakeSnapshots = Callable[[], SnapshotStore]
MakeJournal = Callable[[], Journal]
MakeStore = Callable[[], ResultStore]

ARRAYS = {
    "level": np.linspace(0.0, 1.0, 7),
    "counts": np.arange(12, dtype=np.int32).reshape(3, 4),
    "warm": np.array([True, False]),
    "names": np.array(["cart-1", "päy"]),
    "empty": np.empty((0, 5), dtype=np.float32),
}


# --- snapshot stores


def what_is_saved_is_loaded_again(make: MakeSnapshots) -> None:
    """Names, shapes, types and bytes are the same, from a store opened anew too."""
    store = make()
    stored = store.save(SnapshotInfo("900", 900.0, 0, description="first"), ARRAYS)
    assert stored.size_bytes > 0
    for opened in (store, make()):
        loaded = opened.load("900")
        assert set(loaded) == set(ARRAYS)
        for name, array in ARRAYS.items():
            assert loaded[name].dtype == array.dtype
            np.testing.assert_array_equal(loaded[name], array)


def snapshots_are_listed_oldest_first(make: MakeSnapshots) -> None:
    """Ids, times and descriptions come back; a number that is shorter as text is not older."""
    store = make()
    for time_s in (9000.0, 900.0, 90000.0):
        store.save(SnapshotInfo(f"{time_s:.0f}", time_s, 0, description=f"at {time_s}"), ARRAYS)
    listed = make().list()
    assert [info.timestamp_s for info in listed] == [900.0, 9000.0, 90000.0]
    assert listed[1].description == "at 9000.0"
    assert all(info.size_bytes > 0 for info in listed)


def saving_under_one_name_replaces(make: MakeSnapshots) -> None:
    """The same bucket stored twice is one snapshot, the later one."""
    store = make()
    store.save(SnapshotInfo("900", 900.0, 0), ARRAYS)
    store.save(SnapshotInfo("900", 900.0, 0), {"level": np.zeros(3)})
    assert len(store.list()) == 1
    assert set(store.load("900")) == {"level"}


def deleted_snapshots_are_gone_and_absent_ones_no_error(make: MakeSnapshots) -> None:
    """Deleting is what maintenance repeats after a crash."""
    store = make()
    store.save(SnapshotInfo("900", 900.0, 0), ARRAYS)
    store.delete(["900", "never"])
    store.delete(["900"])
    assert list(store.list()) == []
    with pytest.raises(SnapshotRejected):
        store.load("900")


SNAPSHOT_STORE_LAWS = (
    what_is_saved_is_loaded_again,
    snapshots_are_listed_oldest_first,
    saving_under_one_name_replaces,
    deleted_snapshots_are_gone_and_absent_ones_no_error,
)


# --- journals


def some_samples(through_s: float, *, pods: tuple[str, ...] = ("cart-1", "pay-1")) -> SamplesEntry:
    """Return an entry with two samples a pod; the order of pods changes from entry to entry."""
    ordered = pods if int(through_s) % 2 else pods[::-1]
    series = tuple({"namespace": "shop", "pod": pod} for pod in ordered)
    count = len(series)
    return SamplesEntry(
        detector_index=0,
        start_s=through_s - 60,
        through_s=through_s,
        samples=Samples(
            kind=SampleKind.GAUGE,
            series=series,
            index=np.repeat(np.arange(count, dtype=np.int32), 2),
            time_s=np.tile(np.array([through_s - 60, through_s - 30]), count),
            value=np.linspace(1.0, 2.0, 2 * count),
            ends=(PlannedEnd("shop", pods[0], through_s - 5.5, through_s),),
        ),
    )


def same_entry(one: JournalEntry, other: JournalEntry) -> bool:
    """Whether two entries say the same; arrays are compared by content."""
    if not isinstance(one, SamplesEntry) or not isinstance(other, SamplesEntry):
        return one == other

    def plain(entry: SamplesEntry) -> tuple[object, ...]:
        samples = entry.samples
        about = (entry.detector_index, entry.start_s, entry.through_s)
        return (*about, samples.kind, samples.series, samples.ends)

    return plain(one) == plain(other) and all(
        np.array_equal(getattr(one.samples, name), getattr(other.samples, name))
        for name in ("index", "time_s", "value")
    )


def assert_same(found: list[JournalEntry], expected: list[JournalEntry]) -> None:
    """Compare entry by entry."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert same_entry(one, other), f"{one} is not {other}"


def entries_come_back_in_order(make: MakeJournal) -> None:
    """From the journal itself, and from one opened anew after a kill without close."""
    journal = make()
    journal.rotate(0.0)
    entries: list[JournalEntry] = [
        SettingsEntry(b'{"a": 1}'),
        some_samples(61.0),
        some_samples(120.0, pods=("cart-1", "new-1")),
        CloseEntry(900.0, live=True),
        some_samples(181.0),
    ]
    for entry in entries:
        journal.append(entry)
    assert_same(list(journal.replay(0.0)), entries)
    assert_same(list(make().replay(-1.0)), entries)


def a_replay_begins_at_a_segment(make: MakeJournal) -> None:
    """What a snapshot stands for is not replayed, but is there for the snapshot before."""
    journal = make()
    journal.rotate(0.0)
    journal.append(CloseEntry(900.0, live=True))
    journal.rotate(900.0)
    journal.append(CloseEntry(1800.0, live=True))
    assert list(journal.replay(900.0)) == [CloseEntry(1800.0, live=True)]
    assert len(list(journal.replay(0.0))) == 2
    journal.forget(900.0)
    assert list(journal.replay(-1.0)) == [CloseEntry(1800.0, live=True)]


def appending_goes_on_after_opening_anew(make: MakeJournal) -> None:
    """A worker that restarts twice within one segment has one journal."""
    expected: list[JournalEntry] = []
    for turn in range(3):
        journal = make()
        journal.rotate(0.0)
        entry = some_samples(100.0 + turn)
        journal.append(entry)
        expected.append(entry)
        journal.close()
    assert_same(list(make().replay(0.0)), expected)


JOURNAL_LAWS = (
    entries_come_back_in_order,
    a_replay_begins_at_a_segment,
    appending_goes_on_after_opening_anew,
)


# --- result stores

EXPLANATION = Explanation(
    anomaly_type="spike",
    anomaly_length=1,
    single_bucket_impact=12,
    multi_bucket_impact=0,
    anomaly_characteristics_impact=0,
    lower_confidence_bound=1.0,
    typical_value=2.0,
    upper_confidence_bound=3.0,
    high_variance_penalty=False,
    incomplete_bucket_penalty=False,
    sentence="4x higher than typical for a Saturday 09:00",
)
CART = SeriesKey("", "shop/cart", "cart-1")
SETTINGS = AnalysisSettings(
    span_s=900.0,
    detectors=(
        DetectorSettings(0, "memory_usage", "high_max", Side.HIGH, by="pod", partition_field=""),
    ),
    influencers=("pod",),
)


def a_record(time_s: float, *, score: float = 80.0, log_p: float = -30.0) -> Record:
    """Return a record of the cart's pod."""
    return Record(
        timestamp_s=time_s,
        span_s=900.0,
        detector_index=0,
        series=CART,
        labels={"namespace": "shop", "workload": "cart", "pod": "cart-1"},
        actual=8.0,
        typical=2.0,
        log_p=log_p,
        multi_bucket_impact=-5.0,
        initial_record_score=score,
        record_score=score,
        influencers=(("pod", "cart-1"),),
        explanation=EXPLANATION,
        summary="4x higher",
    )


def an_advance(
    time_s: float,
    *,
    records: tuple[Record, ...] = (),
    rescores: tuple[Rescore, ...] = (),
    plot: PlotSettings | None = None,
) -> Advance:
    """Return one bucket's advance."""
    bucket = BucketResult(time_s, 900.0, "", 10.0, 10.0, 4, len(records))
    return Advance(
        settings=SETTINGS,
        plot=plot or PlotSettings(),
        blocks=(),
        outcome=Outcome((bucket,), records, (), rescores=rescores),
        start_s=time_s,
        end_s=time_s + 900.0,
        live=True,
    )


def writing_twice_is_writing_once(make: MakeStore) -> None:
    """A replay writes the same rows again, not more of them."""
    store = make()
    advance = an_advance(900.0, records=(a_record(900.0),))
    store.write(advance)
    store.write(advance)
    assert store.latest_bucket_s() == 900.0
    assert store.delete_results(before_s=1e12) == 2, "one bucket and one record"


def results_are_deleted_by_age_and_from_a_time_on(make: MakeStore) -> None:
    """Retention deletes the old, a revert the new; the rest stays."""
    store = make()
    for bucket in range(5):
        store.write(an_advance(900.0 * bucket))
    assert store.delete_results(before_s=900.0) == 1
    assert store.delete_results(from_s=3600.0) == 1
    assert store.latest_bucket_s() == 2700.0
    assert store.delete_results() == 0, "nothing was asked for"


def an_empty_store_has_no_latest_bucket(make: MakeStore) -> None:
    """Retention is relative to the latest bucket, so there must be one."""
    assert make().latest_bucket_s() is None


RESULT_STORE_LAWS = (
    writing_twice_is_writing_once,
    results_are_deleted_by_age_and_from_a_time_on,
    an_empty_store_has_no_latest_bucket,
)
