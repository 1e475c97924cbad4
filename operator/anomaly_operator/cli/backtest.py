"""``anomaly backtest``: run a detector over history in a file, without a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from anomaly_operator.adapters.sources.table_problems import time_of
from anomaly_operator.api.v1alpha1.status import SEVERITY_FROM
from anomaly_operator.devtools import backtest
from anomaly_operator.devtools.backtest_manifest import load_detector
from anomaly_operator.devtools.backtest_summary import show

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("backtest")
@click.argument("detector", type=FILE)
@click.option("--input", "input_", required=True, type=FILE, help="Table of samples.")
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV file to write.",
)
@click.option("--all-buckets", is_flag=True, help="Every bucket of every series, not records only.")
@click.option("--from", "from_", default="", help="Leave out rows before this time.")
@click.option("--to", default="", help="Leave out rows from this time on.")
@click.option("--timezone", default="UTC", help="Zone of times without an offset.")
@click.option(
    "--filters",
    multiple=True,
    type=FILE,
    help="Manifests with the AnomalyFilters that rules name; may be given more than once.",
)
@click.option(
    "--counter",
    "counters",
    multiple=True,
    metavar="METRIC",
    help="A metric whose values only grow, to be made a rate per second.",
)
@click.option(
    "--alert-at",
    default=SEVERITY_FROM["critical"],
    type=click.FloatRange(0, 100),
    help="Score from which the summary counts an alert.",
)
def command(
    detector: Path,
    *,
    input_: Path,
    output: Path,
    all_buckets: bool,
    from_: str,
    to: str,
    timezone: str,
    filters: tuple[Path, ...],
    counters: tuple[str, ...],
    alert_at: float,
) -> None:
    """Run the AnomalyDetector in DETECTOR over the table in --input, with the live engine.

    The table is CSV, CSV.gz or Parquet with columns timestamp (epoch seconds or RFC 3339), metric,
    value and any labels (namespace, workload, pod, node, ...), in any order.
    """
    zone = zone_of(timezone)
    spec, items = load_detector(detector, filters)
    request = backtest.Request(
        spec=spec,
        filters=items,
        input=input_,
        output=output,
        all_buckets=all_buckets,
        from_s=moment(from_, zone, option="--from", default=float("-inf")),
        to_s=moment(to, zone, option="--to", default=float("inf")),
        time_zone=timezone,
        counters=frozenset(counters),
        alert_at=alert_at,
    )
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as bar:
        try:
            summary = backtest.run(request, progress_on(bar))
        except OSError as error:
            message = f"{error.filename or output}: {error.strerror or error}"
            raise click.ClickException(message) from None
    # Rich takes what is no terminal to be 80 columns wide; a file or a pipe is as wide as need be.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    show(summary, console, {index: one.metric for index, one in enumerate(spec.detectors)})
    click.echo(f"results: {output}")


def progress_on(bar: Bar) -> backtest.Progress:
    """Show both stages on a bar."""
    reading = bar.add_task("reading", total=None, said="")
    analysing = bar.add_task("analysing", total=1.0, said="")
    rows = 0

    def read(more: int) -> None:
        nonlocal rows
        rows += more
        bar.update(reading, said=f"{rows} rows")

    def analysed(share: float) -> None:
        bar.update(reading, total=1.0, completed=1.0)
        bar.update(analysing, completed=share)

    return backtest.Progress(read, analysed)


def zone_of(name: str) -> ZoneInfo:
    """Find a time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        message = f"'{name}' is not a time zone; write it such as Europe/Berlin"
        raise click.BadParameter(message, param_hint="--timezone") from None


def moment(written: str, zone: ZoneInfo, *, option: str, default: float) -> float:
    """Read a time given on the command line."""
    if not written:
        return default
    time_s = time_of(written, zone)
    if time_s is None:
        message = f"'{written}' is no time; write epoch seconds or RFC 3339"
        raise click.BadParameter(message, param_hint=option)
    return time_s
