"""Records what a real API server answers to the scenarios.

``KUBEBUILDER_ASSETS=... python -m tests.devcluster.conformance.recording [name...]`` rewrites
``answers/``. Look at the difference before committing it: a changed answer is news about
Kubernetes, or a scenario that is not steady.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import yaml

from tests.devcluster.conformance.playing import ANSWERS, scenarios
from tests.devcluster.conformance.servers import real_server

_HEADER = "# Answers of kube-apiserver {version}, recorded by recording.py; do not edit.\n"


def main(names: list[str]) -> None:
    """Play the named scenarios, or all, and write down what was answered."""
    with tempfile.TemporaryDirectory() as folder, real_server(Path(folder)) as (player, version):
        for scenario in scenarios():
            if names and scenario.name not in names:
                continue
            text = yaml.safe_dump(
                player.play(scenario), sort_keys=False, width=100, allow_unicode=True
            )
            path = ANSWERS / f"{scenario.name}.yaml"
            path.write_text(_HEADER.format(version=version) + text, encoding="utf-8")
            print(path)  # noqa: T201 - a command's output


if __name__ == "__main__":
    main(sys.argv[1:])
