"""Laws of the whole engine: purity, repeatability, finiteness, round trips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly_operator.engine import layout
from anomaly_operator.engine.contract import Side
from anomaly_operator.engine.engine import Engine
from anomaly_operator.engine.layout import STATE_VERSION
from anomaly_operator.errors import SnapshotRejected
from tests.engine.building import DAY, Floats, analysis, block, bytes_of, days, lasting, noise, run


def test_judging_the_open_bucket_changes_nothing() -> None:
    engine, _, _ = run(noise(400, series=3))
    before = bytes_of(engine)
    open_bucket = block(np.full((1, 3), 500.0), lasting(3), first=400)
    told = engine.judge_only([open_bucket])
    assert bytes_of(engine) == before
    assert len(told.records) == 3
    assert [r.record_score for r in told.records] == [
        r.record_score for r in engine.advance([open_bucket]).records
    ]


@pytest.mark.parametrize("stop", [500, 703, 711])  # before a step, in it, before it is accepted
def test_going_on_from_a_snapshot_is_never_having_stopped(stop: int) -> None:
    values = noise(9 * DAY, series=4) * days(9 * DAY)[:, None]
    values[700:, 2] *= 3.0
    through, _, _ = run(values)
    stopped, _, _ = run(values[:stop])
    resumed = Engine.restore(stopped.settings, stopped.snapshot())
    run(values[stop:], engine=resumed, first=stop)
    assert bytes_of(resumed) == bytes_of(through)


@pytest.mark.parametrize("cut", [1, 13, 64])
def test_how_blocks_are_cut_does_not_matter(cut: int) -> None:
    values = noise(300, series=2)
    values[250] *= 4.0
    one, whole, _ = run(values, cut=300)
    other, parts, _ = run(values, cut=cut)
    assert bytes_of(one) == bytes_of(other)
    np.testing.assert_array_equal(whole.score, parts.score)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("no state at all", lambda a: a.clear()),
        ("text torn", lambda a: a.update(about=a["about"][:-9])),
        ("array gone", lambda a: a.pop("0/core")),
        ("array of another shape", lambda a: a.update({"0/daily": a["0/daily"][:, :-1]})),
    ],
)
def test_spoilt_snapshots_are_rejected(name: str, spoil: object) -> None:
    engine, _, _ = run(noise(100))
    arrays = engine.snapshot()
    spoil(arrays)  # type: ignore[operator]
    with pytest.raises(SnapshotRejected, match=r"state: .*starts afresh"):
        Engine.restore(engine.settings, arrays)


def test_a_newer_state_is_rejected_by_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _, _ = run(noise(50))
    monkeypatch.setattr("anomaly_operator.engine.snapshotting.STATE_VERSION", STATE_VERSION + 1)
    arrays = engine.snapshot()
    monkeypatch.undo()
    with pytest.raises(SnapshotRejected, match=f"version {STATE_VERSION + 1}"):
        Engine.restore(engine.settings, arrays)


@pytest.mark.parametrize(
    "other", [analysis(span_s=300.0), analysis(metric="memory"), analysis(index=3)]
)
def test_the_state_of_another_analysis_is_rejected(other: object) -> None:
    engine, _, _ = run(noise(50))
    with pytest.raises(SnapshotRejected):
        Engine.restore(other, engine.snapshot())  # type: ignore[arg-type]


wild = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, 1e300, -1e300, 1e-300, -1.0, 100.0]),
)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(wild, min_size=1, max_size=60),
    side=st.sampled_from(list(Side)),
    span_s=st.sampled_from([1.0, 60.0, 900.0, 3600.0, 86400.0]),
)
def test_never_nan_or_inf_in_a_result(values: list[float], side: Side, span_s: float) -> None:
    """NaN only where there was no value or no experience."""
    _, columns, outcomes = run(values, analysis(side=side, span_s=span_s, non_negative=False))
    judged = np.isfinite(np.asarray(values))
    for name in ("typical", "lower", "upper", "log_p", "multi_bucket_impact", "score"):
        column = getattr(columns, name)[:, 0]
        assert not np.isinf(column).any()
        assert np.isnan(column[~judged]).all()
    told = columns.score[:, 0]
    assert np.nanmax(told, initial=0.0) <= 100.0
    assert np.nanmin(told, initial=0.0) >= 0.0
    for record in (r for outcome in outcomes for r in outcome.records):
        assert np.isfinite([record.actual, record.typical, record.log_p]).all()


def shaped(kind: str, buckets: int) -> Floats:
    """Series that lead state where ordinary ones never do, around one."""
    rng = np.random.default_rng(5)
    drawn = rng.normal(size=buckets)
    return {
        "noise": drawn,
        "level": 100.0 + drawn,
        "walk": np.cumsum(drawn),
        "jump": np.where(np.arange(buckets) > buckets // 2, 1.0, 1e-290),
        "bursts": np.where(rng.random(buckets) < 0.05, np.exp(10.0 * drawn), 0.0),
        "outlier": np.where(rng.random(buckets) < 0.01, 1e290, drawn),
        "swing": np.where(np.arange(buckets) % 7 == 0, -1.0, 1.0),
        "infinite": np.where(rng.random(buckets) < 0.02, np.inf, drawn),
        "constant": np.ones(buckets),
    }[kind]


KINDS = ("noise", "level", "walk", "jump", "bursts", "outlier", "swing", "infinite", "constant")


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=4, max_size=4),
    exponent=st.sampled_from([-310, -100, -9, 0, 6, 13, 19, 30, 150, 300]),
    missing=st.sampled_from([0.0, 0.5, 0.9]),
    side=st.sampled_from(list(Side)),
    non_negative=st.booleans(),
    gap=st.booleans(),
)
def test_never_nan_or_inf_once_days_and_weeks_are_known(  # noqa: PLR0917
    kinds: list[str],
    exponent: int,
    missing: float,
    side: Side,
    non_negative: bool,  # noqa: FBT001
    gap: bool,  # noqa: FBT001
) -> None:
    """Seventeen days of hours: a slot of the day is a float32, whose cube ends at 7e12."""
    values = np.stack([shaped(kind, 408) for kind in kinds], axis=1)
    with np.errstate(over="ignore"):
        values = values * 10.0**exponent if exponent > -308 else values * 1e-300 * 1e-10
    values[np.random.default_rng(6).random(values.shape) < missing] = np.nan
    if gap:
        values[60:300] = np.nan
    chosen = analysis(side=side, span_s=3600.0, non_negative=non_negative)
    engine, columns, outcomes = run(values, chosen)
    told = np.isfinite(columns.typical)
    assert not told[~np.isfinite(values)].any()
    for name in ("typical", "lower", "upper", "log_p", "multi_bucket_impact", "score"):
        column = getattr(columns, name)
        assert np.isfinite(column[told]).all(), name
        assert np.isnan(column[~told]).all(), name
    assert (columns.lower[told] <= columns.typical[told]).all()
    assert (columns.typical[told] <= columns.upper[told]).all()
    assert not non_negative or (columns.lower[told] >= 0.0).all()
    state = engine.snapshot()
    not_known = slice(layout.DAY_LEVEL, layout.DAY_LEVEL + layout.WEEKDAYS)  # NaN until then
    state["0/core"][:, not_known] = np.nan_to_num(state["0/core"][:, not_known], posinf=np.inf)
    assert np.isfinite(state["0/core"]).all()
    assert not np.isinf(state["0/daily"]).any()
    for one in outcomes:
        assert np.isfinite([b.anomaly_score for b in one.buckets]).all()
        assert np.isfinite([r.log_p for r in one.records]).all()
        assert not any("nan" in a.text or "inf" in a.text for a in one.annotations)


@pytest.mark.parametrize("value", [0.0, 7.0, 1e300, -5.0])
def test_a_constant_series_is_never_anomalous(value: float) -> None:
    _, columns, outcomes = run(
        np.full(3 * DAY, value), analysis(side=Side.BOTH, non_negative=False)
    )
    assert sum(len(outcome.records) for outcome in outcomes) == 0
    assert np.nanmax(columns.score) < 3.0


def test_a_ten_day_gap_widens_and_is_survived() -> None:
    values = noise(24 * DAY)
    values[8 * DAY : 18 * DAY] = np.nan
    _, columns, _ = run(values)
    # The first two days are the gap's doing; what noise scores later is calibration's.
    assert np.nanmax(columns.score[18 * DAY : 20 * DAY]) < 50.0
    width = columns.upper - columns.lower
    assert width[18 * DAY, 0] > 1.2 * np.nanmean(width[7 * DAY : 8 * DAY])


def test_bounds_hold_their_share_and_probabilities_are_uniform() -> None:
    """60 000 buckets: four sigma of 1 in 1000 is a factor 1.5; the goal is 2."""
    values = noise(3000, series=24, seed=5)
    _, columns, _ = run(values)
    late = slice(1000, None)
    inside = (values >= columns.lower) & (values <= columns.upper)
    assert 0.93 < inside[late].mean() < 0.97
    for k in (1, 2, 3):
        share = (columns.log_p[late] < -k * np.log(10)).mean() * 10**k
        assert 0.5 < share < 2.0


def test_slots_fit_their_period() -> None:
    assert layout.slots_of(86400.0, 900.0, 288) == 96
    assert layout.slots_of(86400.0, 60.0, 288) == 288
    assert layout.slots_of(86400.0, 3600.0, 288) == 24
    assert layout.slots_of(86400.0, 86400.0, 288) == 0
    assert layout.slots_of(86400.0, 7.0, 288) == 288
    assert layout.slots_of(86400.0, 7000.0, 288) == 0
    assert layout.slots_of(86400.0, 86400.0 / 1009, 288) == 0  # a prime number of buckets
