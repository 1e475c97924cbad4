"""``anomaly validate``: check manifests with the operator's own models and messages."""

from __future__ import annotations

from typing import TextIO

import click

from anomaly_operator.api import manifests


@click.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.File(encoding="utf-8"))
@click.option(
    "--filters-elsewhere",
    is_flag=True,
    help="Let rules name AnomalyFilters that are in none of the FILEs.",
)
@click.pass_context
def command(context: click.Context, files: tuple[TextIO, ...], *, filters_elsewhere: bool) -> None:
    """Check the manifests in FILEs (- is standard input): every problem, with its line.

    Documents of other kinds are passed over. Exit code 1 when anything is wrong.
    """
    texts = [(file.name, file.read()) for file in files]
    report = manifests.check(texts, filters_elsewhere=filters_elsewhere)
    for finding in report.findings:
        click.echo(str(finding), err=True)
    if report.findings:
        context.exit(1)
    if not report.checked:
        click.echo("no AnomalyDetector, AnomalyFilter or MetricSource in the files", err=True)
        context.exit(1)
    passed = f"; {report.passed_over} of other kinds passed over" if report.passed_over else ""
    click.echo(f"{report.checked} checked, nothing wrong{passed}")
