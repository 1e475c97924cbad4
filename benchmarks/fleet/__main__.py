"""Write a fleet's tables: ``python -m benchmarks.fleet FOLDER [--seed 11] [--span 900] ...``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.fleet.generate import generate
from benchmarks.fleet.model import Settings
from benchmarks.fleet.tables import write


def main(arguments: list[str]) -> int:
    """Generate one fleet and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--workloads", type=int, default=24)
    parser.add_argument("--weeks", type=float, default=8.0)
    parser.add_argument("--span", type=float, default=900.0, help="bucket span in seconds")
    options = parser.parse_args(arguments)
    fleet = generate(
        Settings(
            seed=options.seed,
            workloads=options.workloads,
            weeks=options.weeks,
            span_s=options.span,
        )
    )
    write(fleet, options.folder)
    print(f"{options.folder}: {len(fleet.series)} series, {len(fleet.events)} labelled events")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
