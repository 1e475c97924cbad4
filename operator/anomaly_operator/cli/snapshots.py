"""``anomaly snapshots``: list a detector's model snapshots, or ask to go back to one.

The wish is an annotation on the detector; the operator copies it into the worker's job, and the
worker carries it out once. Nothing here touches a model.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import click
import httpx
import orjson
from rich.console import Console
from rich.table import Table

from anomaly_operator.adapters.kube import ANOMALY_DETECTORS, Body, Kube
from anomaly_operator.api.group import GROUP
from anomaly_operator.api.job import Revert
from anomaly_operator.errors import SourceUnavailable

REVERT_ANNOTATION = f"{GROUP}/revert"
"""Holds the ``Revert`` document as JSON."""

_FIELD_MANAGER = "anomaly-cli"
_TIMEOUT_S = 30.0


@click.command("snapshots")
@click.argument("name")
@click.argument("action", type=click.Choice(["list", "revert"]), default="list")
@click.argument("snapshot_id", required=False)
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("--worker", metavar="URL", help="Ask this worker, which has the whole list.")
@click.option(
    "--delete-results",
    is_flag=True,
    help="With revert: delete results after the snapshot and analyse that time again.",
)
@click.option("--kubeconfig", help="Kubeconfig file; as kubectl finds it by default.")
def command(
    *,
    name: str,
    action: str,
    snapshot_id: str | None,
    namespace: str,
    worker: str | None,
    delete_results: bool,
    kubeconfig: str | None,
) -> None:
    """List the snapshots of detector NAME, or revert it to SNAPSHOT_ID ("empty": from scratch)."""
    if action == "revert":
        if not snapshot_id:
            raise click.UsageError("revert needs the id of a snapshot, or empty")
        kube = Kube.connect(kubeconfig)
        wish = Revert(
            request_id=str(uuid.uuid4()),
            snapshot_id=snapshot_id,
            delete_intervening_results=delete_results,
        )
        if kube.get(ANOMALY_DETECTORS, name, namespace=namespace) is None:
            raise click.ClickException(f"there is no AnomalyDetector {namespace}/{name}")
        kube.apply(revert_body(name, namespace, wish), field_manager=_FIELD_MANAGER)
        click.echo(f"{namespace}/{name} will go back to snapshot {snapshot_id}")
        return
    rows = _from_worker(worker) if worker else _from_status(name, namespace, kubeconfig)
    table = Table(box=None, pad_edge=False)
    for column in ("SHARD", "ID", "LEARNT UNTIL", "SIZE", "DESCRIPTION"):
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def revert_body(name: str, namespace: str, wish: Revert) -> Body:
    """Give the document that is applied: one annotation, and no other field."""
    return {
        "apiVersion": ANOMALY_DETECTORS.api_version,
        "kind": ANOMALY_DETECTORS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {REVERT_ANNOTATION: orjson.dumps(wish.document()).decode()},
        },
    }


def _from_status(name: str, namespace: str, kubeconfig: str | None) -> list[tuple[str, ...]]:
    body = Kube.connect(kubeconfig).get(ANOMALY_DETECTORS, name, namespace=namespace)
    if body is None:
        raise click.ClickException(f"there is no AnomalyDetector {namespace}/{name}")
    rows: list[tuple[str, ...]] = []
    for shard in (body.get("status") or {}).get("shards") or ():
        newest: dict[str, Any] | None = shard.get("modelSnapshot")
        if newest:
            size = _size(newest.get("sizeBytes"))
            rows.append((str(shard["shard"]), newest["id"], newest["time"], size, "newest"))
    return rows


def _from_worker(url: str) -> list[tuple[str, ...]]:
    try:
        answer = httpx.get(f"{url.rstrip('/')}/api/v1/snapshots", timeout=_TIMEOUT_S)
        answer.raise_for_status()
        documents = answer.json()["snapshots"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise SourceUnavailable(f"worker {url}: {error}") from error
    return [
        (
            "",
            document["snapshot_id"],
            datetime.fromtimestamp(document["timestamp"] / 1000, UTC).isoformat(),
            _size(document["size_bytes"]),
            document["description"],
        )
        for document in documents
    ]


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 2**20:.1f} MiB"
