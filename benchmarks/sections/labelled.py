"""Labelled sets: NAB's scores, ranking measures, events at equal false episodes, beside peers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import labelled, nab, plots
from benchmarks.datasets import LabelledSeries, data_folder
from benchmarks.detectors import CRITICAL, MAJOR, Detector, Ours
from benchmarks.peers.registry import SLOW_ROWS, fast_peers, slow_peers
from benchmarks.report import Goal, Section, Table

# Halves: thresholds fitted on one half and applied to the other. Whole: fitted on what is scored.
NAB_HALF = {"standard": 72.0, "reward_low_FP": 65.0, "reward_low_FN": 77.0}
NAB_WHOLE = {"standard": 75.0, "reward_low_FP": 67.0, "reward_low_FN": 81.0}
# Published detectors' score files, cut to the same half by name and scored by this scorer.
PUBLISHED_HALF = (
    ("ARTime, published scores", 71.2, 60.7, 77.1, 66.3, 54.7, 71.6),
    ("CAD OSE, published scores", 71.8, 65.9, 76.3, 66.7, 60.7, 70.9),
    ("Numenta HTM, published scores", 68.7, 62.4, 73.0, 60.5, 54.8, 65.0),
)
WHOLE_FILES = 58
OURS = Ours.__dataclass_fields__["name"].default


def run(folder: Path, *, quick: bool, seed_shift: int = 0) -> Section:
    """Run every detector on every set that is there."""
    del seed_shift  # nothing here is drawn
    found = labelled.groups(data_folder())
    if not found:
        print(f"labelled sets are absent ({data_folder()}): skipped")
        return Section("labelled", (), ())
    fast: list[Detector] = [Ours(), *fast_peers()]
    outcomes: dict[str, list[labelled.Outcome]] = {}
    for group, data in found:
        outcomes[group] = []
        rows = sum(len(each.values) for each in data)
        slow = [] if quick or rows > SLOW_ROWS else slow_peers()
        for detector in [*fast, *slow]:
            print(f"  {group}: {detector.name}", flush=True)
            outcomes[group].append(labelled.run(group, data, detector))
    tables = [_ranking(outcomes), _marks(outcomes)]
    goals = _ahead(outcomes)
    drawn: list[str] = []
    corpus = dict(found).get("nab")
    if corpus is not None:
        scored = [(o.detector, nab.evaluate(corpus, o.scores)) for o in outcomes["nab"]]
        tables[:0] = [_nab(corpus, scored), _nab_files(corpus, scored[0][1])]
        goals[:0] = _nab_goals(corpus, scored[0][1])
        drawn.append(plots.worst_files(folder, corpus, outcomes["nab"][0].scores, scored[0][1]))
    drawn.append(plots.ranking_bars(folder, outcomes))
    return Section("labelled", tuple(tables), tuple(goals), tuple(drawn))


def _nab(corpus: list[LabelledSeries], scored: list[tuple[str, list[nab.NabResult]]]) -> Table:
    profiles = [profile.name for profile in nab.PROFILES]
    columns = (
        "detector",
        *(f"{name}, same" for name in profiles),
        *(f"{name}, other half" for name in profiles),
    )
    rows = [
        (name, *(r.same for r in results), *(r.other for r in results)) for name, results in scored
    ]
    return Table(
        "nab",
        f"NAB, {len(corpus)} files",
        columns,
        (*rows, *(PUBLISHED_HALF if len(corpus) < WHOLE_FILES else ())),
        "*same*: threshold fitted on the files scored. *other half*: mean over 40 random halvings"
        " of each half's score under the other half's threshold.",
    )


def _nab_files(corpus: list[LabelledSeries], results: list[nab.NabResult]) -> Table:
    rows = sorted(
        (
            (series.name, len(series.windows), *(r.per_file[series.name] for r in results))
            for series in corpus
        ),
        key=lambda row: row[2] - row[1],
    )
    return Table(
        "nab_files",
        "Our raw score per file (a window found at once is worth 1, missed -1)",
        ("file", "windows", *(r.profile for r in results)),
        tuple(rows),
    )


def _nab_goals(corpus: list[LabelledSeries], results: list[nab.NabResult]) -> list[Goal]:
    whole = len(corpus) >= WHOLE_FILES
    goals = []
    for result in results:
        aim = (NAB_WHOLE if whole else NAB_HALF)[result.profile]
        value = result.same if whole else result.other
        how = "whole corpus" if whole else "half, threshold of the other files"
        reached = f"{value:.1f}" + (
            "" if whole else f" (fitted on the same files {result.same:.1f})"
        )
        goals.append(Goal(f"NAB {result.profile}, {how}", f"≥ {aim:.0f}", reached, value >= aim))
    return goals


def _ranking(outcomes: dict[str, list[labelled.Outcome]]) -> Table:
    few, many = labelled.FALSE_A_SERIES
    rows = [
        (o.group, o.detector, o.vus_pr, o.auc_pr, o.equal_false[few], o.equal_false[many])
        for group in outcomes.values()
        for o in group
    ]
    return Table(
        "ranking",
        "Ranking on the labelled sets",
        ("set", "detector", "VUS-PR", "AUC-PR", f"found at {few} false/series", f"at {many}"),
        tuple(rows),
        "Means over the series with labels after NAB's probation; buffers up to"
        f" {labelled.LONGEST_BUFFER} rows. Found: share of events, one threshold for the set.",
    )


def _marks(outcomes: dict[str, list[labelled.Outcome]]) -> Table:
    rows = []
    for group, each in outcomes.items():
        for mark in (MAJOR, CRITICAL):
            found, false, delay = each[0].at_marks[mark]
            rows.append((group, mark, found, false, delay))
    return Table(
        "marks",
        "Ours at the scores 50 and 75",
        ("set", "score", "events found", "false episodes a series", "median delay, rows"),
        tuple(rows),
    )


def _ahead(outcomes: dict[str, list[labelled.Outcome]]) -> list[Goal]:
    goals = []
    few = labelled.FALSE_A_SERIES[0]
    measures = {
        "VUS-PR": lambda o: o.vus_pr,
        "AUC-PR": lambda o: o.auc_pr,
        f"events at {few} false/series": lambda o: o.equal_false[few],
    }
    for group, each in outcomes.items():
        for name, value in measures.items():
            ours, peers = value(each[0]), [(value(o), o.detector) for o in each[1:]]
            best, who = max((p for p in peers if np.isfinite(p[0])), default=(np.nan, "none"))
            if np.isfinite(ours):
                goals.append(
                    Goal(
                        f"{group} {name}",
                        f"> {best:.3f} ({who})",
                        f"{ours:.3f}",
                        bool(ours > best or ours >= 0.9995),
                    )
                )
    return goals
