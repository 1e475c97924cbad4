"""Prometheus and what belongs to it, as real processes from Debian's packages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support import debian_packages
from tests.support.processes import free_port, server

Sample = tuple[float, float]  # epoch seconds, value


@dataclass(frozen=True, slots=True)
class Running:
    """One server that runs: its address, and the folder of its data and log."""

    url: str
    folder: Path

    @property
    def address(self) -> str:
        """Host and port, as scrape configurations want them."""
        return self.url.removeprefix("http://")


@contextmanager
def prometheus(
    folder: Path,
    *,
    scrape: Mapping[str, Sequence[str]] | None = None,
    rules: Sequence[Path] = (),
    alertmanagers: Sequence[str] = (),
    interval: str = "1s",
    options: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> Iterator[Running]:
    """Run Prometheus on ``folder``; ``scrape`` maps a job's name to host:port targets.

    ``settings`` is merged over the configuration's top level; data put in with ``fill`` beforehand
    is found.
    """
    configuration: dict[str, Any] = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(targets)}]}
            for job, targets in (scrape or {}).items()
        ],
        "rule_files": [str(path) for path in rules],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]
            if alertmanagers
            else []
        },
        **(settings or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    port = free_port()
    command: list[str | Path] = [
        debian_packages.program("prometheus", "prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        *options,
    ]
    url = f"http://127.0.0.1:{port}"
    with server(command, log=folder / "prometheus.log", ready_url=f"{url}/-/ready"):
        yield Running(url, folder)


def fill(folder: Path, metrics: str) -> None:
    """Put history into a Prometheus that does not run yet; ``metrics`` is OpenMetrics text."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "history.txt"
    source.write_text(metrics, encoding="utf-8")
    done = subprocess.run(
        [
            debian_packages.program("prometheus", "promtool"),
            "tsdb",
            "create-blocks-from",
            # promtool reads all of the text once for each block; the default is two hours.
            "--max-block-duration=768h",
            "openmetrics",
            source,
            folder / "data",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def openmetrics(
    families: Mapping[str, tuple[str, Mapping[tuple[tuple[str, str], ...], Iterable[Sample]]]],
) -> str:
    """Write history: name to (type, label pairs to samples); a counter's name lacks ``_total``."""
    lines = []
    for name, (kind, series) in families.items():
        lines.append(f"# TYPE {name} {kind}")
        sample_name = f"{name}_total" if kind == "counter" else name
        for labels, samples in series.items():
            inside = ",".join(f'{key}="{value}"' for key, value in labels)
            lines += [
                f"{sample_name}{{{inside}}} {value!r} {time_s:.3f}" for time_s, value in samples
            ]
    return "\n".join([*lines, "# EOF", ""])


@contextmanager
def alertmanager(folder: Path, *, webhook: str) -> Iterator[Running]:
    """Run Alertmanager, which sends every alert at once to ``webhook``."""
    configuration = {
        "route": {
            "receiver": "test",
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1h",
            "group_by": ["..."],
        },
        "receivers": [
            {"name": "test", "webhook_configs": [{"url": webhook, "send_resolved": True}]}
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    port = free_port()
    command: list[str | Path] = [
        debian_packages.program("prometheus-alertmanager", "prometheus-alertmanager"),
        f"--config.file={file}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    with server(
        command,
        log=folder / "alertmanager.log",
        ready_url=f"{url}/-/ready",
        cwd=debian_packages.folder("prometheus-alertmanager"),
    ):
        yield Running(url, folder)


@contextmanager
def node_exporter(folder: Path) -> Iterator[Running]:
    """Run a node exporter, which reports this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command: list[str | Path] = [
        debian_packages.program("prometheus-node-exporter", "prometheus-node-exporter"),
        f"--web.listen-address=127.0.0.1:{port}",
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in ("meminfo", "netdev", "uname")),
    ]
    url = f"http://127.0.0.1:{port}"
    with server(command, log=folder / "node-exporter.log", ready_url=f"{url}/metrics"):
        yield Running(url, folder)


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[Running]:
    """Run a single-node VictoriaMetrics; ``imported`` puts history in."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command: list[str | Path] = [
        debian_packages.program("victoria-metrics", "victoria-metrics"),
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=10y",
        "-search.latencyOffset=0s",
    ]
    url = f"http://127.0.0.1:{port}"
    with server(command, log=folder / "victoria.log", ready_url=f"{url}/health"):
        yield Running(url, folder)


def imported(running: Running, metrics: str) -> None:
    """Put OpenMetrics text into a VictoriaMetrics, whose times are milliseconds."""
    lines = []
    for line in metrics.splitlines():
        if line and not line.startswith("#"):
            head, time_s = line.rsplit(" ", 1)
            lines.append(f"{head} {round(float(time_s) * 1000)}")
    answer = httpx.post(
        f"{running.url}/api/v1/import/prometheus", content="\n".join(lines), timeout=30
    )
    assert answer.is_success, answer.text
    httpx.get(f"{running.url}/internal/force_flush", timeout=30)
