"""The command ``anomaly``: subcommands are modules beside this one, loaded when they are used.

A worker must not import the demo, nor ``anomaly crd`` the engine; so a command's module is imported
only when the command is called. Each module has a ``command``, which parses and calls one function.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version
from typing import Any

import click

from anomaly_operator.errors import AnomalyOperatorError, SpecError

COMMANDS = {
    "demo": "Run the whole thing on this machine: no cluster, no Docker",
    "get": "Show detectors and their anomalies",
    "backtest": "Run a detector over history in a file",
    "validate": "Check manifests, with every problem and its place",
    "snapshots": "List a detector's model snapshots, or go back to one",
    "clone": "Create a detector like another, to run over its history again",
    "crd": "Print the CustomResourceDefinitions",
    "operator": "Run the operator",
    "worker": "Run a worker of one detector",
}
"""Commands in the order of help, with what help says without importing them."""


# An API server takes JSON that is nested 10,000 deep, and Python's own reader stops at a thousand:
# one such object in a list, and nobody's could be read. Each level costs less than 800 bytes of
# stack, of which a thread has 8 MiB.
_RECURSION_LIMIT = 50_000


class LazyGroup(click.Group):
    """A group whose commands are modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Give the commands, each a module of its name."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import a command's module and give its command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(_module(cmd_name)).command
        if not isinstance(command, click.Command):
            message = f"{_module(cmd_name)}.command is not a click command"
            raise TypeError(message)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours is shown as it is meant, one problem a line."""
        try:
            return super().invoke(ctx)
        except SpecError as error:
            for problem in error.problems:
                click.echo(str(problem), err=True)
            ctx.exit(1)
        except AnomalyOperatorError as error:
            click.echo(str(error), err=True)
            ctx.exit(1)


def _module(name: str) -> str:
    return f"anomaly_operator.cli.{name}"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("anomaly-operator"), prog_name="anomaly")
def main() -> None:
    """Anomaly detection for Kubernetes pods and nodes."""
    sys.setrecursionlimit(_RECURSION_LIMIT)
