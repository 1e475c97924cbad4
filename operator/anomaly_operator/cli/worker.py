"""``anomaly worker``: one shard of one detector, from the operator's job document."""

from __future__ import annotations

from pathlib import Path

import click

from anomaly_operator.adapters.exposition import DEFAULT_SERIES_LIMIT
from anomaly_operator.worker.assembly import Options, listen_address, run_worker, shard_number
from anomaly_operator.worker.logs import set_up_logging


@click.command("worker")
@click.option(
    "--job",
    required=True,
    type=click.Path(path_type=Path),
    help="The job document; a change of it is followed.",
)
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for results, snapshots and journal.",
)
@click.option("--shard", default="0", help="Number of the shard, or a pod name that ends in it.")
@click.option("--listen", default="127.0.0.1:8080", help="Address of metrics, probes and results.")
@click.option(
    "--poll-interval",
    envvar="ANOMALY_JOB_POLL_INTERVAL",
    type=click.FloatRange(min=0.05),
    default=5.0,
    help="Seconds between two looks at the job document.",
)
@click.option(
    "--status-interval",
    envvar="ANOMALY_STATUS_INTERVAL",
    type=click.FloatRange(min=0.1),
    default=60.0,
    help="Seconds between two status writes that are not urgent.",
)
@click.option(
    "--series-limit",
    envvar="ANOMALY_SERIES_LIMIT",
    type=click.IntRange(min=0),
    default=DEFAULT_SERIES_LIMIT,
    help="Series on /metrics at most.",
)
@click.option(
    "--promql-view/--no-promql-view",
    envvar="ANOMALY_PROMQL_VIEW",
    default=False,
    help="Also expose anomaly:level and its bands.",
)
@click.option(
    "--log-level",
    envvar="ANOMALY_LOG_LEVEL",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
)
def command(
    *,
    job: Path,
    data: Path,
    shard: str,
    listen: str,
    poll_interval: float,
    status_interval: float,
    series_limit: int,
    promql_view: bool,
    log_level: str,
) -> None:
    """Run one shard of one detector until SIGTERM."""
    set_up_logging(log_level)
    run_worker(
        Options(
            job=job,
            data=data,
            shard=shard_number(shard),
            listen=listen_address(listen),
            poll_s=poll_interval,
            status_interval_s=status_interval,
            series_limit=series_limit,
            promql_view=promql_view,
        )
    )
