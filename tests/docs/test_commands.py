"""Every command a reader is told to type is run by some test; a new one must say by which."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from anomaly_operator.cli.main import main
from tests.api.asking import apiserver_with_our_kinds
from tests.api.cases import detector

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
DECISIONS = ROOT / "docs" / "decisions"  # what was so when it was decided
PAGES = sorted(
    page
    for page in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "benchmarks" / "README.md",
    )
    if page.parent != DECISIONS
)
_BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(make|anomaly) ([a-z][a-z-]*)[^`]*`")

# Run here as they stand, from the repository's root.
RUN_HERE = (
    "anomaly validate manifests/samples/pods-memory.yaml manifests/samples/filter-batch.yaml",
)
# Run here against an API server with the detector that the pages speak of.
RUN_ON_A_CLUSTER = (
    "kubectl get andet -n shop",
    "kubectl get andet shop-memory -n shop -o yaml",
    "anomaly get anomalies shop-memory -n shop",
    "anomaly snapshots shop-memory -n shop",
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
    "anomaly snapshots shop-memory revert 1732233600 -n shop --delete-results": (
        "tests/e2e/test_going_back.py",
        '"--delete-results"',
    ),
    "curl 'http://127.0.0.1:8080/api/v1/records?min_score=50&limit=20'": (
        "tests/adapters/test_http_server.py",
        "/api/v1/records?min_score=10&sort=record_score&limit=1",
    ),
    "anomaly get anomalies --worker http://127.0.0.1:8080": (
        "tests/worker/test_commands.py",
        '["anomalies", "--worker", worker_url]',
    ),
}
NOT_RUN = {
    "kubectl -n anomaly-system port-forward pod/andet-pods-memory-5f0c6b1e-0 8080": (
        "kubectl's own, and a stream of a kubelet's, which the stand-in has not"
    ),
}


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for kind, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            lines = block.splitlines()
            if kind == "console":  # what is not typed is what comes back
                lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
            typed = (line.split(" #")[0].strip() for line in lines)
            found += [(page.name, line) for line in typed if line and not line.startswith("#")]
    return found


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An API server with the detector of the spec's page in it."""
    folder = tmp_path_factory.mktemp("api")
    with apiserver_with_our_kinds(folder) as (path, kube):
        shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        kube.apply(shop, field_manager="a-user")
        kube.create(detector() | {"metadata": {"name": "shop-memory", "namespace": "shop"}})
        yield path


def text_of(place: str) -> str:
    path = ROOT / place
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_pages_have_commands():
    known = {*RUN_HERE, *RUN_ON_A_CLUSTER, *RUN_ELSEWHERE, *NOT_RUN}
    assert known == {command for _, command in commands()}


@pytest.mark.parametrize(("page", "command"), commands(), ids=lambda value: value)
def test_every_command_is_run_by_a_test(page: str, command: str, request: pytest.FixtureRequest):
    if command in {*RUN_HERE, *RUN_ON_A_CLUSTER}:
        program, *arguments = shlex.split(command)
        if command in RUN_ON_A_CLUSTER:
            arguments.append(f"--kubeconfig={request.getfixturevalue('kubeconfig')}")
        done = subprocess.run(
            [BIN / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return
    if command in NOT_RUN:
        pytest.skip(NOT_RUN[command])
    assert command in RUN_ELSEWHERE, f"{page}: no test runs {command!r}"
    place, words = RUN_ELSEWHERE[command]
    assert words in text_of(place), f"{place} no longer runs {command!r}"


def test_what_sentences_name_is_there():
    """Targets of make, and commands of ours."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    there = {"make": set(targets), "anomaly": set(main.list_commands(click.Context(main)))}
    wrong = [
        f"{page.relative_to(ROOT)}: {program} {word}"
        for page in PAGES
        for program, word in _INLINE.findall(page.read_text(encoding="utf-8"))
        if word not in there[program]
    ]
    assert wrong == []


def links(page: Path) -> list[str]:
    """Targets of a page's links to files; patterns within code are none."""
    text = re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8"))
    return re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)


def test_links_between_pages_lead_somewhere():
    pages = {*PAGES, *DECISIONS.glob("*.md")}
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in sorted(pages)
        for target in links(page)
        if not (page.parent / target).exists()
    ]
    assert broken == []
