"""Volumes that show API objects change at one instant."""

from __future__ import annotations

import threading
from pathlib import Path

from anomaly_operator.devcluster.node.payloads import File, write_payload


def test_files_appear_change_and_disappear_with_the_object(tmp_path: Path) -> None:
    write_payload(tmp_path, {"a": File(b"1"), "deep/b": File(b"2", 0o600)})
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "deep/b").read_bytes() == b"2"
    assert (tmp_path / "deep/b").stat().st_mode & 0o777 == 0o600
    write_payload(tmp_path, {"a": File(b"3")})
    assert (tmp_path / "a").read_bytes() == b"3"
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..")) == ["a"]
    write_payload(tmp_path, {"a": File(b"4")})
    # The file, ..data, the folder it leads to, and the one before that.
    assert len(list(tmp_path.iterdir())) == 4


def test_a_reader_never_sees_a_file_missing_or_half_written(tmp_path: Path) -> None:
    """A change while a reader reads on and on: each read is one whole version."""
    versions = [bytes([65 + i]) * 50_000 for i in range(20)]
    write_payload(tmp_path, {"job.json": File(versions[0])})
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add((tmp_path / "job.json").read_bytes())
            except FileNotFoundError as error:
                seen.add(repr(error).encode())

    reader = threading.Thread(target=read)
    reader.start()
    for version in versions[1:]:
        write_payload(tmp_path, {"job.json": File(version)})
    stop.set()
    reader.join()
    assert seen
    assert seen <= set(versions)
