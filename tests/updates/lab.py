"""A worker of real parts in simulated time: table, SQLite, snapshots, journal, HTTP; only a clock.

Days pass in a second, and every run of the same days is the same, so that what an update does can
be told from what would have happened without it.
"""

from __future__ import annotations

import contextlib
import copy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import orjson
from prometheus_client.parser import text_string_to_metric_families

from anomaly_operator.adapters.snapshot_store import open_snapshot_store
from anomaly_operator.api.job import WorkerJob
from anomaly_operator.ports import SnapshotStore
from anomaly_operator.worker.assembly import Options, assemble
from anomaly_operator.worker.loop import Ending, Loop
from tests.support.fakes import FakeClock, Recorder
from tests.support.jobs import START_S, UID, job_document, rfc3339
from tests.support.processes import free_port

SPAN_S = 900.0
DELAY_S = 90.0
HISTORY = 4 * 96  # buckets of it: enough for a series to score severely
NOW_S = START_S + HISTORY * SPAN_S
BASE_UNTIL_S = NOW_S + 4 * SPAN_S  # what every run has in common
EDIT_S = NOW_S + 6 * SPAN_S
END_S = NOW_S + 16 * SPAN_S
BEFORE, AFTER = 2, 10
"""Buckets since NOW_S in which pods misbehave: before the edit, and after it."""

Seen = TypeVar("Seen")
Spec = dict[str, Any]
Document = dict[str, Any]


def bucket_s(number: int) -> float:
    """Start of a bucket, counted from NOW_S."""
    return NOW_S + number * SPAN_S


class Lab:
    """A data folder, a job document over a table, and workers that run on them for a while."""

    def __init__(self, folder: Path, table: Path, now_s: float = NOW_S) -> None:
        self.folder = folder
        self.table = table
        self.now_s = now_s
        self.generation = 1
        self.spec: Spec = {}
        self.filters: dict[str, list[str]] = {}
        self.recorder = Recorder()
        self.port = 0
        self.openings = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.edit()

    def copied(self, folder: Path) -> Lab:
        """Give a lab that goes on from here, and leaves this one as it is."""
        shutil.copytree(self.folder, folder)
        made = Lab(folder, self.table, self.now_s)
        made.generation, made.spec = self.generation, copy.deepcopy(self.spec)
        made.edit(generation=self.generation)
        return made

    def edit(self, *, generation: int | None = None, **spec: Any) -> None:
        """Write the job document as the operator would after an edit of the spec."""
        self.spec |= spec
        self.generation = generation or self.generation + bool(spec)
        whole = {
            "detectors": [{"metric": "memory_usage", "function": "max", "by": "pod"}],
            "partitionField": "namespace",
            "frequency": "900s",
            "queryDelay": f"{DELAY_S:.0f}s",
            "backgroundPersistInterval": "30d",
            "resultsRetentionDays": None,
            **self.spec,
        }
        source = {"type": "table", "table": {"path": str(self.table), "format": "csv"}}
        document = job_document(
            spec={key: value for key, value in whole.items() if value is not None},
            generation=self.generation,
            source=source,
            filters=self.filters,
        )
        WorkerJob.from_document(document)
        (self.folder / "job.json").write_bytes(orjson.dumps(document))

    def run(
        self,
        until_s: float,
        *,
        at: Mapping[float, Callable[[], object]] | None = None,
        observe: Callable[[Lab], Seen] | None = None,
        poll_s: float = 300.0,
    ) -> Seen | None:
        """Run a worker until a time, as the process does; look at it in the last moment."""
        clock = FakeClock(self.now_s, stop_at=until_s)
        found: list[Seen] = []
        for time_s, act in (at or {}).items():
            clock.schedule(time_s, act)
        if observe is not None:
            clock.schedule(until_s - poll_s, lambda: found.append(observe(self)))
        while self._once(clock, poll_s) is Ending.REOPEN:
            self.openings += 1
        self.now_s = max(clock.now, until_s)
        return found[0] if found else None

    def _once(self, clock: FakeClock, poll_s: float) -> Ending:
        self.port = free_port()
        options = Options(
            job=self.folder / "job.json",
            data=self.folder / "data",
            shard=0,
            listen=("127.0.0.1", self.port),
            poll_s=poll_s,
        )
        with contextlib.ExitStack() as stack:
            parts = assemble(options, clock, job=WorkerJob.load(options.job), stack=stack)
            return Loop(replace(parts, status=self.recorder, announcer=self.recorder)).run()

    @property
    def status(self) -> Any:
        """The worker's entry of the status, as it reported last."""
        return self.recorder.entries[-1]

    def snapshots(self) -> SnapshotStore:
        """The worker's snapshots."""
        return open_snapshot_store(str(self.folder / "data" / "snapshots"), UID, shard=0)

    def results(self, kind: str, **query: object) -> list[Document]:
        """Ask the read API of the running worker."""
        answer = httpx.get(
            f"http://127.0.0.1:{self.port}/api/v1/{kind}",
            params={"limit": 10_000, "order": "asc", **query},  # type: ignore[dict-item]
        )
        assert answer.status_code == 200, answer.text
        found: list[Document] = answer.json()[kind]
        return found

    def job(self) -> Document:
        """Ask the running worker about its job."""
        found: Document = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/job").json()
        return found

    def metric(self, name: str, **labels: str) -> dict[str, float]:
        """Scrape a metric of the running worker, by entity."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics").text
        return {
            sample.labels.get("entity", ""): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    def info(self) -> dict[str, str]:
        """Scrape what the running worker says of its job, as labels."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics").text
        return next(
            dict(sample.labels)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "anomaly_detector_info"
        )

    def recorded(self, number: int) -> set[str]:
        """Pods with a record in a bucket, counted from NOW_S."""
        start_s = bucket_s(number)
        found = self.results("records", start=start_s, end=start_s + 1, min_score=25)
        return {record["by_field_value"] for record in found}

    def muted(self, number: int) -> dict[str, str]:
        """Pods whose result was withheld in a bucket, and the window that did ("" is a rule)."""
        start_s = bucket_s(number)
        found = self.results("muted", start=start_s, end=start_s + 1)
        return {each["series"].split("|")[2]: each["window"] for each in found}


START = rfc3339(START_S)
