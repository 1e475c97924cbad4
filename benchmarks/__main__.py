"""Run the benchmark: ``python -m benchmarks [--quick] [--only fleet,speed,...]``."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Goal, Section, summary
from benchmarks.sections import calibration, fleet, labelled, speed

RESULTS = Path(__file__).resolve().parent / "results"
SECTIONS = {
    "calibration": calibration.run,
    "fleet": fleet.run,
    "labelled": labelled.run,
    "speed": speed.run,
}


def main(arguments: Sequence[str]) -> int:
    """Run the chosen sections, write their pages, print and write the summary of all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less data, fast peers only: minutes")
    parser.add_argument("--only", default="", help="comma-separated: " + ", ".join(SECTIONS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="where tables and plots go")
    parser.add_argument("--seed-shift", type=int, default=0, help="draw other fleets and samples")
    options = parser.parse_args(arguments)
    chosen = [name for name in options.only.split(",") if name] or list(SECTIONS)
    if unknown := sorted(set(chosen) - set(SECTIONS)):
        parser.error(f"--only: {', '.join(unknown)} is none of {', '.join(SECTIONS)}")
    options.results.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        print(f"{name} ...", flush=True)
        started = time.perf_counter()
        section = SECTIONS[name](
            options.results, quick=options.quick, seed_shift=options.seed_shift
        )
        section.write(options.results)
        took_s = time.perf_counter() - started
        _remember(options.results, section, quick=options.quick, took_s=took_s)
        print(f"{name}: {took_s:.0f} s", flush=True)
    text = _summary(options.results)
    (options.results / "README.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def _remember(folder: Path, section: Section, *, quick: bool, took_s: float) -> None:
    """Keep a section's goals, so that sections run apart still make one summary."""
    document = {
        "quick": quick,
        "took_s": round(took_s),
        "commit": _commit(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "goals": [[goal.what, goal.goal, goal.reached, bool(goal.ok)] for goal in section.goals],
    }
    path = folder / f"{section.name}.json"
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _summary(folder: Path) -> str:
    """One table over all sections that have ever been run into this folder."""
    lines = ["# Results", ""]
    goals: list[Goal] = []
    for name in SECTIONS:
        path = folder / f"{name}.json"
        if path.exists():
            document = json.loads(path.read_text(encoding="utf-8"))
            goals += [Goal(*goal) for goal in document["goals"]]
            kind = "quick" if document["quick"] else "full"
            lines.append(
                f"- [{name}]({name}.md): {kind} run, {document['took_s']} s,"
                f" commit {document['commit']}, {document['machine']}"
            )
    reached = sum(goal.ok for goal in goals)
    return "\n".join([*lines, "", f"{reached} of {len(goals)} goals reached.", "", summary(goals)])


def _commit() -> str:
    """Short name of the commit, with + where the engine has changes that are not in it."""
    root = Path(__file__).resolve().parents[1]
    git = ["git", "-C", str(root)]
    head = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", "operator/anomaly_operator/engine"],
        capture_output=True,
        text=True,
        check=False,
    )
    return (head.stdout.strip() or "unknown") + ("+" if changed.stdout.strip() else "")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
