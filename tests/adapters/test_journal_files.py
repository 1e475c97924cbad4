"""The journal's files after a kill and on a full disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from anomaly_operator.adapters.journal import FileJournal
from anomaly_operator.errors import StoreUnavailable
from anomaly_operator.ports import CloseEntry, JournalEntry
from tests.support.disk import full_at
from tests.support.ports_conformance import assert_same, some_samples


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FileJournal]:
    made = FileJournal(tmp_path)
    yield made
    made.close()


def test_a_torn_tail_ends_the_replay_and_is_cut_before_the_next_entry(tmp_path: Path) -> None:
    """Whatever byte the kill came at, whole entries come back, and new ones follow them."""
    entries: list[JournalEntry] = [
        some_samples(60.0),
        some_samples(121.0),
        CloseEntry(900.0, live=True),
    ]
    ends = []
    writer = FileJournal(tmp_path)
    path = tmp_path / "0.journal"
    for entry in entries:
        writer.append(entry)
        ends.append(path.stat().st_size)
    writer.close()
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        kept = [entry for entry, end in zip(entries, ends, strict=True) if end <= length]
        reader = FileJournal(tmp_path)
        assert_same(list(reader.replay(0.0)), kept)
        reader.append(entries[1])
        assert_same(list(reader.replay(0.0)), [*kept, entries[1]])
        reader.close()


def test_a_flipped_bit_ends_the_replay(tmp_path: Path, journal: FileJournal) -> None:
    journal.append(CloseEntry(900.0, live=True))
    size = (tmp_path / "0.journal").stat().st_size
    journal.append(CloseEntry(1800.0, live=True))
    data = bytearray((tmp_path / "0.journal").read_bytes())
    data[size + 12] ^= 1
    (tmp_path / "0.journal").write_bytes(data)
    assert list(journal.replay(0.0)) == [CloseEntry(900.0, live=True)]


def test_a_full_disk_leaves_whole_entries_and_takes_the_same_one_later(
    journal: FileJournal,
) -> None:
    written: list[JournalEntry] = []
    refused: JournalEntry | None = None
    with full_at(64 * 1024):
        for turn in range(1000):
            entry = some_samples(60.0 * turn, pods=(f"pod-{turn}", "cart-1"))
            try:
                journal.append(entry)
            except StoreUnavailable as error:
                assert "File too large" in str(error)  # noqa: PT017 - the loop goes on after it
                refused = entry
                break
            written.append(entry)
        assert refused is not None
        assert_same(list(journal.replay(0.0)), written)
    journal.append(refused)
    assert_same(list(journal.replay(0.0)), [*written, refused])


def test_labels_are_written_once_a_segment(tmp_path: Path, journal: FileJournal) -> None:
    """Reads come every few seconds with the same label sets: they must not fill the volume."""
    journal.append(some_samples(60.0))
    first = (tmp_path / "0.journal").stat().st_size
    journal.append(some_samples(120.0))
    second = (tmp_path / "0.journal").stat().st_size - first
    assert second < first - len("namespace") * 2


def test_a_place_that_is_no_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    journal = FileJournal(tmp_path / "file")
    with pytest.raises(StoreUnavailable, match="journal"):
        journal.append(CloseEntry(900.0, live=True))
    assert list(journal.replay(0.0)) == []
