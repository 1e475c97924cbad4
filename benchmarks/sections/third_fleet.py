"""Ours on fleets of the third generator, for the fleet section: an outside judge's, no peers.

Which events stand out is told twice: by the judge's own unit (five local standard deviations), and
where that and the size of ``grading`` agree. The goals are for the second, see ``fleet.third``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.detectors import CRITICAL, MAJOR
from benchmarks.fleet.measure import Figures, measure, threshold_for, together
from benchmarks.fleet.model import STANDS_OUT, EventKind, Settings
from benchmarks.fleet.running import run_ours
from benchmarks.fleet.third import Made, fair, generate
from benchmarks.fleet.third_trouble import STANDS_OUT_SD
from benchmarks.report import Table
from benchmarks.sections.fleet_goals import RATE, Findings, found_and_false


@dataclass(frozen=True, slots=True)
class Plan:
    """One fleet to make."""

    settings: Settings
    clock_change: bool = False

    def make(self, *, seed_shift: int = 0) -> Made:
        """Generate it, or another fleet like it."""
        settings = replace(self.settings, seed=self.settings.seed + seed_shift)
        return generate(settings, clock_change=self.clock_change)


_FIRST = Settings(seed=1, workloads=20, nodes=4, weeks=6.0)
PLANS = (
    Plan(_FIRST),
    Plan(replace(_FIRST, seed=2, weeks=7.0), clock_change=True),
    Plan(replace(_FIRST, seed=3, weeks=4.0, span_s=300.0)),
    Plan(replace(_FIRST, seed=4, weeks=7.0, span_s=3600.0)),
)
QUICK_PLANS = (Plan(replace(_FIRST, weeks=4.0)),)
NOTE = (
    "An outside judge's shapes, noise and troubles; see benchmarks/fleet/third.py. The judge counts"
    f" events of {STANDS_OUT_SD:g} local standard deviations and more, which may be ordinary"
    " moments in a bursty series; here an event stands out if it also has a size of"
    f" {STANDS_OUT:g} ordinary half ranges, as in the first fleet."
)
LOCAL = f"events ≥ {STANDS_OUT_SD:g} local sd"  # whatever their half ranges


@dataclass(frozen=True, slots=True)
class Seed:
    """What was measured on one fleet; ``local`` figures have events with the judge's sizes."""

    settings: Settings
    series: int
    local: Figures
    major: Figures
    critical: Figures
    equal: Figures  # at RATE false episodes a series-month
    local_equal: Figures


def run(*, quick: bool, seed_shift: int) -> Findings:
    """Make and run the fleets, or one shorter one when there is no time."""
    seeds = []
    for plan in QUICK_PLANS if quick else PLANS:
        made = plan.make(seed_shift=seed_shift)
        fleet = made.fleet
        print(f"  third fleet, seed {fleet.settings.seed}: {len(fleet.series)} series", flush=True)
        seeds.append(_measured(made))
    both = together([each.major for each in seeds])
    tables = (by_seed(seeds), by_kind(seeds), at_rate(seeds))
    return Findings(tables, found_and_false("third fleet", both))


def _measured(made: Made) -> Seed:
    judged, agreed = made.fleet, fair(made)
    scores = run_ours(judged)["score"]
    level = threshold_for(judged, scores, rate=RATE, columns=range(len(judged.series)))
    return Seed(
        settings=judged.settings,
        series=len(judged.series),
        local=measure(judged, scores, threshold=MAJOR),
        major=measure(agreed, scores, threshold=MAJOR),
        critical=measure(agreed, scores, threshold=CRITICAL),
        equal=measure(agreed, scores, threshold=level),
        local_equal=measure(judged, scores, threshold=level),
    )


def by_seed(seeds: Sequence[Seed]) -> Table:
    """One row a fleet, at both marks."""
    rows = tuple(
        (
            each.settings.seed,
            each.settings.span_s,
            each.series,
            each.major.series_months,
            len(each.major.chosen()),
            each.major.recall(),
            each.critical.recall(),
            each.major.false_rate,
            each.critical.false_rate,
            each.major.headroom_used,
            len(each.local.chosen()),
            each.local.recall(),
        )
        for each in seeds
    )
    return Table(
        "fleet_third",
        "A third generator",
        (
            "seed",
            "bucket span s",
            "series",
            "series-months",
            "events that stand out",
            "found ≥ 50",
            "found ≥ 75",
            "false a series-month ≥ 50",
            "false a series-month ≥ 75",
            "leak headroom used",
            LOCAL,
            "of these found ≥ 50",
        ),
        rows,
        NOTE,
    )


def by_kind(seeds: Sequence[Seed]) -> Table:
    """One row a kind, over all fleets."""
    local, major = together([each.local for each in seeds]), together([s.major for s in seeds])
    critical, equal = together([s.critical for s in seeds]), together([s.equal for s in seeds])
    rows = tuple(
        (
            kind.value,
            len(major.chosen(kind=kind)),
            *(figures.recall(kind=kind) for figures in (major, critical, equal)),
            len(local.chosen(kind=kind)),
            local.recall(kind=kind),
        )
        for kind in EventKind
    )
    return Table(
        "fleet_third_kinds",
        "A third generator, by kind",
        (
            "kind",
            "events that stand out",
            "found ≥ 50",
            "found ≥ 75",
            f"found at {RATE} false a series-month",
            LOCAL,
            "of these found ≥ 50",
        ),
        rows,
    )


def at_rate(seeds: Sequence[Seed]) -> Table:
    """One row for all fleets, each at the threshold that gives it the same false episodes."""
    equal = together([each.equal for each in seeds])
    local = together([each.local_equal for each in seeds])
    found = f"found at {RATE} false a series-month"
    return Table(
        "fleet_third_equal",
        "A third generator, at equal false episodes",
        ("detector", "series", "events that stand out", found, LOCAL, "of these found so"),
        (
            (
                "anomaly-operator",
                sum(each.series for each in seeds),
                len(equal.chosen()),
                equal.recall(),
                len(local.chosen()),
                local.recall(),
            ),
        ),
        "One threshold a fleet.",
    )
