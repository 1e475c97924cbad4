"""``anomaly operator``: watch the resources and keep their workers, until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from anomaly_operator.adapters.kube import Kube
from anomaly_operator.controller.configuring import ENVIRONMENT_PREFIX, configure
from anomaly_operator.controller.own_image import with_own_image
from anomaly_operator.controller.running import Listening, run
from anomaly_operator.reconcile.configuration import OperatorConfig

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def _with_settings(function: Callable[..., None]) -> Callable[..., None]:
    """Give the command one option for every setting of the configuration."""
    for name, field in reversed(OperatorConfig.model_fields.items()):
        function = click.option(
            f"--{name.replace('_', '-')}",
            name,
            default=None,
            metavar="VALUE",
            help=f"{field.description} [{ENVIRONMENT_PREFIX}{name.upper()}]",
        )(function)
    return function


@click.command("operator")
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="ANOMALY_CONFIG",
    help="YAML file of settings; the environment and flags win over it.",
)
@click.option(
    "--kubeconfig",
    envvar="KUBECONFIG",
    help="How to reach the API server; in a pod its own account does.",
)
@click.option(
    "--listen-address",
    envvar="ANOMALY_LISTEN_ADDRESS",
    default="0.0.0.0",  # noqa: S104 - probes and scrapes come from other hosts
    show_default=True,
    help="Address of /metrics, /healthz and /readyz.",
)
@click.option("--listen-port", envvar="ANOMALY_LISTEN_PORT", default=8080, show_default=True)
@click.option(
    "--log-level",
    envvar="ANOMALY_LOG_LEVEL",
    default="info",
    type=click.Choice(["debug", "info", "warning", "error"]),
    show_default=True,
)
@_with_settings
def command(
    file: Path | None,
    kubeconfig: str | None,
    listen_address: str,
    listen_port: int,
    log_level: str,
    **settings: Any,
) -> None:
    """Watch AnomalyDetectors, AnomalyFilters and MetricSources, and keep their workers."""
    logging.basicConfig(level=log_level.upper(), format=_FORMAT, stream=sys.stderr)
    logging.getLogger("urllib3").setLevel(logging.INFO)
    flags = {name: value for name, value in settings.items() if value is not None}
    config = configure(file=file, environment=os.environ, flags=flags)
    api = Kube.connect(kubeconfig)
    config = with_own_image(api, config, os.environ)
    asyncio.run(run(api, config, Listening(listen_address, listen_port)))
