"""Settings that a worker reads when it starts: it is closed and opened, and nothing shows it.

What is in the results store after a reopening is what would be there without one, row by row, and
every bucket and sample was counted once.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.updates.lab import EDIT_S, HISTORY, NOW_S, SPAN_S, START_S, Lab, bucket_s

END_S = bucket_s(20)
MIB = 2**20
WITHOUT_CONSEQUENCE = {
    "analysisLimits": {"modelMemoryLimit": "512mb"},
    "backgroundPersistInterval": "29d",
    "modelPruneWindow": "60d",
    "renormalizationWindowDays": 31,
}
"""A value for each setting that changes nothing about these few hours."""
TABLES = ("records", "buckets", "influencers", "model_plots", "annotations", "muted")
WHEN_WRITTEN = {"processing_time_ms", "create_time"}


def rows(lab: Lab) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the results store, but for when it was written."""
    path = lab.folder / "data" / "results.db"
    found = {}
    with closing(sqlite3.connect(path)) as connection:
        for table in TABLES:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            listed = ", ".join(f'"{name}"' for name in columns if name not in WHEN_WRITTEN)
            query = f"SELECT {listed} FROM {table} ORDER BY {listed}"
            found[table] = connection.execute(query).fetchall()
    return found


def buckets(lab: Lab) -> list[float]:
    """Starts of the buckets as a whole in the results store, in order."""
    with closing(sqlite3.connect(lab.folder / "data" / "results.db")) as connection:
        found = connection.execute(
            "SELECT timestamp FROM buckets WHERE partition_field_value = '' ORDER BY timestamp"
        ).fetchall()
    return [row[0] / 1000 for row in found]


@pytest.fixture(scope="module")
def undisturbed(base: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The same worker, left alone."""
    made = base.copied(tmp_path_factory.mktemp("undisturbed") / "lab")
    made.run(END_S)
    return made


@pytest.mark.parametrize("name", WITHOUT_CONSEQUENCE)
def test_nothing_is_lost_and_nothing_analysed_twice(lab: Lab, undisturbed: Lab, name: str):
    lab.run(END_S, at={EDIT_S: lambda: lab.edit(**{name: WITHOUT_CONSEQUENCE[name]})})
    assert lab.openings == 1
    assert lab.status["appliedGeneration"] == 2
    assert rows(lab) == rows(undisturbed)
    ours = buckets(lab)
    assert ours == [START_S + SPAN_S * i for i in range(HISTORY + 19)], "no gap, nothing twice"
    for counts in (lab.status["dataCounts"], undisturbed.status["dataCounts"]):
        assert counts["bucketCount"] == len(ours)
    assert lab.status["dataCounts"] == undisturbed.status["dataCounts"]


def test_a_snapshot_is_stored_at_the_reopening(lab: Lab):
    lab.run(END_S, at={EDIT_S: lambda: lab.edit(modelPruneWindow="60d")})
    times = [info.timestamp_s for info in lab.snapshots().list()]
    assert [time for time in times if bucket_s(4) < time < bucket_s(18)] == [bucket_s(5)], (
        "the end of the newest bucket that was due"
    )


def test_several_edits_at_once_reopen_once(lab: Lab, undisturbed: Lab):
    lab.run(END_S, at={EDIT_S: lambda: lab.edit(**WITHOUT_CONSEQUENCE)})
    assert lab.openings == 1
    assert rows(lab) == rows(undisturbed)


def test_edits_again_and_again_lose_nothing(lab: Lab, undisturbed: Lab):
    """Every quarter of an hour another limit."""

    def lower(number: int) -> None:
        lab.edit(analysisLimits={"modelMemoryLimit": 200 - number})

    lab.run(END_S, at={bucket_s(n): lambda n=n: lower(n) for n in range(5, 15)})
    assert lab.openings == 10
    assert rows(lab) == rows(undisturbed)
    assert lab.status["dataCounts"] == undisturbed.status["dataCounts"]


@pytest.mark.parametrize(
    ("written", "mebibytes"),
    [
        (11, 11),
        ("11mb", 11),
        ("11MB", 11),
        ("11534336b", 11),
        ("11999999b", 11),  # rounded down to whole MiB
        ("1100kb", 1),
        ("2gb", 2048),
        ("1tb", 1024 * 1024),
        ("11Mi", 11),
        ("1Gi", 1024),
        ("500M", 476),
        ("1G", 953),
        ("2000k", 1),
    ],
)
def test_a_limit_is_what_its_form_means_in_whole_mebibytes(
    lab: Lab, written: str | int, mebibytes: int
):
    """Seen in what the worker reports to work under."""
    lab.edit(analysisLimits={"modelMemoryLimit": written})
    lab.run(lab.now_s + 600)
    reported = lab.status["modelSizeStats"]["modelBytesMemoryLimit"]
    assert reported == mebibytes * MIB


def test_reopening_counts_from_where_the_history_began(undisturbed: Lab):
    """The test's own arithmetic: the last bucket is the newest that is due at the end."""
    assert buckets(undisturbed)[-1] == END_S - 2 * SPAN_S
    assert NOW_S - START_S == HISTORY * SPAN_S
    assert Path(undisturbed.table).exists()
