"""Every command a reader is told to type is run by some test; a new one must say by which."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
_BLOCK = re.compile(r"^```sh\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)

# Run here as they stand, from the repository's root.
RUN_HERE = (
    "anomaly validate manifests/samples/pods-memory.yaml manifests/samples/filter-batch.yaml",
)
# Run elsewhere, because they take a while or need a cluster: which test, and words it must contain.
RUN_ELSEWHERE = {
    "make demo": ("tests/demo", '"demo"'),
    "make test": (".ci/run", "make test"),
    "kubectl apply -k manifests/base": ("tests/support/whole_cluster.py", '"manifests/base"'),
    "kubectl apply -k manifests/samples": ("tests/manifests", "manifests/samples"),
    "kubectl get andet -A": ("tests/support/whole_cluster.py", '"andet,pods,events", "-A"'),
    "anomaly backtest DETECTOR.yaml --input FILE --output RESULTS.csv": (
        "tests/backtest",
        "--input",
    ),
}


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.splitlines():
                command = line.split(" #")[0].strip()
                if command and not command.startswith("#"):
                    found.append((page.name, command))
    return found


def text_of(place: str) -> str:
    path = ROOT / place
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_pages_have_commands():
    assert len(commands()) >= len(RUN_HERE) + len(RUN_ELSEWHERE)


@pytest.mark.parametrize(("page", "command"), commands(), ids=lambda value: value)
def test_every_command_is_run_by_a_test(page: str, command: str):
    if command in RUN_HERE:
        program, *arguments = shlex.split(command)
        done = subprocess.run(
            [BIN / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return
    assert command in RUN_ELSEWHERE, f"{page}: no test runs {command!r}"
    place, words = RUN_ELSEWHERE[command]
    assert words in text_of(place), f"{place} no longer runs {command!r}"


def links(page: Path) -> list[str]:
    """Targets of a page's links to files; patterns within code are none."""
    text = re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8"))
    return re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)


def test_links_between_pages_lead_somewhere():
    pages = {*PAGES, *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"}
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in sorted(pages)
        for target in links(page)
        if not (page.parent / target).exists()
    ]
    assert broken == []
