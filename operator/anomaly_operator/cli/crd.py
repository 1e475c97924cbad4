"""``anomaly crd``: print the CustomResourceDefinitions of this version."""

from __future__ import annotations

import click

from anomaly_operator.api.crd import crd_yaml, custom_resource_definition
from anomaly_operator.api.v1alpha1.kinds import KINDS


@click.command("crd")
@click.argument("kinds", nargs=-1, metavar="[KIND]...")
def command(kinds: tuple[str, ...]) -> None:
    """Print the CustomResourceDefinitions: all, or those of the KINDs.

    A KIND is a name such as AnomalyDetector, anomalydetectors or andet.
    """
    asked = {name.lower() for name in kinds}
    wanted = [kind for kind in KINDS if not asked or asked & kind.aliases]
    known = {alias for kind in KINDS for alias in kind.aliases}
    strangers = [name for name in kinds if name.lower() not in known]
    if strangers:
        names = ", ".join(kind.name for kind in KINDS)
        message = f"no kind {', '.join(strangers)}; there are {names}"
        raise click.BadParameter(message)
    click.echo(
        "---\n".join(crd_yaml(custom_resource_definition(kind)) for kind in wanted), nl=False
    )
