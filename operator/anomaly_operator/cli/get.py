"""``anomaly get``: detectors and their anomalies as tables, from the Kubernetes API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click
import httpx
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from anomaly_operator.adapters.kube import ANOMALY_DETECTORS, Body, Kube
from anomaly_operator.adapters.links import links_of
from anomaly_operator.adapters.terminal import printable
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.status import severity_of, shown_score
from anomaly_operator.errors import SourceUnavailable, SpecError
from anomaly_operator.worker.units import quantity

_COLOURS = {"warning": "cyan", "minor": "yellow", "major": "dark_orange", "critical": "red"}
_UNITS = {"memory_usage": "bytes", "network_in": "bytes/s", "network_out": "bytes/s"}
_SENTENCES = ("WHY", "ABOUT", "LINKS")
_TIMEOUT_S = 30.0


@click.command("get")
@click.argument("what", type=click.Choice(["detectors", "anomalies"]), default="detectors")
@click.argument("name", required=False)
@click.option("-n", "--namespace", default="", help="Namespace; all of them by default.")
@click.option("--group", help="Detectors of this group only.")
@click.option("--min-score", type=float, default=50.0, help="Anomalies from this score on.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, help="Anomalies at most.")
@click.option(
    "--worker",
    metavar="URL",
    help="Ask this worker for anomalies, such as http://127.0.0.1:8080 after a port-forward: "
    "it has all of them, the status only the newest 20 of score 50 or more.",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")
@click.option("--kubeconfig", help="Kubeconfig file; as kubectl finds it by default.")
def command(
    *,
    what: str,
    name: str | None,
    namespace: str,
    group: str | None,
    min_score: float,
    limit: int,
    worker: str | None,
    output: str,
    kubeconfig: str | None,
) -> None:
    """Show detectors, or anomalies of all detectors or of NAME."""
    if worker:
        rows = _from_worker(worker, min_score=min_score, limit=limit)
    else:
        detectors = [
            body
            for body in Kube.connect(kubeconfig).list(ANOMALY_DETECTORS, namespace=namespace).items
            if name in {None, body["metadata"]["name"]}
            and (group is None or group in (body["spec"].get("groups") or ()))
        ]
        if name and not detectors:
            raise click.ClickException(f"there is no AnomalyDetector {name}")
        if what == "detectors":
            rows = [detector_row(body) for body in detectors]
        else:
            found = (row for body in detectors for row in anomaly_rows(body, min_score=min_score))
            rows = sorted(found, key=lambda row: str(row["TIME"]), reverse=True)[:limit]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    _print(rows, nothing=f"no {what}")


def detector_row(body: Body) -> dict[str, Any]:
    """One line about a detector, as its printer columns have it."""
    status = body.get("status") or {}
    ready: Body = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    counts = status.get("anomalies") or {}
    backfill = (status.get("backfill") or {}).get("percent")
    last = status.get("lastAnomalyTime")
    return {
        "NAMESPACE": body["metadata"]["namespace"],
        "NAME": body["metadata"]["name"],
        "READY": ready.get("status", "Unknown"),
        "STATE": status.get("state", ""),
        "BACKFILL": f"{backfill:.0f} %" if backfill is not None and backfill < 100 else "",
        "SCORE": str(shown_score(status.get("worstScore") or 0.0)),
        "SERIES": str(status.get("seriesCount") or 0),
        "CRITICAL": str(counts.get("critical", 0)),
        "MAJOR": str(counts.get("major", 0)),
        "LAST ANOMALY": f"{_age(last)} ago" if last else "",
        "MEMORY": status.get("modelMemory", ""),
        "GROUPS": ",".join(body["spec"].get("groups") or ()),
        "DESCRIPTION": body["spec"].get("description", ""),
    }


def anomaly_rows(body: Body, *, min_score: float = 0.0) -> list[dict[str, Any]]:
    """One line for each of the newest anomalies in a detector's status, from a score on."""
    rows = []
    try:
        spec = AnomalyDetectorSpec.parse(body["spec"], path="spec")
    except SpecError:
        spec = None  # of another version, or wrong: what its status tells is shown all the same
    for entry in (body.get("status") or {}).get("recentAnomalies") or ():
        if entry["score"] < min_score:
            continue
        place = "/".join(part for part in (entry.get("namespace"), entry["entity"]) if part)
        rows.append(
            {
                "TIME": entry["time"],
                "DETECTOR": f"{body['metadata']['namespace']}/{body['metadata']['name']}",
                "METRIC": entry["metric"],
                "ENTITY": place,
                "SCORE": str(shown_score(entry["score"])),
                "SEVERITY": severity_of(entry["score"]) or "",
                "ACTUAL": _value(entry.get("actual"), entry["metric"]),
                "TYPICAL": _value(entry.get("typical"), entry["metric"]),
                "WHY": entry.get("explanation") or entry.get("summary", ""),
                **(_beside(spec, entry) if spec is not None else {}),
            }
        )
    return rows


def _beside(spec: AnomalyDetectorSpec, entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the job's author wants to stand beside an anomaly: a description, and links."""
    index = entry.get("detectorIndex", 0)
    if index >= len(spec.detectors):
        return {}
    detector = spec.detectors[index]
    fields = {
        **entry,
        detector.effective_by(spec.target.kind): entry["entity"],
        **({spec.partition_field: entry.get("partition")} if spec.partition_field else {}),
    }
    links = links_of(
        spec.custom_settings.custom_urls if spec.custom_settings else (),
        fields,
        start_s=datetime.fromisoformat(entry["time"]).timestamp(),
        span_s=spec.bucket_span.total_seconds(),
    )
    return _words(detector.description, links)


def _words(description: str | None, links: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    listed = "\n".join(f"{link['name']}: {link['url']}" for link in links)
    return {
        **({"ABOUT": description} if description else {}),
        **({"LINKS": listed} if listed else {}),
    }


def _from_worker(url: str, *, min_score: float, limit: int) -> list[dict[str, Any]]:
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/api/v1/records",
            params={"min_score": min_score, "limit": limit},
            timeout=_TIMEOUT_S,
        )
        answer.raise_for_status()
        records: list[Mapping[str, Any]] = answer.json()["records"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise SourceUnavailable(f"worker {url}: {error}") from error
    return [
        {
            "TIME": datetime.fromtimestamp(record["timestamp"] / 1000, UTC).isoformat(),
            "DETECTOR": record["job_id"],
            "METRIC": record["field_name"],
            "ENTITY": record["by_field_value"],
            "SCORE": str(shown_score(record["record_score"])),
            "SEVERITY": record["severity"] or "",
            "ACTUAL": _value(record["actual"][0], record["field_name"]),
            "TYPICAL": _value(record["typical"][0], record["field_name"]),
            "WHY": record["anomaly_score_explanation"]["sentence"],
            **_words(record.get("detector_description"), record.get("links", ())),
        }
        for record in records
    ]


def _print(rows: Iterable[Mapping[str, Any]], *, nothing: str) -> None:
    """One line a row, as kubectl's; sentences stand below, where they have room."""
    listed = list(rows)
    if not listed:
        click.echo(nothing)
        return
    columns = [
        column
        for column in dict.fromkeys(column for row in listed for column in row)
        if column not in _SENTENCES and any(_cell(row, column) for row in listed)
    ]
    width = {
        column: max(len(column), *(len(_cell(row, column)) for row in listed)) for column in columns
    }
    console = Console(highlight=False)

    def line(cells: Mapping[str, Any]) -> Text:
        text = "  ".join(f"{_cell(cells, column):<{width[column]}}" for column in columns)
        return Text(text.rstrip(), style=_COLOURS.get(str(cells.get("SEVERITY", "")), ""))

    console.print(line({column: column for column in columns}), soft_wrap=True)
    for row in listed:
        console.print(line(row), soft_wrap=True)
        for column in _SENTENCES:
            for sentence in map(printable, str(row.get(column, "")).splitlines()):
                if console.is_terminal:
                    console.print(Padding(Text(sentence), (0, 0, 0, 4)))
                else:
                    console.print(Text(f"    {sentence}"), soft_wrap=True)


def _cell(row: Mapping[str, Any], column: str) -> str:
    return printable(str(row.get(column, "")))


def _value(value: float | None, metric: str) -> str:
    return "" if value is None else quantity(value, _UNITS.get(metric, ""))


def _age(moment: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    for size, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f}{name}"
    return f"{max(0.0, seconds):.0f}s"
