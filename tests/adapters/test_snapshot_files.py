"""Snapshot files: whatever is wrong with one is found, and says what."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from anomaly_operator.adapters import array_files
from anomaly_operator.adapters.snapshot_store import open_snapshot_store
from anomaly_operator.errors import SnapshotRejected, StoreUnavailable
from anomaly_operator.ports import SnapshotInfo
from tests.support.alone import alone, traced
from tests.support.disk import full_at
from tests.support.ports_conformance import ARRAYS

INFO = SnapshotInfo("900", 900.0, 0)


def saved(folder: Path, owner: str = "uid-1") -> Path:
    open_snapshot_store(str(folder), owner, shard=0).save(INFO, ARRAYS)
    return folder / "900.snapshot"


def test_a_file_cut_anywhere_is_torn(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole = path.read_bytes()
    store = open_snapshot_store(str(tmp_path), "uid-1", shard=0)
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(SnapshotRejected, match=r"snapshot 900: torn"):
            store.load("900")
    assert [
        info.snapshot_id for info in open_snapshot_store(str(tmp_path), "uid-1", shard=0).list()
    ]


def test_any_flipped_bit_is_found(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole = bytearray(path.read_bytes())
    store = open_snapshot_store(str(tmp_path), "uid-1", shard=0)
    for position in range(0, len(whole), 5):
        flipped = bytearray(whole)
        flipped[position] ^= 0x10
        path.write_bytes(flipped)
        with pytest.raises(SnapshotRejected):
            store.load("900")


def test_a_newer_format_and_a_foreign_owner_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = bytearray(path.read_bytes())
    with pytest.raises(SnapshotRejected, match=r"belongs to detector uid-1, not to uid-2"):
        open_snapshot_store(str(tmp_path), "uid-2", shard=0).load("900")
    data[8] = 7
    path.write_bytes(data)
    with pytest.raises(SnapshotRejected, match=r"format version 7 is newer than this worker's 1"):
        open_snapshot_store(str(tmp_path), "uid-1", shard=0).load("900")


def test_nothing_but_plain_arrays_can_be_stored() -> None:
    """Objects would need pickle, and reading pickle runs code."""
    with pytest.raises(TypeError, match="not plain data"):
        array_files.encode({}, {"evil": np.array([object()])})
    forged = array_files.encode({}, {"a": np.zeros(2)}).replace(b"<f8", b"|O8")
    with pytest.raises(array_files.TornArrays):
        array_files.decode(forged)


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / ".1800.snapshot.999999999.tmp").write_bytes(b"half")
    listed = open_snapshot_store(str(tmp_path), "uid-1", shard=0).list()
    assert [info.snapshot_id for info in listed] == ["900"]
    assert [each.name for each in tmp_path.iterdir()] == ["900.snapshot"]


def test_a_full_disk_leaves_the_old_snapshot(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()
    large = {"level": np.zeros(100_000)}
    store = open_snapshot_store(str(tmp_path), "uid-1", shard=0)
    with full_at(64 * 1024), pytest.raises(StoreUnavailable, match=r"snapshot store .*: File too"):
        store.save(INFO, large)
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["900.snapshot"]
    store.save(INFO, large)
    assert set(store.load("900")) == {"level"}


def test_a_place_that_is_no_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = open_snapshot_store(str(tmp_path / "file"), "uid-1", shard=0)
    with pytest.raises(StoreUnavailable):
        store.save(INFO, ARRAYS)
    with pytest.raises(StoreUnavailable):
        store.list()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_unavailable(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        open_snapshot_store(str(tmp_path), "uid-1", shard=0).save(INFO, ARRAYS)


PAST = {"core": np.arange(2.0**20), "weekly": np.zeros((1000, 672), np.int16)}


def saved_past(folder: Path) -> tuple[int, int]:
    """Bytes of the snapshot, and the peak of what was allocated while it was written."""
    store = open_snapshot_store(str(folder), "uid-1", shard=0)
    stored, took = traced(lambda: store.save(INFO, PAST))
    return stored.size_bytes, took.peak


def test_a_snapshot_is_written_without_a_copy_of_it(tmp_path: Path) -> None:
    with alone() as process:
        size, peak = process.submit(saved_past, tmp_path).result()
    assert size == (tmp_path / "900.snapshot").stat().st_size
    assert peak < 0.1 * size
    for name, array in open_snapshot_store(str(tmp_path), "uid-1", shard=0).load("900").items():
        assert array.flags.writeable
        assert np.array_equal(array, PAST[name])


def test_what_is_not_contiguous_or_empty_is_stored_too() -> None:
    arrays = {
        "turned": np.arange(12.0).reshape(3, 4).T,
        "every other": np.arange(9)[::2],
        "empty": np.empty((0, 5), np.float32),
        "one number": np.array(2.5),
        "text": np.array(["a", "long"]),
    }
    meta, found = array_files.decode(array_files.encode({"n": 1}, arrays))
    assert meta == {"n": 1}
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert np.array_equal(found[name], array)


def test_ten_thousand_series_are_written_and_read_in_a_second(tmp_path: Path) -> None:
    """4 KiB a series, as engine.md allows: 40 MiB."""
    import time  # noqa: PLC0415 - this test alone measures

    store = open_snapshot_store(str(tmp_path), "uid-1", shard=0)
    arrays = {"state": np.random.default_rng(1).normal(size=(10_000, 512))}
    began = time.process_time()
    store.save(INFO, arrays)
    store.load("900")
    assert time.process_time() - began < 2.0
