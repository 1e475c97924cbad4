"""Sharding, thinning, episodes and the state document: the worker's pure parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly_operator.ports import SnapshotInfo
from anomaly_operator.worker.episodes import Episodes, Step
from anomaly_operator.worker.maintenance import DAY_S, expired_snapshots, next_run_s
from anomaly_operator.worker.sharding import shard_of
from tests.support.ports_conformance import a_record

HOUR_S = 3600.0


@given(
    families=st.lists(st.text(min_size=1), min_size=1, max_size=50, unique=True),
    shards=st.integers(1, 16),
)
def test_growing_moves_series_only_to_the_new_shard(families: list[str], shards: int) -> None:
    for family in families:
        before, after = shard_of("p", family, shards), shard_of("p", family, shards + 1)
        assert after in {before, shards}


def test_shards_share_evenly() -> None:
    """4000 workloads over 4 shards: each gets a quarter within five sigma of a binomial (137)."""
    counts = [0, 0, 0, 0]
    for number in range(4000):
        counts[shard_of("", f"shop/app-{number}", 4)] += 1
    assert max(abs(count - 1000) for count in counts) < 137


def thinned(
    ages_h: Sequence[float],
    *,
    retention_days: int = 10,
    daily_after_days: int = 1,
    retain: frozenset[float] = frozenset(),
    current_h: float = 0.0,
) -> set[float]:
    """Return the ages, in hours before the newest, of the snapshots that stay."""
    newest_s = 100 * DAY_S
    infos = [
        SnapshotInfo(f"{age}", newest_s - age * HOUR_S, 1, retain=age in retain) for age in ages_h
    ]
    gone = expired_snapshots(
        infos,
        current=f"{current_h}",
        retention_days=retention_days,
        daily_after_days=daily_after_days,
    )
    return {age for age in ages_h if f"{age}" not in gone}


def test_a_day_of_snapshots_stays_and_then_one_of_each_day() -> None:
    """One every 3 h for 12 days: 24 h untouched, then the first of each window from the cut."""
    ages = [3.0 * number for number in range(12 * 8)]
    assert thinned(ages) == {
        *(age for age in ages if age <= 24),
        *(24.0 * day for day in range(2, 11)),
    }


THINNING = {
    "windows count from the hard cut, not from midnight": (
        {"ages_h": [0.0, 50.0, 60.0, 71.0, 73.0], "retention_days": 3},
        {0.0, 71.0},  # the window from 72 to 48 keeps its first, which is the oldest
    ),
    "everything before the cut goes": ({"ages_h": [0.0, 241.0, 500.0]}, {0.0}),
    "the newest stays whatever the retention": (
        {"ages_h": [0.0, 1.0], "retention_days": 0, "daily_after_days": 0},
        {0.0},
    ),
    "one that a person keeps stays": (
        {"ages_h": [0.0, 500.0], "retain": frozenset({500.0})},
        {0.0, 500.0},
    ),
    "the one the job stands on stays": ({"ages_h": [0.0, 500.0], "current_h": 500.0}, {0.0, 500.0}),
    "none at all is fine": ({"ages_h": []}, set()),
}


@pytest.mark.parametrize("sentence", THINNING)
def test_thinning(sentence: str) -> None:
    given_, stays = THINNING[sentence]
    assert thinned(**given_) == stays  # type: ignore[arg-type]


@given(
    ages=st.lists(st.integers(0, 1000).map(float), unique=True, max_size=60),
    retention=st.integers(0, 30),
    daily=st.integers(0, 30),
)
@settings(max_examples=60)
def test_thinning_twice_is_thinning_once(ages: list[float], retention: int, daily: int) -> None:
    """What is kept tonight is kept tomorrow, if nothing new came."""
    ages = [0.0, *(age for age in ages if age)]
    daily = min(daily, retention)
    once = thinned(ages, retention_days=retention, daily_after_days=daily)
    assert thinned(sorted(once), retention_days=retention, daily_after_days=daily) == once


@given(after_s=st.floats(0, 4e9), uid=st.text(max_size=36))
def test_maintenance_runs_between_half_past_midnight_and_half_past_two(
    after_s: float, uid: str
) -> None:
    run_s = next_run_s(after_s, uid)
    assert 0 < run_s - after_s <= DAY_S
    assert 30 * 60 <= run_s % DAY_S < 150 * 60


def walk(scores: Sequence[float | None]) -> list[str]:
    """Feed one series' scores bucket by bucket; returns the steps with their bucket."""
    episodes = Episodes()
    told = []
    for bucket, score in enumerate(scores):
        records = () if score is None else (replace(a_record(900.0), record_score=score),)
        told += [f"{bucket}:{each.step}" for each in episodes.advance(900.0 * bucket, records)]
        episodes = Episodes.from_document(episodes.document())  # as after any restart
    return told


EPISODES: dict[str, tuple[list[float | None], list[str]]] = {
    "below 50 nothing opens": ([49.0, 40.0, None], []),
    "an anomaly opens once and ends after two quiet buckets": (
        [60.0, 60.0, 60.0, None, None, None],
        ["0:opened", "4:ended"],
    ),
    "one quiet bucket inside does not end it": (
        [60.0, None, 60.0, None, None],
        ["0:opened", "4:ended"],
    ),
    "a score that hovers about 50 is one episode": (
        [51.0, 49.0, 52.0, 30.0, 55.0, None, None],
        ["0:opened", "6:ended"],
    ),
    "it worsens by a step of severity, and only upwards": (
        [60.0, 70.0, 80.0, 90.0, 60.0, 80.0, None, None],
        ["0:opened", "2:worsened", "7:ended"],
    ),
    "it may come again": (
        [90.0, None, None, 60.0, None, None],
        ["0:opened", "2:ended", "3:opened", "5:ended"],
    ),
}


@pytest.mark.parametrize("sentence", EPISODES)
def test_episodes(sentence: str) -> None:
    scores, told = EPISODES[sentence]
    assert walk(scores) == told


def test_steps_know_their_episode() -> None:
    episodes = Episodes()
    (opened,) = episodes.advance(900.0, (a_record(900.0, score=80.0),))
    assert opened.step is Step.OPENED
    assert opened.record is not None
    assert (opened.episode.opened_s, opened.episode.severity) == (900.0, "critical")
