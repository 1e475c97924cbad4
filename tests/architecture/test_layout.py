"""The picture in docs/architecture.md stays true because a machine looks at it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "anomaly_operator"


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


def test_operator_is_a_source_root_and_never_a_package():
    """operator/__init__.py would shadow the standard library's module and stop the interpreter."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_the_standard_library_keeps_its_operator_from_the_repository_root():
    found = subprocess.run(
        [sys.executable, "-c", "import operator; print(operator.__file__)"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert "anomaly" not in found.stdout
    assert found.stdout.strip().endswith("operator.py")


def test_no_module_is_too_big_to_live_in():
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in tracked("operator/*.py", "tests/*.py", "benchmarks/*.py")
    }
    assert sizes, "no files found: the check would say nothing"
    assert {name: lines for name, lines in sizes.items() if lines > 500} == {}


def test_every_package_says_what_it_is():
    packages = [path for path in PACKAGE.rglob("*") if path.is_dir() and any(path.glob("*.py"))]
    assert packages
    bare = [
        str(path.relative_to(ROOT))
        for path in packages
        if not (path / "__init__.py").exists()
        or not (path / "__init__.py").read_text().startswith('"""')
    ]
    assert bare == []


def test_nothing_is_left_unfinished():
    """The words by which unfinished work gives itself away do not stand in shipped files."""
    words = ("NotImplemented" + "Error", "TO" + "DO", "FIX" + "ME", "XX" + "X")
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in tracked("operator/*", "crds/*", "manifests/*")
        if path.suffix in {".py", ".yaml", ".md"}
        for word in words
        if word in path.read_text()
    ]
    assert found == []


@pytest.mark.parametrize("command", [["lint-imports"]], ids=["floors"])
def test_imports_go_down_only(command: list[str]):
    """import-linter's contracts in pyproject.toml hold."""
    program = Path(sys.executable).parent / command[0]
    result = subprocess.run(
        [program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_every_package_we_depend_on_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"])
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    wanted += project["dependency-groups"]["dev"]
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in wanted}
    reasons = (ROOT / "docs/decisions/0001-dependencies.md").read_text().lower()
    assert {name for name in names if f"`{name.lower()}`" not in reasons} == set()
