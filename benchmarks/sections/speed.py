"""Speed and size tables."""

from __future__ import annotations

from pathlib import Path

from benchmarks import plots, whole_worker
from benchmarks.report import Goal, Section, Table
from benchmarks.speed import Speed, measure
from benchmarks.whole_worker import Worker

DAYS = {1: 90, 100: 40, 1_000: 24, 10_000: 18, 100_000: 4}
QUICK = {1: 60, 100: 20, 10_000: 5}
PODS, QUICK_PODS = (10_000, 100_000), (2_000,)  # of whole workers
GIB_MIB = 2048.0


def run(folder: Path, *, quick: bool, seed_shift: int = 0) -> Section:
    """Measure every series count in a process of its own."""
    del seed_shift  # speed does not depend on what is drawn
    results = []
    for series, days in (QUICK if quick else DAYS).items():
        print(f"  {series} series", flush=True)
        results.append(measure(series, days=days))
    rows = tuple(
        (
            s.series,
            s.days * 96,
            s.buckets_a_second,
            s.wall_buckets_a_second,
            s.buckets_a_second / s.reference,
            s.bytes_a_series,
            s.model_bytes_a_series,
            s.snapshot_write_s,
            s.snapshot_restore_s,
            s.peak_rss_mib,
            (s.peak_rss_mib - s.baseline_rss_mib) * 2**20 / s.series,
        )
        for s in results
    )
    table = Table(
        "speed",
        "One core, one detector, everything on, 15-minute buckets",
        (
            "series",
            "buckets",
            "series-buckets/s of processor time",
            "by the wall clock",
            "per run of the reference loop",
            "snapshot bytes a series",
            "model bytes a series",
            "write s",
            "restore s",
            "peak MiB",
            "RSS bytes a series",
        ),
        rows,
    )
    workers = []
    for pods in QUICK_PODS if quick else PODS:
        print(f"  a whole worker, {pods} pods", flush=True)
        workers.append(whole_worker.measure(pods))
    held = Table(
        "speed_worker",
        "A whole worker over pods of a Prometheus API, a sample a minute",
        ("pods", "series", "model MiB", "resident MiB", "peak MiB"),
        tuple((w.pods, w.series, w.model_mib, w.resident_mib, w.peak_mib) for w in workers),
        note="From the HTTP answer to results and snapshots: backfill, live, journal, two stores.",
    )
    drawn = plots.speed(folder, results)
    goals = (*_goals(results), *_worker_goals(workers))
    return Section("speed", (table, held), goals, (drawn,))


def _worker_goals(workers: list[Worker]) -> list[Goal]:
    return [
        Goal(
            f"a whole worker with {worker.pods} pods",
            "< 2 GiB, all modelled",
            f"{worker.peak_mib:,.0f} MiB, {worker.series} modelled",
            worker.peak_mib < GIB_MIB and worker.series == worker.pods,
        )
        for worker in workers
        if worker.pods == max(PODS)
    ]


def _goals(results: list[Speed]) -> list[Goal]:
    by = {s.series: s for s in results}
    goals = []
    if 10_000 in by:
        big = by[10_000]
        rate, state = big.buckets_a_second, big.bytes_a_series
        snapshot = max(big.snapshot_write_s, big.snapshot_restore_s)
        goals += [
            Goal("one core, 10 000 series", "≥ 1 000 000 /s", _rates(big), rate >= 1e6),
            Goal("state a series", "≤ 4 096 bytes", f"{state:,.0f}", state <= 4096),
            Goal(
                "snapshot of 10 000 series",
                "write, restore ≤ 1 s",
                f"{big.snapshot_write_s:.2f}, {big.snapshot_restore_s:.2f} s",
                snapshot <= 1.0,
            ),
        ]
    if 1 in by:
        one = by[1]
        fast = one.buckets_a_second >= 2e4
        goals.append(Goal("one series", "≥ 20 000 /s", _rates(one), fast))
    if 100_000 in by:
        huge = by[100_000]
        goals.append(
            Goal(
                "100 000 series in the engine",
                "< 2 GiB",
                f"{huge.peak_rss_mib:,.0f} MiB",
                huge.peak_rss_mib < GIB_MIB,
            )
        )
        if 10_000 in by:
            ratio = by[10_000].buckets_a_second / huge.buckets_a_second
            goals.append(
                Goal(
                    "growth from 10 000 to 100 000 series",
                    "linear (rate falls < 1.5x)",
                    f"{ratio:.2f}x",
                    ratio < 1.5,
                )
            )
    return goals


def _rates(speed: Speed) -> str:
    """Rate of processor time, and by the clock on the wall of a machine others use too."""
    return f"{speed.buckets_a_second:,.0f} /s (wall {speed.wall_buckets_a_second:,.0f})"
