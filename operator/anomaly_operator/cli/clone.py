"""``anomaly clone``: another detector from an existing one's spec, to run over its history again.

Rules hold for new results only. A clone with the same rules and the same start analyses the past
under them, and leaves the old results to compare with. It is created through the API, so that the
API server checks it as it checks every other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from anomaly_operator.adapters.kube import ANOMALY_DETECTORS, Body, Kube, KubeError
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.defaults import HISTORY, with_defaults

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"]
_NOT_COPIED = "app.kubernetes.io/managed-by"  # whoever manages the old one knows nothing of the new


@click.command("clone")
@click.argument("name")
@click.argument("new")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option(
    "--start",
    type=click.DateTime(_FORMATS),
    help="Where the clone's analysis begins (UTC); where the old one's did by default.",
)
@click.option(
    "--days",
    type=click.IntRange(min=0),
    help="Begin so many days before now instead.",
)
@click.option("--suspend/--no-suspend", default=False, help="Create it closed.")
@click.option("--kubeconfig", help="Kubeconfig file; as kubectl finds it by default.")
def command(
    *,
    name: str,
    new: str,
    namespace: str,
    start: datetime | None,
    days: int | None,
    suspend: bool,
    kubeconfig: str | None,
) -> None:
    """Create detector NEW with the spec of detector NAME, to apply its rules to history."""
    if start is not None and days is not None:
        raise click.UsageError("--start and --days both say where to begin; leave one out")
    kube = Kube.connect(kubeconfig)
    body = kube.get(ANOMALY_DETECTORS, name, namespace=namespace)
    if body is None:
        raise click.ClickException(f"there is no AnomalyDetector {namespace}/{name}")
    if days is not None:
        start = datetime.fromtimestamp(datetime.now(UTC).timestamp() - days * 86400.0, UTC)
    try:
        made = kube.create(clone_body(body, new, start=start, suspend=suspend))
    except KubeError as error:
        raise click.ClickException(str(error)) from error
    if made is None:
        raise click.ClickException(f"there is an AnomalyDetector {namespace}/{new} already")
    click.echo(
        f"{namespace}/{new} analyses what {name} does, from {made['spec']['start']} on, "
        "under the rules as they are now"
    )


def clone_body(body: Body, new: str, *, start: datetime | None, suspend: bool) -> Body:
    """Give the document to create: the old spec, and no trace of the old one's life."""
    metadata = body["metadata"]
    spec: dict[str, Any] = {**body["spec"], "suspend": suspend}
    spec["start"] = _text(start or _began(body))
    labels = {
        key: value for key, value in (metadata.get("labels") or {}).items() if key != _NOT_COPIED
    }
    return {
        "apiVersion": ANOMALY_DETECTORS.api_version,
        "kind": ANOMALY_DETECTORS.kind,
        "metadata": {
            "name": new,
            "namespace": metadata["namespace"],
            **({"labels": labels} if labels else {}),
        },
        "spec": spec,
    }


def _began(body: Body) -> datetime:
    """Where the old one's analysis began: as it says, else as its default was."""
    told = ((body.get("status") or {}).get("backfill") or {}).get("from")
    if told and not body["spec"].get("start"):
        return datetime.fromisoformat(told)
    created = datetime.fromisoformat(body["metadata"]["creationTimestamp"])
    spec = AnomalyDetectorSpec.parse(body["spec"])
    return with_defaults(spec, created=created, uid="").start or created - HISTORY


def _text(moment: datetime) -> str:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
