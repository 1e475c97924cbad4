"""Real worker processes: killed at random instants, stopped politely, on a disk that is full."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    DetectorSettings,
    SeriesKey,
    SeriesSet,
    Side,
)
from anomaly_operator.engine.engine import Engine
from tests.support.jobs import job_document, rfc3339
from tests.support.processes import eventually as eventually_within
from tests.support.processes import free_port

SPAN_S = 2
PATIENCE_S = 100.0  # a worker starts in a second; beside eight other test workers in half a minute
eventually = partial(eventually_within, within_s=PATIENCE_S)
HISTORY_S = 1000
LIVE_S = 600  # how far the table reaches into the future
KILLS = 6
METRICS = ("memory_usage", "network_in")


class Case:
    """A table that reaches into the future, a job over it, and workers on their own folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = int(time.time())
        self.start_s = (self.now - HISTORY_S) // SPAN_S * SPAN_S
        self.end_s = self.now + LIVE_S
        self.last_bucket_s = 0.0
        self.table = folder / "table.csv"
        self._write_table()
        self.processes: list[subprocess.Popen[bytes]] = []

    def _write_table(self) -> None:
        noise = np.random.default_rng(7)
        lines = ["timestamp,metric,value,namespace,workload,pod,node"]
        times = np.arange(self.start_s - 60, self.end_s, 1)
        for metric in METRICS:
            for pod in range(4):
                values = 1e8 + 2e6 * noise.standard_normal(len(times))
                for _ in range(6):
                    at = int(noise.integers(200, len(times) - 20))
                    values[at : at + 6] *= 3
                lines += [
                    f"{t},{metric},{v:.3f},shop,app{pod},app{pod}-x,n1"
                    for t, v in zip(times.tolist(), values.tolist(), strict=True)
                ]
        self.table.write_text("\n".join(lines) + "\n")

    def job(self, **changes: Any) -> dict[str, Any]:
        """Two detectors in 2-second buckets."""
        spec = {
            "start": rfc3339(self.start_s),
            "bucketSpan": f"{SPAN_S}s",
            "queryDelay": "1s",
            "frequency": "1s",
            "detectors": [{"metric": metric, "function": "max", "by": "pod"} for metric in METRICS],
            "influencers": ["workload"],
            "modelPlotConfig": {"enabled": True},
        }
        source = {"type": "table", "table": {"path": str(self.table), "format": "csv"}}
        return job_document(spec={**spec, **changes.pop("spec", {})}, source=source, **changes)

    def worker(
        self, name: str, *, job: dict[str, Any] | None = None, limit_bytes: int | None = None
    ) -> tuple[subprocess.Popen[bytes], int]:
        """Start a worker on folder ``name``; returns it and its port."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        (home / "job.json").write_bytes(orjson.dumps(job or self.job()))
        port = free_port()
        command = [sys.executable, "-c", "from anomaly_operator.cli.main import main; main()"]
        command += ["worker", "--job", str(home / "job.json"), "--data", str(home / "data")]
        command += ["--listen", f"127.0.0.1:{port}", "--poll-interval", "0.2"]
        if limit_bytes is not None:
            command = ["prlimit", f"--fsize={limit_bytes}:unlimited", *command]
        environment = {
            key: value
            for key, value in os.environ.items()
            if key not in {"KUBECONFIG", "KUBERNETES_SERVICE_HOST"}
        }
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.processes.append(process)
        return process, port

    def rows(self, name: str, table: str) -> list[tuple[Any, ...]]:
        """All rows of a table of a worker's results, but for when they were written."""
        path = self.folder / name / "data" / "results.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            columns = [
                row[1]
                for row in connection.execute(f"PRAGMA table_info({table})")
                if row[1] not in {"processing_time_ms", "create_time"}
            ]
            if not columns:
                return []
            listed = ", ".join(f'"{column}"' for column in columns)
            until_ms = int(self.last_bucket_s * 1000)
            query = f"SELECT {listed} FROM {table} WHERE timestamp <= {until_ms} ORDER BY {listed}"
            return connection.execute(query).fetchall()

    def finish(self, *names: str) -> None:
        """Let workers come past this moment; what they have up to it is compared."""
        self.last_bucket_s = time.time() // SPAN_S * SPAN_S
        for name in names:
            eventually(lambda name=name: self.done(name), what=f"{name} is through")

    def done(self, name: str) -> bool:
        """Whether the last bucket is in the results."""
        try:
            buckets = self.rows(name, "buckets")
        except sqlite3.OperationalError:
            return False  # not created yet, or being written
        return any(row[2] == int(self.last_bucket_s * 1000) for row in buckets)

    def log(self, name: str) -> str:
        """All that workers on a folder have logged."""
        return (self.folder / name / "log").read_text()


@pytest.fixture(scope="session")
def compiled_engine() -> None:
    """Compile the engine's kernels once: workers that are killed while compiling never get on."""
    settings = AnalysisSettings(
        span_s=2.0, detectors=(DetectorSettings(0, "memory_usage", "max", Side.BOTH, by="pod"),)
    )
    key = SeriesKey("", "shop/app", "app-1")
    series = SeriesSet((key,), ({"pod": "app-1"},))
    engine = Engine(settings)
    for start in range(0, 600, 100):
        values = np.full((50, 1), 1e8) + np.arange(50).reshape(50, 1)
        engine.advance([Block(0, float(start), series, values, np.ones((50, 1)))])


@pytest.fixture
def case(tmp_path: Path, compiled_engine: None) -> Iterator[Case]:
    made = Case(tmp_path)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(20)


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_killed_again_and_again_it_ends_with_the_records_of_an_undisturbed_run(
    case: Case,
) -> None:
    """Kill -9 at random instants of start, backfill and live; the results are the same rows."""
    chance = random.Random(4)
    undisturbed, _ = case.worker("undisturbed")
    for kill in range(KILLS):
        process, _ = case.worker("killed")
        if kill % 3:
            restored = case.log("killed").count(" INFO restored")
            eventually(
                lambda restored=restored: case.log("killed").count(" INFO restored") > restored,
                what="it works again",
            )
        time.sleep(chance.uniform(0.05, 1.5))  # the instant of the kill, not a wait for something
        assert process.poll() is None, case.log("killed")[-3000:]
        process.kill()
        process.wait(10)
    survivor, _ = case.worker("killed")
    case.finish("killed", "undisturbed")
    assert stop(undisturbed) == 0
    assert stop(survivor) == 0
    for table in ("records", "buckets", "influencers", "model_plots", "annotations", "muted"):
        assert case.rows("killed", table) == case.rows("undisturbed", table), table
    assert len(case.rows("killed", "records")) >= 10


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_on_a_disk_that_is_full_it_goes_on_and_loses_nothing(case: Case) -> None:
    """The kernel refuses every write beyond 200 kB until the limit is lifted."""
    process, port = case.worker("full", limit_bytes=200_000)
    metrics = f"http://127.0.0.1:{port}/metrics"
    eventually(lambda: "store_errors_total" in text(metrics), what="it serves metrics")
    eventually(
        lambda: value(metrics, "anomaly_detector_store_errors_total") > 0,
        what="the disk is full",
    )
    ready = httpx.get(f"http://127.0.0.1:{port}/readyz")
    assert ready.status_code == 503
    assert "results store" in ready.text
    before = value(metrics, "anomaly_detector_buckets_processed_total")
    eventually(
        lambda: value(metrics, "anomaly_detector_buckets_processed_total") > before,
        what="it goes on judging buckets",
    )
    subprocess.run(["prlimit", "--pid", str(process.pid), "--fsize=unlimited"], check=True)
    undisturbed, _ = case.worker("undisturbed")
    case.finish("full", "undisturbed")
    assert stop(process) == 0
    assert stop(undisturbed) == 0
    for table in ("records", "buckets", "model_plots"):
        assert case.rows("full", table) == case.rows("undisturbed", table)


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_stopped_politely_it_stores_its_models_and_goes_on_from_there(case: Case) -> None:
    process, port = case.worker("polite")
    base = f"http://127.0.0.1:{port}"
    eventually(lambda: 'state="live"} 1.0' in text(f"{base}/metrics"), what="it is live")
    eventually(lambda: ok(f"{base}/readyz"), what="it is ready")
    assert ok(f"{base}/healthz")
    records = httpx.get(f"{base}/api/v1/records?min_score=50&sort=record_score").json()
    assert records["count"] > 0
    began = time.monotonic()
    assert stop(process) == 0
    assert time.monotonic() - began < 10
    snapshots = sorted((case.folder / "polite" / "data" / "snapshots").iterdir())
    again, port = case.worker("polite")
    eventually(lambda: 'state="live"} 1.0' in text(f"http://127.0.0.1:{port}/metrics"), what="live")
    assert f"snapshot={snapshots[-1].stem}" in (case.folder / "polite" / "log").read_text()
    assert stop(again) == 0


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_an_unwritable_data_folder_is_said_and_waited_for(case: Case) -> None:
    """Probes are served meanwhile, for restarting would not help; then all is stored."""
    home = case.folder / "blocked"
    home.mkdir()
    (home / "data").write_text("a file where the volume should be mounted")
    process, port = case.worker("blocked")
    base = f"http://127.0.0.1:{port}"
    eventually(lambda: "store" in text(f"{base}/readyz"), what="it says why")
    assert ok(f"{base}/healthz"), "restarting would not help"
    (home / "data").unlink()
    eventually(lambda: ok(f"{base}/readyz"), what="the volume is there and results are stored")
    case.finish("blocked")
    assert len(case.rows("blocked", "buckets")) >= HISTORY_S / SPAN_S
    assert stop(process) == 0


def text(url: str) -> str:
    try:
        return httpx.get(url, timeout=5).text
    except httpx.HTTPError:
        return ""


def ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def value(url: str, name: str) -> float:
    lines = [line for line in text(url).splitlines() if line.startswith(name)]
    return float(lines[0].rsplit(" ", 1)[-1]) if lines else 0.0


def test_a_document_of_another_version_ends_it_with_every_problem_as_its_last_words(
    tmp_path: Path,
) -> None:
    """Which Kubernetes keeps, and the operator shows as WorkerFailing."""
    document = job_document()
    document["version"] = 2
    document["spec"]["bucketSpan"] = "15x"
    (tmp_path / "job.json").write_bytes(orjson.dumps(document))
    anomaly = Path(sys.executable).parent / "anomaly"
    command = [anomaly, "worker", "--job", tmp_path / "job.json", "--data", tmp_path / "data"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "version",
        "spec.bucketSpan",
    ]
