"""However a cluster's process ends, its pods' processes end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anomaly_operator.devcluster.node.watchdog import marked

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

DEADLINE_S = 20.0
MARK = "DEVCLUSTER_TEST_MARK"
# Starts the watchdog and a marked process that has a child in a session of its own, then waits.
PROGRAM = """
import os, subprocess, sys, time
from anomaly_operator.devcluster.node.watchdog import start_watchdog
watchdog = start_watchdog(sys.argv[1], sys.argv[2])
environment = {**os.environ, sys.argv[1]: sys.argv[2]}
subprocess.Popen(["sh", "-c", "setsid sleep 300 & sleep 300"], env=environment)
print("ready", flush=True)
time.sleep(300)
"""


def until(holds: object) -> bool:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if holds():  # type: ignore[operator]
            return True
        time.sleep(0.05)  # polls a condition; the deadline above decides
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_cluster_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    value = f"{os.getpid()}-{number}"
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, MARK, value], stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"ready\n"
    assert until(lambda: len(marked(MARK, value)) >= 3), "the marked processes did not start"
    program.send_signal(number)
    program.wait()
    program.stdout.close()
    assert until(lambda: not marked(MARK, value)), "processes are left over"
