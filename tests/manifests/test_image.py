"""The image's steps, run without Docker: install, compile the kernels, run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """Split the Dockerfile into (instruction, arguments), continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines]


def test_the_base_image_is_an_argument_of_both_stages():
    steps = instructions()
    assert steps[0][0] == "ARG"
    assert steps[0][1].startswith("BASE_IMAGE=")
    assert [rest.split(" ")[0] for word, rest in steps if word == "FROM"] == ["${BASE_IMAGE}"] * 2


def test_the_image_runs_as_a_number_that_is_not_root():
    users = [rest for word, rest in instructions() if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_everything_that_is_copied_is_there_and_let_through():
    """A path that .dockerignore holds back would fail the build."""
    let_through = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    for word, rest in instructions():
        if word != "COPY" or "--from" in rest:
            continue
        for path in rest.split()[:-1]:
            assert (ROOT / path).exists(), path
            assert any(path == each or path.startswith(f"{each}/") for each in let_through), path


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_same_steps_make_an_installation_that_runs(tmp_path: Path):
    """Installed into an empty environment, with kernels compiled ahead and found again."""
    home = tmp_path / "home"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "EXTRAS": "table"}
    environment |= {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower().endswith(("proxy", "_ca_bundle", "cert_file"))
    }

    def run(*command: str | Path, **more: str) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    run("image/install", ROOT, home)
    run("image/compile-kernels", home)
    kernels = tmp_path / "tmp-kernels"
    helped = run("image/anomaly", "--help", ANOMALY_HOME=str(home), NUMBA_CACHE_DIR=str(kernels))
    for name in ("operator", "worker", "backtest", "validate", "crd"):
        assert re.search(rf"^  {name}\b", helped, flags=re.MULTILINE)
    compiled = {file.name for file in (home / "kernels").rglob("*.nbc")}
    assert compiled
    assert {file.name for file in kernels.rglob("*.nbc")} == compiled
