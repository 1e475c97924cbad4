"""``anomaly demo`` as a person runs it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

COMMAND = [str(Path(sys.executable).parent / "anomaly"), "demo"]
RUNNING_S = 120.0
GONE_S = 30.0
DONE_S = 840.0


def processes_of(folder: Path) -> list[int]:
    """Processes whose environment or command names the demo's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            if str(folder).encode() in text:
                found.append(int(entry.name))
    return found


@contextlib.contextmanager
def demo(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    log = (folder / "demo.log").open("w", encoding="utf-8")
    command = [*COMMAND, "--data-dir", str(folder / "data"), *options]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def said(folder: Path, words: str, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if words in (folder / "demo.log").read_text(encoding="utf-8"):
            return True
        time.sleep(0.2)  # polls a condition; the deadline above decides
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_a_demo_that_is_stopped_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        assert said(tmp_path, "pods of a shop run", within_s=RUNNING_S), log_of(tmp_path)
        assert len(processes_of(tmp_path / "data")) >= 10
        process.send_signal(number)
        process.wait(timeout=GONE_S)
        if number == signal.SIGINT:
            assert process.returncode == 0, log_of(tmp_path)
            assert "no process is left over" in log_of(tmp_path)
        deadline = time.monotonic() + GONE_S
        while processes_of(tmp_path / "data") and time.monotonic() < deadline:
            time.sleep(0.1)  # polls a condition; the deadline above decides
        assert not processes_of(tmp_path / "data")


@pytest.mark.slow
def test_the_demo_catches_what_really_goes_wrong_and_ends_by_itself(tmp_path: Path) -> None:
    """Four weeks analysed, two pods misbehave, both caught within two minutes, exit code 0."""
    with demo(tmp_path, "--exit-when-done") as process:
        assert process.wait(timeout=DONE_S) == 0, log_of(tmp_path)
    text = log_of(tmp_path)
    assert "pods-four-weeks: 100 %" in text
    assert "basket (leaks 8 MiB a second): caught after" in text
    assert "uploader (sends 25 times as much): caught after" in text
    assert not processes_of(tmp_path / "data")


def log_of(folder: Path) -> str:
    return (folder / "demo.log").read_text(encoding="utf-8")
