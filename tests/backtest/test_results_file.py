"""The results file is whole or absent, and scores that changed later are put right in it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from anomaly_operator.devtools.backtest_results import ResultsFile, Shape
from anomaly_operator.engine.contract import (
    Block,
    Columns,
    Explanation,
    Outcome,
    Record,
    Rescore,
    SeriesKey,
    SeriesSet,
)

SHAPE = Shape(("pod",), ("memory_usage",), span_s=60.0, epoch_times=True, quoted=True)
KEYS = (SeriesKey("", "a"), SeriesKey("", "b"))
SERIES = SeriesSet(KEYS, ({"pod": "a"}, {"pod": 'b,"c"'}))


def record(time_s: float, position: int, score: float) -> Record:
    explanation = Explanation("spike", 1, 50, 0, 0, 1.0, 2.0, 3.0, False, False, "so it is")  # noqa: FBT003
    return Record(
        timestamp_s=time_s,
        span_s=60.0,
        detector_index=0,
        series=KEYS[position],
        labels=SERIES.labels[position],
        actual=9.0,
        typical=2.0,
        log_p=-2000.0,
        multi_bucket_impact=0.5,
        initial_record_score=score,
        record_score=score,
        influencers=(),
        explanation=explanation,
        summary="4x higher",
    )


def step(
    start_s: float, *records: Record, rescores: tuple[Rescore, ...] = ()
) -> tuple[Block, Outcome]:
    """Two buckets of two series, the second series missing in the first bucket."""
    counts = np.array([[1.0, 0.0], [1.0, 1.0]])
    values = np.where(counts > 0, 9.0, np.nan)
    scores = np.zeros((2, 2))
    for one in records:
        scores[round((one.timestamp_s - start_s) / 60), KEYS.index(one.series)] = one.record_score
    typical = np.array([[np.nan, np.nan], [2.0, 2.0]])
    columns = Columns(typical, typical, typical, np.full((2, 2), -2000.0), typical * 0, scores)
    outcome = Outcome((), records, (), rescores=rescores, columns={0: columns})
    return Block(0, start_s, SERIES, values, counts), outcome


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("all_buckets", [False, True])
def test_a_score_that_changed_later_is_put_right(tmp_path: Path, *, all_buckets: bool) -> None:
    path = tmp_path / "out.csv"
    later = Rescore(60.0, 0, KEYS[1], 12.5, "weaker beside what came since")
    with ResultsFile(path, SHAPE, all_buckets=all_buckets) as results:
        block, outcome = step(0.0, record(60.0, 0, 80.0), record(60.0, 1, 90.0))
        results.write([block], outcome)
        block, outcome = step(120.0, record(180.0, 1, 70.0), rescores=(later,))
        results.write([block], outcome)
    scored = {
        (row["timestamp"], row["pod"]): (row["initial_record_score"], row["record_score"])
        for row in rows(path)
        if float(row["initial_record_score"]) > 0
    }
    assert {where: tuple(map(float, both)) for where, both in scored.items()} == {
        ("60", "a"): (80.0, 80.0),
        ("60", 'b,"c"'): (90.0, 12.5),
        ("180", 'b,"c"'): (70.0, 70.0),
    }


def test_buckets_without_samples_are_no_rows_and_unknown_figures_are_empty(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with ResultsFile(path, SHAPE, all_buckets=True) as results:
        block, outcome = step(0.0)
        results.write([block], outcome)
        assert results.rows == 3
    found = rows(path)
    assert [(row["timestamp"], row["pod"], row["typical"]) for row in found] == [
        ("0", "a", ""),
        ("60", "a", "2"),
        ("60", 'b,"c"', "2"),
    ]


def test_a_probability_too_small_for_a_float_keeps_its_logarithm(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with ResultsFile(path, SHAPE, all_buckets=False) as results:
        block, outcome = step(0.0, record(60.0, 0, 80.0))
        results.write([block], outcome)
    (row,) = rows(path)
    assert (row["probability"], row["log10_probability"]) == ("5e-324", "-868.589")
    assert (row["summary"], row["explanation"]) == ("4x higher", "so it is")


def test_a_run_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    class BrokenRunError(Exception):
        pass

    with (
        pytest.raises(BrokenRunError),
        ResultsFile(tmp_path / "out.csv", SHAPE, all_buckets=False),
    ):
        raise BrokenRunError
    assert not list(tmp_path.iterdir())
