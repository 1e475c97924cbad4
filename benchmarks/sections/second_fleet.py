"""Ours on fleets of the second generator, for the fleet section: no peers, nothing to be ahead of.

These stand apart from the first generator's figures because nothing but the words is the same:
other life, other troubles, and sizes in another unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.detectors import CRITICAL, MAJOR
from benchmarks.fleet.measure import Figures, measure, threshold_for, together
from benchmarks.fleet.model import Fleet, Settings
from benchmarks.fleet.running import run_ours
from benchmarks.fleet.second import generate
from benchmarks.report import Table
from benchmarks.sections.fleet_goals import RATE, Findings, found_and_false

_FIRST = Settings(
    seed=1, workloads=16, nodes=3, weeks=5.0, quiet_weeks=1.0, events_a_series_month=0.8
)
FLEETS = (
    _FIRST,
    replace(_FIRST, seed=2),
    replace(_FIRST, seed=3, quiet_weeks=3 / 7),
    replace(_FIRST, seed=4, span_s=300.0, weeks=3.0),
    replace(_FIRST, seed=5, span_s=3600.0, quiet_weeks=2.0),
)


@dataclass(frozen=True, slots=True)
class Seed:
    """What was measured on one fleet: at both marks, and at ``RATE`` false episodes."""

    settings: Settings
    series: int
    major: Figures
    critical: Figures
    equal: Figures


def run(*, quick: bool, seed_shift: int) -> Findings:
    """Make and run the fleets, only the first of them when there is no time."""
    seeds = []
    for settings in FLEETS[:1] if quick else FLEETS:
        fleet = generate(replace(settings, seed=settings.seed + seed_shift))
        print(f"  second fleet, seed {fleet.settings.seed}: {len(fleet.series)} series", flush=True)
        seeds.append(_measured(fleet))
    both = together([each.major for each in seeds])
    return Findings((by_seed(seeds), at_rate(seeds)), found_and_false("second fleet", both))


def _measured(fleet: Fleet) -> Seed:
    scores = run_ours(fleet)["score"]
    level = threshold_for(fleet, scores, rate=RATE, columns=range(len(fleet.series)))
    return Seed(
        settings=fleet.settings,
        series=len(fleet.series),
        major=measure(fleet, scores, threshold=MAJOR),
        critical=measure(fleet, scores, threshold=CRITICAL),
        equal=measure(fleet, scores, threshold=level),
    )


def by_seed(seeds: Sequence[Seed]) -> Table:
    """One row a fleet, at both marks."""
    rows = tuple(
        (
            each.settings.seed,
            each.settings.span_s,
            each.series,
            len(each.major.chosen()),
            each.major.recall(),
            each.critical.recall(),
            each.major.false_rate,
            each.critical.false_rate,
            each.major.headroom_used,
        )
        for each in seeds
    )
    return Table(
        "fleet_second",
        "A second generator",
        (
            "seed",
            "bucket span s",
            "series",
            "events that stand out",
            "found ≥ 50",
            "found ≥ 75",
            "false a series-month ≥ 50",
            "false a series-month ≥ 75",
            "leak headroom used",
        ),
        rows,
        "Another generator's shapes, noise and troubles; see benchmarks/fleet/second.py.",
    )


def at_rate(seeds: Sequence[Seed]) -> Table:
    """One row for all fleets, each at the threshold that gives it the same false episodes."""
    equal = together([each.equal for each in seeds])
    return Table(
        "fleet_second_equal",
        "A second generator, at equal false episodes",
        ("detector", "series", "events that stand out", f"found at {RATE} false a series-month"),
        (
            (
                "anomaly-operator",
                sum(each.series for each in seeds),
                len(equal.chosen()),
                equal.recall(),
            ),
        ),
        "One threshold a fleet.",
    )
