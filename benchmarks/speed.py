"""Speed and size of the engine: each measure in a process of its own, on one core.

Every measure runs with everything on: rhythms of a day and a week are in the data and long enough
seen to be found, so nothing is left out that live use would pay for. A fixed reference loop runs
beside each measure; the ratio to it compares machines, and tells a busy machine from a slow
engine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.datasets import Floats

SPAN_S = 900.0
DAY_BUCKETS = 96
START_S = 1_735_689_600.0
WARM_DAYS = 16  # two full weeks and a bit: both rhythms can have been found
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Speed:
    """What one process measured."""

    series: int
    days: int
    buckets_a_second: float  # series-buckets a second of processor time, median over timed blocks
    wall_buckets_a_second: float  # the same by the clock on the wall, others' work included
    reference: float  # runs of the reference loop a second, measured right before and after
    bytes_a_series: float  # real arrays of the snapshot
    model_bytes_a_series: float  # what the engine says
    snapshot_write_s: float
    snapshot_restore_s: float
    peak_rss_mib: float
    baseline_rss_mib: float  # before the first series


def measure(series: int, *, days: int = WARM_DAYS + 1, core: int = 0) -> Speed:
    """Measure one series count in a fresh process bound to one core."""
    environment = os.environ | dict.fromkeys(THREAD_LIMITS, "1")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", str(series), str(days), str(core)],
        env=environment,
        cwd=Path(__file__).resolve().parents[1],
        check=True,
        capture_output=True,
        text=True,
    )
    return Speed(**json.loads(done.stdout.splitlines()[-1]))


def reference_loop() -> float:
    """Runs a second of a fixed piece of work: numpy over 10 000 values and a Python loop."""
    values = np.linspace(0.0, 1.0, 10_000)
    started = time.perf_counter()
    runs = 0
    while time.perf_counter() - started < 0.2:
        total = float(np.sqrt(values * values + 1.0).sum())
        for number in range(500):
            total += number * 0.5
        runs += 1
    return runs / (time.perf_counter() - started)


def day_of_values(rng: np.random.Generator, day: int, level: Floats, peak: Floats) -> Floats:
    """One day of rhythmic, noisy, now and then bursty values, (96, S)."""
    hour = np.arange(DAY_BUCKETS)[:, None] / 4.0
    weekend = 0.6 if day % 7 >= 5 else 1.0
    due = level * weekend * (1.0 + 0.5 * np.cos((hour - peak) * 2 * np.pi / 24))
    values = due * np.exp(0.1 * rng.standard_normal((DAY_BUCKETS, len(level))))
    odd = rng.random(values.shape) < 2e-5
    return np.where(odd, values * 5.0, values)


def _here(series: int, days: int) -> Speed:
    """Measure in this process."""
    # Imported here so that the baseline of memory is taken in a process that has only numpy.
    from anomaly_operator.engine.contract import Block, Side  # noqa: PLC0415
    from anomaly_operator.engine.engine import Engine  # noqa: PLC0415
    from benchmarks.detectors import lasting, settings  # noqa: PLC0415

    rng = np.random.default_rng(5)
    level, peak = 10 ** rng.uniform(2, 7, series), rng.uniform(0, 24, series)
    names = lasting(series)
    config = settings(SPAN_S, sides=(Side.BOTH,))
    warm = Engine(config)
    warm.advance([_block(Block, lasting(2), np.ones((DAY_BUCKETS, 2)), 0)])  # compiles
    baseline = resident_mib("VmHWM")
    engine = Engine(config)
    before = reference_loop()
    took, took_wall = [], []
    for day in range(days):
        values = day_of_values(rng, day, level, peak)
        block = _block(Block, names, values, day)
        started, started_wall = time.process_time(), time.perf_counter()
        engine.advance([block])
        took.append(time.process_time() - started)
        took_wall.append(time.perf_counter() - started_wall)
    last = max(3, days // 4)  # the last days: rhythms are found by then
    # Lent, as the worker borrows them: a copy kept here would be memory that no worker holds.
    state_bytes = sum(array.nbytes for array in engine.snapshot(lent=True).values())
    write_s, restore_s = _snapshot_times(engine, config)
    return Speed(
        series=series,
        days=days,
        buckets_a_second=series * DAY_BUCKETS / float(np.median(took[-last:])),
        wall_buckets_a_second=series * DAY_BUCKETS / float(np.median(took_wall[-last:])),
        reference=(before + reference_loop()) / 2,
        bytes_a_series=state_bytes / series,
        model_bytes_a_series=engine.model_size().model_bytes / series,
        snapshot_write_s=write_s,
        snapshot_restore_s=restore_s,
        peak_rss_mib=resident_mib("VmHWM"),
        baseline_rss_mib=baseline,
    )


def _block(make, names, values: Floats, day: int):  # noqa: ANN001, ANN202 - imported in the caller
    return make(
        detector_index=0,
        start_s=START_S + day * DAY_BUCKETS * SPAN_S,
        series=names,
        values=values,
        counts=np.ones_like(values),
    )


def _snapshot_times(engine, config) -> tuple[float, float]:  # noqa: ANN001 - imported in the caller
    """Seconds to write the state to disk through the worker's own store, and to get it back.

    The first engine lives on beside the restored one, as it does in a worker that reverts.
    """
    from anomaly_operator.adapters.snapshot_store import (  # noqa: PLC0415
        BlobSnapshotStore,
        DirectoryBlobs,
    )
    from anomaly_operator.ports import SnapshotInfo  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        store = BlobSnapshotStore(DirectoryBlobs(Path(folder)), "benchmark")
        info = SnapshotInfo("000001", START_S, 0)
        started = time.perf_counter()
        store.save(info, engine.snapshot(lent=True))
        written = time.perf_counter()
        type(engine).restore(config, store.load("000001"))
        return written - started, time.perf_counter() - written


def resident_mib(name: str) -> float:
    """Memory held now (VmRSS) or at most so far (VmHWM) by this program.

    getrusage would count what the parent held at the fork.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024.0


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[3])})
    print(json.dumps(asdict(_here(int(sys.argv[1]), int(sys.argv[2])))))
