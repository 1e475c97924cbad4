"""``anomaly snapshots``: list a detector's model snapshots, or ask to go back to one.

The wish is an annotation on the detector; the operator copies it into the worker's job, and the
worker carries it out once and says in the status what became of it. Nothing here touches a model.
"""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import click
import httpx
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anomaly_operator.adapters.kube import ANOMALY_DETECTORS, Body, Kube, KubeError
from anomaly_operator.adapters.terminal import printable
from anomaly_operator.api.group import GROUP
from anomaly_operator.api.job import Revert
from anomaly_operator.api.v1alpha1.status import (
    MAX_SNAPSHOTS_SHOWN,
    AnomalyDetectorStatus,
    RevertStatus,
)
from anomaly_operator.errors import SourceUnavailable

REVERT_ANNOTATION = f"{GROUP}/revert"
"""Holds the ``Revert`` document as JSON."""

_FIELD_MANAGER = "anomaly-cli"
_TIMEOUT_S = 30.0
_EMPTY = "empty"
_LOOK_S = 0.5


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
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=180.0,
    show_default=True,
    help="With revert: seconds to wait for what becomes of it; 0 does not wait.",
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
    wait_s: float,
    kubeconfig: str | None,
) -> None:
    """List the snapshots of detector NAME, or revert it to SNAPSHOT_ID ("empty": from scratch)."""
    if action == "revert":
        if not snapshot_id:
            raise click.UsageError("revert needs the id of a snapshot, or empty")
        wish = Revert(
            request_id=str(uuid.uuid4()),
            snapshot_id=snapshot_id,
            delete_intervening_results=delete_results,
        )
        _revert(Kube.connect(kubeconfig), name, namespace, wish=wish, wait_s=wait_s)
        return
    if worker:
        rows = _from_worker(worker)
    else:
        rows = _from_status(_detector(Kube.connect(kubeconfig), name, namespace))
    table = Table(box=None, pad_edge=False)
    for column in ("SHARD", "ID", "LEARNT UNTIL", "SIZE", "DESCRIPTION"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)


def _revert(kube: Kube, name: str, namespace: str, *, wish: Revert, wait_s: float) -> None:
    """Ask to go back, and tell what becomes of it. Raises ClickException where it is refused."""
    body = _detector(kube, name, namespace)
    known = _known(AnomalyDetectorStatus.parse(body.get("status") or {}))
    if known and wish.snapshot_id not in {_EMPTY, *known}:
        raise click.ClickException(
            f"{namespace}/{name} has no snapshot {wish.snapshot_id}; there are: {', '.join(known)}"
        )
    try:
        kube.apply(revert_body(name, namespace, wish), field_manager=_FIELD_MANAGER)
    except KubeError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{namespace}/{name} will go back to snapshot {wish.snapshot_id}")
    if body["spec"].get("suspend"):
        click.echo("it is closed; it goes back when it is opened")
        return
    if wait_s:
        _wait(kube, name, namespace, wish=wish, wait_s=wait_s)


def _wait(kube: Kube, name: str, namespace: str, *, wish: Revert, wait_s: float) -> None:
    """Tell what each worker says of a wish. Raises ClickException where one refuses, or none says.

    An API server that is away for a moment is no answer: the wish is with it already.
    """
    deadline_s = time.monotonic() + wait_s
    told: dict[int, RevertStatus] = {}
    shards, away = 1, ""
    while len(told) < shards and time.monotonic() < deadline_s:
        try:
            body = _detector(kube, name, namespace)
        except KubeError as error:
            away = f"; the API server: {error}"
            time.sleep(_LOOK_S)
            continue
        away = ""
        status = AnomalyDetectorStatus.parse(body.get("status") or {})
        shards = status.shard_count or 1
        for shard in status.shards:
            found = shard.revert
            if found is None or found.request_id != wish.request_id or shard.shard in told:
                continue
            told[shard.shard] = found
            click.echo(f"worker {shard.shard}: {found.outcome}: {printable(found.message)}")
        if len(told) < shards:
            time.sleep(_LOOK_S)
    silent = ", ".join(str(number) for number in range(shards) if number not in told)
    if silent:
        click.echo(
            f"worker {silent} has not said within {wait_s:g} s what became of it; it is not "
            f"forgotten: look at the conditions of {namespace}/{name}{away}",
            err=True,
        )
    if any(each.outcome == "refused" for each in told.values()):
        raise click.ClickException("refused; nothing was changed there")
    if silent:
        raise click.exceptions.Exit(1)


def _detector(kube: Kube, name: str, namespace: str) -> Body:
    body = kube.get(ANOMALY_DETECTORS, name, namespace=namespace)
    if body is None:
        raise click.ClickException(f"there is no AnomalyDetector {namespace}/{name}")
    return body


def _known(status: AnomalyDetectorStatus) -> list[str]:
    """Ids of all snapshots of a single worker, where it tells of all; several have each its own."""
    if (status.shard_count or 1) > 1 or len(status.shards) != 1:
        return []
    shown = status.shards[0].model_snapshots
    return [one.id for one in shown] if len(shown) < MAX_SNAPSHOTS_SHOWN else []


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


def _from_status(body: Body) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for shard in (body.get("status") or {}).get("shards") or ():
        newest: dict[str, Any] = shard.get("modelSnapshot") or {}
        for one in shard.get("modelSnapshots") or ([newest] if newest else []):
            words = [one.get("description") or "", "retained" if one.get("retain") else ""]
            if one["id"] == newest.get("id"):
                words.append("newest")
            described = ", ".join(word for word in words if word)
            size = _size(one.get("sizeBytes"))
            rows.append((str(shard["shard"]), one["id"], one["time"], size, described))
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
    if size_bytes is None:
        return ""
    return (
        f"{size_bytes / 2**20:.1f} MiB" if size_bytes >= 2**20 else f"{size_bytes / 2**10:.1f} KiB"
    )
