"""Memory of a whole worker: real parts from the HTTP answer to the snapshot, and many pods.

The engine is not all that a worker holds: samples are parsed and gathered, labels are kept, results
and snapshots are written, and live reads go through a journal. So here a worker is put together as
in a pod and reads a Prometheus API, which the first process plays; only its clock is ours, which
waits by jumping. It reads a few buckets of the past, goes on live, and stores its models twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from benchmarks.speed import THREAD_LIMITS, resident_mib

SPAN_S = 900.0
START_S = 1_760_000_400.0
DELAY_S = 90.0
PAST, LIVE = 4, 4  # buckets
CLUSTER = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST")  # without them a worker only logs its status
START, NOW = "2025-10-09T09:00:00Z", START_S + PAST * SPAN_S + DELAY_S


@dataclass(frozen=True, slots=True)
class Worker:
    """What the worker's process was seen to hold."""

    pods: int
    series: int  # that it has a model of
    model_mib: float  # what it says they weigh
    resident_mib: float  # when it waited last, and nothing was under way
    peak_mib: float


class Jumping:
    """A clock that waits by jumping ahead, stops at a time, and sees what is held meanwhile."""

    def __init__(self, now_s: float, stop_s: float) -> None:
        self._now_s, self._began_s, self._stop_s = now_s, now_s, stop_s
        self.resident_mib = 0.0

    def now_s(self) -> float:
        """Epoch seconds."""
        return self._now_s

    def monotonic_s(self) -> float:
        """Seconds since the start."""
        return self._now_s - self._began_s

    def wait(self, seconds: float) -> bool:
        """Jump; False from the last moment on."""
        self.resident_mib = resident_mib("VmRSS")
        self._now_s += max(seconds, 0.001)
        return self._now_s < self._stop_s


class Keeping:
    """A status reporter that remembers the newest entry."""

    def __init__(self) -> None:
        self.entry: Any = {}

    def report(self, entry: object, *, urgent: bool = False) -> None:
        """Take over what the worker says of itself."""
        del urgent
        self.entry = entry

    def report_trouble(self, condition: object) -> None:
        """Fail: nothing is wrong with this source."""
        raise RuntimeError(str(condition))

    def close(self) -> None:
        """Nothing is held."""


def measure(pods: int, *, core: int = 0) -> Worker:
    """Let a fresh process work while this one answers its queries."""
    environment = {name: value for name, value in os.environ.items() if name not in CLUSTER}
    with answering(pods) as url:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.whole_worker", str(pods), url, str(core)],
            env=environment | dict.fromkeys(THREAD_LIMITS, "1"),
            cwd=Path(__file__).resolve().parents[1],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return Worker(**json.loads(done.stdout.splitlines()[-1]))


@contextlib.contextmanager
def answering(pods: int) -> Iterator[str]:
    """Play a Prometheus API that knows so many pods of five to a workload; gives its address."""
    rng = np.random.default_rng(5)
    level = 10 ** rng.uniform(7, 10, pods)
    heads = [
        f'{{"metric":{{"namespace":"team-{pod % 50}","node":"node-{pod % 500}",'
        f'"pod":"app-{pod // 5}-7d9f8b6c5-{pod:05x}"}},"values":['
        for pod in range(pods)
    ]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            asked = dict(parse_qsl(self.rfile.read(length).decode()))
            # All else is about owners and ends of pods, of which nobody knows.
            ours = self.path.endswith("query_range") and "kube_" not in asked["query"]
            body = answer(matrix(asked) if ours else [], "matrix" if ours else "vector")
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    def matrix(asked: dict[str, str]) -> list[str]:
        first_s, last_s, step_s = (float(asked[name]) for name in ("start", "end", "step"))
        times = np.arange(first_s, last_s + 0.5 * step_s, step_s)
        day = 1.0 + 0.3 * np.sin(2 * np.pi * times / 86400.0)
        noise = np.random.default_rng(round(first_s)).normal(1.0, 0.02, (pods, len(times)))
        stamps = [f'[{time_s:.0f},"' for time_s in times]
        return [
            head
            + ",".join(f'{s}{v}"]' for s, v in zip(stamps, values.tolist(), strict=True))
            + "]}"
            for head, values in zip(heads, np.rint(noise * day * level[:, None]), strict=True)
        ]

    def answer(rows: list[str], kind: str) -> bytes:
        data = f'{{"resultType":"{kind}","result":[{",".join(rows)}]}}'
        return f'{{"status":"success","data":{data}}}'.encode()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def job(url: str) -> dict[str, Any]:
    """Return the document an operator would render: memory of all pods, a bucket a quarter."""
    return {
        "version": 1,
        "detector": {
            "namespace": "benchmark",
            "name": "memory",
            "uid": "5d0c7a52-6f8e-4b47-9b1c-2f6f3a1f0001",
            "generation": 1,
            "creationTime": START,
        },
        "spec": {
            "target": {"kind": "Pod"},
            "start": START,
            "bucketSpan": f"{SPAN_S:.0f}s",
            "queryDelay": f"{DELAY_S:.0f}s",
            "detectors": [{"metric": "memory_usage", "function": "max", "by": "pod"}],
            "partitionField": "namespace",
            "influencers": ["workload", "pod", "node"],
            "backgroundPersistInterval": "1h",
        },
        "source": {"name": "metrics", "spec": {"type": "prometheus", "prometheus": {"url": url}}},
        "operatorNamespace": "anomaly-system",
    }


def _here(pods: int, url: str) -> Worker:
    """Be the worker."""
    from anomaly_operator.api.job import WorkerJob  # noqa: PLC0415 - the other process needs none
    from anomaly_operator.worker.assembly import Options, assemble  # noqa: PLC0415 - as above
    from anomaly_operator.worker.loop import Loop  # noqa: PLC0415 - as above

    status = Keeping()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        document = Path(folder) / "job.json"
        document.write_text(json.dumps(job(url)), encoding="utf-8")
        options = Options(
            job=document,
            data=Path(folder) / "data",
            shard=0,
            listen=("127.0.0.1", 0),
            poll_s=300.0,
        )
        clock = Jumping(NOW, NOW + LIVE * SPAN_S)
        parts = assemble(options, clock, job=WorkerJob.load(document), stack=stack)
        Loop(replace(parts, status=status)).run()
    size = status.entry["modelSizeStats"]
    seen_mib = resident_mib("VmHWM")  # the system counts all of it only nearly
    return Worker(
        pods=pods,
        series=size["seriesCount"],
        model_mib=size["modelBytes"] / 2**20,
        resident_mib=clock.resident_mib,
        peak_mib=max(clock.resident_mib, seen_mib),
    )


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[3])})
    print(json.dumps(asdict(_here(int(sys.argv[1]), sys.argv[2]))))
