"""Below the mark from which records are kept, odd buckets among odd ones come first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats

from anomaly_operator.engine.changes import reopen
from anomaly_operator.engine.contract import Side
from anomaly_operator.engine.gathering import FEW, MANY, gathered, learn_gathered, quietly
from anomaly_operator.engine.layout import CORE, COUNT, GATHERED_FEW, GATHERED_MANY, OCTAVES
from anomaly_operator.engine.records import UNIT
from tests.engine.building import DAY, Floats, analysis, noise, run

QUIET = 6.35  # -ln p at which a bucket of a quarter of an hour is recorded


def row() -> tuple[Floats, Floats]:
    """A row that has long been there, and an empty record."""
    core = np.zeros(CORE)
    core[COUNT] = 5000.0
    return core, np.zeros(OCTAVES, np.int64)


def lived(*oddness: float, core: Floats | None = None) -> list[float]:
    """What was gathered of each of these buckets, one after the other."""
    kept, record = row()
    if core is None:
        core = kept
    told = []
    for odd in oddness:
        told.append(gathered(core, odd))
        learn_gathered(core, record, odd, told[-1], 3, 1.0)
    return told


def test_an_odd_bucket_among_odd_ones_is_odder_than_alone() -> None:
    alone = lived(*[0.5] * 40, 2.0)[-1]
    among = lived(*[0.5] * 30, *[3.0] * 10, 2.0)[-1]
    assert alone == 2.0
    assert 2.5 < among < 3.0


def test_what_comes_after_is_odd_for_some_buckets_and_then_ordinary() -> None:
    after = lived(*[0.5] * 40, *[8.0] * 3, *[0.5] * 100)[43:]
    assert np.all(np.diff(after) < 0.0)
    assert after[0] > 4.0
    assert after[-1] == pytest.approx(0.5, abs=0.05)


def test_nothing_is_gathered_of_less_than_the_bucket_itself_says() -> None:
    """A first odd bucket waits for nobody."""
    assert lived(*[0.0] * 50, 7.0)[-1] == 7.0


def test_a_level_opened_anew_forgets_what_was_odd_before() -> None:
    core, _ = row()
    lived(*[6.0] * 50, core=core)
    assert core[GATHERED_FEW] == pytest.approx(36.0, rel=0.01)
    assert core[GATHERED_MANY] > 30.0
    reopen(core, 4.0)
    assert gathered(core, 1.0) == 1.0


def test_every_bucket_counts_in_full_in_the_record_and_the_muted_nowhere() -> None:
    """The share of buckets is what the claim is about, so a run counts too."""
    core, record = row()
    for _ in range(DAY):
        learn_gathered(core, record, 5.0, 5.0, 3, 1.0)
    assert record.sum() == DAY * UNIT
    before = core.copy()
    learn_gathered(core, record, 50.0, 50.0, 3, 0.0)
    assert np.array_equal(core, before)
    assert record.sum() == DAY * UNIT


def test_means_are_of_a_few_and_of_many_buckets() -> None:
    core, record = row()
    learn_gathered(core, record, 10.0, 10.0, 3, 1.0)
    assert core[GATHERED_FEW] == pytest.approx(100.0 * FEW)
    assert core[GATHERED_MANY] == pytest.approx(100.0 * MANY)


@settings(deadline=None)  # compiled at the first call
@given(
    claim=floats(0.0, 100.0), more=floats(1e-3, 10.0), claimed=floats(0.0, 1e3), far=floats(1e-2, 9)
)
def test_what_was_gathered_orders_what_is_quiet_and_nothing_else(
    claim: float, more: float, claimed: float, far: float
) -> None:
    told = quietly(claim, claimed, QUIET)
    assert told == claim if claim >= QUIET else told < QUIET
    assert quietly(claim + more, claimed, QUIET) >= told
    assert quietly(0.0, claimed + far, QUIET) > quietly(0.0, claimed, QUIET)


def test_the_ordinary_buckets_inside_of_trouble_outrank_ordinary_life() -> None:
    """A service that fails every other bucket for hours is in trouble in between, too."""
    values = noise(20 * DAY, seed=5)[:, 0]
    trouble = slice(18 * DAY, 18 * DAY + 24)
    values[trouble][::2] *= 1.8
    _, columns, _ = run(values, analysis(side=Side.BOTH))
    told = -columns.log_p[:, 0]
    between = told[trouble][3::2]
    assert np.median(between) > np.quantile(told[10 * DAY : 18 * DAY], 0.99)
    assert told[trouble][::2].max() > QUIET


def test_ordinary_life_is_as_odd_as_it_claims() -> None:
    """Neighbours, places and claims depend on each other; the record knows how."""
    values = noise(40 * DAY, seed=6, series=30)
    _, columns, _ = run(values, analysis(side=Side.BOTH))
    log_p = columns.log_p[20 * DAY :]
    for share in (0.1, 0.01):
        assert share / 1.5 < np.mean(log_p < np.log(share)) < 1.5 * share
