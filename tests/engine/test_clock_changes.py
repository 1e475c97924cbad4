"""The nights on which clocks change: local rhythm is no news, what is missing still is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from anomaly_operator.engine import clock_changes, detecting, layout
from anomaly_operator.engine.contract import Annotation, Block, Side
from anomaly_operator.engine.engine import Engine
from tests.engine.building import QUARTER, Floats, analysis, bytes_of, lasting

HOUR_S = 3600.0
DAY_S = 86400.0
WEEKS_BEFORE = 5
DAYS_AFTER = 9
ROWS = 12
LOUD = 50.0
TRANSITIONS = {
    "Berlin, spring": ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    "Berlin, autumn": ("Europe/Berlin", datetime(2025, 10, 26, 1, tzinfo=UTC)),
    "New York, spring": ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    "New York, autumn": ("America/New_York", datetime(2025, 11, 2, 6, tzinfo=UTC)),
}
FIRST_YEAR = {
    "Europe/Berlin": 1996,
    "Europe/Lisbon": 1997,
    "Europe/Chisinau": 2022,
    "Asia/Beirut": 2024,
    "Asia/Jerusalem": 2013,
    "Africa/Cairo": 2024,
    "America/St_Johns": 2012,
    "America/Miquelon": 2007,
    "America/Havana": 2013,
    "America/Halifax": 2007,
    "America/New_York": 2007,
    "America/Chicago": 2007,
    "America/Denver": 2007,
    "America/Los_Angeles": 2007,
    "America/Anchorage": 2007,
    "America/Adak": 2007,
    "America/Santiago": 2023,
    "Australia/Sydney": 2008,
    "Australia/Adelaide": 2008,
    "Pacific/Auckland": 2008,
    "Pacific/Norfolk": 2020,
}

Job = Callable[[float], float]  # the day's first second on its own clock -> when it starts, UTC


def changes_in(zone: str, year: int) -> set[float]:
    """When ``zone`` changed its clocks, negative where back, as the time zone database has it."""
    there = ZoneInfo(zone)
    found = set()
    at = datetime(year, 1, 1, tzinfo=UTC)
    while at.year == year:
        after = at + timedelta(minutes=30)
        step = after.astimezone(there).utcoffset() - at.astimezone(there).utcoffset()  # type: ignore[operator]
        if step:
            found.add(after.timestamp() * (1.0 if step > timedelta(0) else -1.0))
        at = after
    return found


def test_the_rules_are_those_of_the_time_zone_database() -> None:
    """Every change of these places since their rules hold is known, and in 2026 no other."""
    ours = {year: set(clock_changes._changes(year).tolist()) for year in range(1996, 2027)}
    for zone, first in FIRST_YEAR.items():
        for year in {first, 2007, 2015, 2024, 2026} - set(range(first)):
            assert changes_in(zone, year) <= ours[year], (zone, year)
    of_places = set().union(*(changes_in(zone, 2026) for zone in FIRST_YEAR))
    assert ours[2026] == of_places


@pytest.mark.parametrize(("days", "told"), [(-0.1, False), (0.0, True), (7.9, True), (8.1, False)])
def test_a_change_is_told_for_eight_days(days: float, told: bool) -> None:  # noqa: FBT001
    """Cairo's of spring 2026, which no other is near."""
    begins = datetime(2026, 4, 23, 22, tzinfo=UTC).timestamp()
    found = clock_changes.clock_changes(np.array([begins + days * DAY_S]), QUARTER)
    assert found.tolist() == [begins if told else 0.0]


def test_the_newest_change_counts_and_years_without_rules_have_none() -> None:
    april = datetime(2026, 4, 5, 12, tzinfo=UTC).timestamp()
    found = clock_changes.clock_changes(np.array([0.0, april - 2 * DAY_S, april]), QUARTER)
    europe = datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()
    chile = datetime(2026, 4, 5, 3, tzinfo=UTC).timestamp()
    assert found.tolist() == [0.0, europe, -chile]


@pytest.mark.parametrize(("span_s", "told"), [(60.0, 1), (1800.0, 1), (3600.0, 0)])
def test_buckets_of_an_hour_know_of_no_change(span_s: float, told: int) -> None:
    begins = datetime(2026, 4, 23, 22, tzinfo=UTC).timestamp()
    found = clock_changes.clock_changes(np.array([begins]), span_s)
    assert np.count_nonzero(found) == told


class Fleet:
    """Rows of noise around a million with a job in each, over a change of clocks."""

    def __init__(self, transition: str) -> None:
        zone, when = TRANSITIONS[transition]
        self.zone = ZoneInfo(zone)
        self.change_s = when.timestamp()
        self.start_s = self.change_s // DAY_S * DAY_S - WEEKS_BEFORE * 7 * DAY_S
        self.times = self.start_s + QUARTER * np.arange((WEEKS_BEFORE * 7 + DAYS_AFTER) * 96)
        self.change = int((self.change_s - self.start_s) / QUARTER)
        self.rng = np.random.default_rng(7)
        self.load = np.ones((len(self.times), ROWS))
        self.hours = self.rng.uniform(3.0, 5.5, ROWS)  # of the local clock: not the odd hour

    def local(self, day_s: float) -> float:
        """The local midnight of a UTC day."""
        noon = datetime.fromtimestamp(day_s + DAY_S / 2, self.zone)
        offset = noon.utcoffset()
        assert offset is not None
        return day_s - offset.total_seconds()

    def add_job(self, row: int, midnight: Job, *, weekday: int | None = None) -> None:
        """An hour of work a day, four times the ordinary load."""
        for day_s in np.arange(self.start_s, self.times[-1], DAY_S).tolist():
            if weekday is None or int(day_s // DAY_S) % 7 == weekday:
                starts = midnight(day_s) + self.hours[row] * HOUR_S
                self.shift(row, starts, 4.0 * float(np.exp(self.rng.normal(0.0, 0.05))))

    def shift(self, row: int, starts_s: float, size: float) -> None:
        """An hour of ``size`` more from then on."""
        share = np.minimum(self.times + QUARTER, starts_s + HOUR_S) - np.maximum(
            self.times, starts_s
        )
        self.load[:, row] += size * np.clip(share / QUARTER, 0.0, 1.0)

    def without(self, row: int, starts_s: float) -> None:
        """Take the job of that hour away."""
        hour = (self.times > starts_s - QUARTER) & (self.times < starts_s + HOUR_S)
        self.load[hour, row] = 1.0

    def values(self) -> Floats:
        drawn = np.random.default_rng(8).normal(size=self.load.shape)
        return 1e6 * self.load * np.exp(0.05 * drawn)

    def lived(self, *, cut: int = 192) -> tuple[Engine, Floats, list[Annotation]]:
        """The engine that saw it, scores, and the times at which a row's clock moved."""
        engine = Engine(analysis(side=Side.BOTH, resolution=1.0))
        values, series = self.values(), lasting(ROWS)
        scores: list[Floats] = []
        moved: list[Annotation] = []
        for begin in range(0, len(values), cut):
            part = values[begin : begin + cut]
            at = self.start_s + begin * QUARTER
            told = engine.advance([Block(0, at, series, part, np.isfinite(part).astype(float))])
            scores.append(told.columns[0].score)
            moved += [each for each in told.annotations if each.event == "time_shift"]
        return engine, np.concatenate(scores), moved

    def alarmed(self, scores: Floats) -> int:
        """Rows that are told of after the change."""
        return int((np.nanmax(scores[self.change :], axis=0) >= LOUD).sum())


def unaware(starts_s: NDArray[np.float64], _span_s: float) -> NDArray[np.float64]:
    """An engine that has never heard of summer time."""
    return np.zeros(len(starts_s))


def local_jobs(transition: str, *, weekly: bool = False) -> Fleet:
    fleet = Fleet(transition)
    for row in range(ROWS):
        fleet.add_job(row, fleet.local, weekday=row % 7 if weekly else None)
    return fleet


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_a_nightly_job_of_local_time_is_no_news(
    transition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = local_jobs(transition)
    _, scores, moved = fleet.lived()
    assert fleet.alarmed(scores) <= 1
    assert len({each.series for each in moved}) == len(moved) == ROWS
    delay = np.array([each.timestamp_s for each in moved]) - fleet.change_s
    assert delay.min() > DAY_S
    assert np.median(delay) < 2 * DAY_S
    monkeypatch.setattr(detecting, "clock_changes", unaware)
    _, scores, _ = fleet.lived()
    assert fleet.alarmed(scores) == ROWS  # what it was like


@pytest.mark.parametrize("transition", ["Berlin, spring", "New York, spring"])
def test_the_weeks_first_job_after_a_change_is_no_news_either(
    transition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = local_jobs(transition, weekly=True)
    _, scores, _ = fleet.lived()
    assert fleet.alarmed(scores) <= 2
    monkeypatch.setattr(detecting, "clock_changes", unaware)
    _, scores, _ = fleet.lived()
    assert fleet.alarmed(scores) == ROWS  # what it was like


@pytest.mark.parametrize("wrong", ["missing", "three hours late", "three hours early"])
@pytest.mark.parametrize("transition", ["Berlin, spring", "Berlin, autumn"])
def test_what_goes_wrong_by_utc_is_found_in_those_days(transition: str, wrong: str) -> None:
    """Three hours off, twice: where it is missing and where it comes."""
    fleet = Fleet(transition)
    there = np.zeros((len(fleet.times), ROWS), dtype=bool)
    for row in range(ROWS):
        fleet.add_job(row, lambda day_s: day_s)
        starts = fleet.change_s // DAY_S * DAY_S + (1 + row % 7) * DAY_S
        starts += fleet.hours[row] * HOUR_S
        fleet.without(row, starts)
        if wrong != "missing":
            fleet.shift(row, starts + (3 if "late" in wrong else -3) * HOUR_S, 4.0)
        there[:, row] = np.abs(fleet.times - starts) < 5 * HOUR_S
    engine, scores, moved = fleet.lived()
    found = np.nanmax(np.where(there, scores, 0.0), axis=0) >= LOUD
    assert found.sum() >= ROWS - 1
    assert not moved  # one night is no change of clocks
    assert not engine.models[0].state.core[:ROWS, layout.PHASE].any()


def test_a_row_whose_clock_has_moved_is_not_excused_by_the_next_change() -> None:
    """Berlin moves an hour ahead in March, Sydney one back a week later."""
    fleet = local_jobs("Berlin, spring")
    late = np.zeros((len(fleet.times), ROWS), dtype=bool)
    for row in range(ROWS):
        starts = fleet.local(fleet.change_s // DAY_S * DAY_S + 7 * DAY_S)
        starts += fleet.hours[row] * HOUR_S
        fleet.without(row, starts)
        fleet.shift(row, starts + HOUR_S, 4.0)
        late[:, row] = np.abs(fleet.times - starts) < 3 * HOUR_S
    _, scores, _ = fleet.lived()
    assert (np.nanmax(np.where(late, scores, 0.0), axis=0) >= LOUD).all()


def test_a_service_whose_users_move_and_whose_job_does_not_keeps_its_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows of both clocks are told by the better of both, and learn anew by the one they know."""
    fleet = Fleet("Berlin, spring")
    local = fleet.times + np.where(fleet.times >= fleet.change_s, 2.0, 1.0) * HOUR_S
    for row in range(ROWS):
        fleet.load[:, row] += 0.25 * np.sin(2 * np.pi * (local / DAY_S - 0.05 * row))
        fleet.add_job(row, lambda day_s: day_s)
    engine, scores, moved = fleet.lived()
    assert fleet.alarmed(scores) <= 1
    assert not moved
    assert not engine.models[0].state.core[:ROWS, layout.PHASE].any()
    monkeypatch.setattr(detecting, "clock_changes", unaware)
    _, scores, _ = fleet.lived()
    assert fleet.alarmed(scores) > 1  # what it was like


def test_a_nightly_job_of_utc_learns_nothing_from_those_days() -> None:
    fleet = Fleet("Berlin, autumn")
    for row in range(ROWS):
        fleet.add_job(row, lambda day_s: day_s)
    engine, scores, moved = fleet.lived()
    assert fleet.alarmed(scores) == 0
    assert not moved
    daily = engine.models[0].state.daily[:ROWS]
    at = np.argmax(daily, axis=1)
    assert np.abs(at / 4.0 - fleet.hours).max() < 1.0
    an_hour_off = daily[np.arange(ROWS), (at + 6) % 96]
    assert (an_hour_off < 0.1 * daily[np.arange(ROWS), at]).all()


@pytest.mark.parametrize("cut", [17, 64])
def test_how_blocks_are_cut_does_not_matter_in_those_days(cut: int) -> None:
    fleet = local_jobs("New York, spring")
    one, whole, _ = fleet.lived(cut=len(fleet.times))
    other, parts, _ = fleet.lived(cut=cut)
    assert bytes_of(one) == bytes_of(other)
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize(("days", "asked"), [(12, False), (16, True)])
def test_only_a_rhythm_of_two_weeks_is_worth_the_question(
    days: int,
    asked: bool,  # noqa: FBT001
) -> None:
    fleet = local_jobs("Berlin, spring")
    born = fleet.change - days * 96
    engine = Engine(analysis(side=Side.BOTH, resolution=1.0))
    part = fleet.values()[born : fleet.change + 96]
    at = fleet.start_s + born * QUARTER
    engine.advance([Block(0, at, lasting(ROWS), part, np.isfinite(part).astype(float))])
    evidence = engine.models[0].state.core[:ROWS, layout.CLOCK_EVIDENCE]
    assert (evidence > 0.0).any() == asked
