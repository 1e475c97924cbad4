"""The results store: documents as Elastic's readers know them, queries, trouble, migration."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy

from anomaly_operator.adapters import results_schema
from anomaly_operator.adapters.results_owner import Owner
from anomaly_operator.adapters.results_query import Answer, BadQuery, Query, query_results
from anomaly_operator.adapters.results_store import ResultsStore, add_user_annotation
from anomaly_operator.engine.contract import (
    Annotation,
    Block,
    Columns,
    InfluencerResult,
    Muted,
    Rescore,
    SeriesSet,
)
from anomaly_operator.errors import StoreUnavailable
from anomaly_operator.ports import Advance, PlotSettings, SnapshotInfo
from tests.support.databases import fresh_database
from tests.support.disk import full_at
from tests.support.ports_conformance import CART, a_record, an_advance

Store = ResultsStore


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[ResultsStore]:
    made = ResultsStore(str(tmp_path / "r.db"), job_id="shop/memory", shard=0, now_s=lambda: 5e3)
    yield made
    made.close()


def ask(store: ResultsStore, kind: str, **query: Any) -> Answer:
    return query_results(store, Query(kind, **query))


def test_a_record_has_the_fields_that_readers_know(store: ResultsStore) -> None:
    store.write(an_advance(900.0, records=(a_record(900.0, log_p=-1000.0),)))
    (record,) = ask(store, "records").documents
    expected = {
        "result_type": "record",
        "job_id": "shop/memory",
        "timestamp": 900_000,
        "bucket_span": 900.0,
        "detector_index": 0,
        "is_interim": False,
        "probability": 1e-308,
        "log_probability": -1000.0,
        "record_score": 80.0,
        "initial_record_score": 80.0,
        "multi_bucket_impact": -5.0,
        "function": "high_max",
        "function_description": "max",
        "field_name": "memory_usage",
        "by_field_name": "pod",
        "by_field_value": "cart-1",
        "actual": [8.0],
        "typical": [2.0],
        "influencers": [{"influencer_field_name": "pod", "influencer_field_values": ["cart-1"]}],
        "namespace": "shop",
        "workload": "cart",
        "pod": "cart-1",
        "severity": "critical",
        "summary": "4x higher",
    }
    assert {name: record[name] for name in expected} == expected
    assert record["anomaly_score_explanation"]["single_bucket_impact"] == 12


def test_rescoring_changes_the_score_and_never_the_initial_one(store: ResultsStore) -> None:
    """Also when the record is written again by a replay before its rescore comes again."""
    first = an_advance(900.0, records=(a_record(900.0),))
    later = an_advance(1800.0, rescores=(Rescore(900.0, 0, CART, 30.0, "familiar"),))
    for advance in (first, later, first, later):
        store.write(advance)
    (record,) = ask(store, "records").documents
    assert (record["record_score"], record["initial_record_score"]) == (30.0, 80.0)
    assert record["score_reason"] == "familiar"


def test_a_bucket_carries_its_best_influencers(store: ResultsStore) -> None:
    advance = an_advance(900.0, records=(a_record(900.0),))
    found = tuple(
        InfluencerResult(900.0, "pod", name, -20.0, score, score)
        for name, score in (("cart-1", 70.0), ("cart-2", 20.0))
    )
    store.write(replace(advance, outcome=replace(advance.outcome, influencers=found)))
    (bucket,) = ask(store, "buckets").documents
    assert bucket["anomaly_score"] == 10.0
    assert [each["influencer_field_name"] for each in bucket["bucket_influencers"]] == [
        "bucket_time",
        "pod",
    ]
    assert bucket["bucket_influencers"][1]["anomaly_score"] == 70.0
    influencers = ask(store, "influencers", sort="influencer_score").documents
    assert [each["influencer_field_value"] for each in influencers] == ["cart-1", "cart-2"]
    assert influencers[0]["probability"] == pytest.approx(math.exp(-20.0))


def plotted(terms: frozenset[str] = frozenset()) -> Advance:
    """Return two buckets of two pods; the second pod's first bucket was not judged."""
    series = SeriesSet(
        (CART, replace(CART, member="cart-2")), ({"pod": "cart-1"}, {"pod": "cart-2"})
    )
    typical = np.array([[1.0, math.nan], [2.0, 3.0]])
    columns = Columns(typical, typical - 1, typical + 1, -typical, typical, typical)
    block = Block(0, 900.0, series, typical + 0.5, np.ones((2, 2)))
    advance = an_advance(
        900.0, plot=PlotSettings(enabled=True, annotations_enabled=True, terms=terms)
    )
    return replace(
        advance,
        end_s=2700.0,
        blocks=(block,),
        outcome=replace(advance.outcome, columns={0: columns}),
    )


def test_model_plot_has_what_was_judged_of_whom_was_asked_for(store: ResultsStore) -> None:
    store.write(plotted())
    rows = ask(store, "model_plot", descending=False).documents
    assert [(row["timestamp"], row["by_field_value"]) for row in rows] == [
        (900_000, "cart-1"),
        (1_800_000, "cart-1"),
        (1_800_000, "cart-2"),
    ]
    assert rows[2]["model_lower"] == 2.0
    assert rows[2]["model_upper"] == 4.0
    assert rows[2]["model_median"] == 3.0
    assert rows[2]["actual"] == 3.5


def test_model_plot_terms_narrow_it(sqlite: ResultsStore) -> None:
    sqlite.write(plotted(frozenset({"cart-2"})))
    assert [row["by_field_value"] for row in ask(sqlite, "model_plot").documents] == ["cart-2"]


def test_annotations_of_people_outlive_retention(store: ResultsStore) -> None:
    noted = Annotation(900.0, 1800.0, "rollout", 0, CART, "cart was rolled out")
    advance = an_advance(900.0)
    store.write(replace(advance, outcome=replace(advance.outcome, annotations=(noted,))))
    with store.reading() as connection:
        add_user_annotation(
            connection,
            {
                "job_id": "shop/memory",
                "annotation_id": "mine",
                "timestamp": 900_000,
                "end_timestamp": 900_000,
                "annotation": "we were there",
                "type": "annotation",
                "event": "user",
                "create_time": 1,
                "create_username": "ann",
            },
        )
        connection.commit()
    assert ask(store, "annotations").total == 2
    store.delete_results(before_s=1e9)
    (left,) = ask(store, "annotations").documents
    assert left["annotation"] == "we were there"


def test_model_changes_are_annotated_only_where_wanted(sqlite: ResultsStore) -> None:
    noted = Annotation(900.0, 1800.0, "level_shift", 0, CART, "level went up")
    quiet = an_advance(900.0)
    sqlite.write(replace(quiet, outcome=replace(quiet.outcome, annotations=(noted,))))
    assert ask(sqlite, "annotations").total == 0
    wanted = replace(quiet, plot=PlotSettings(enabled=False, annotations_enabled=True))
    sqlite.write(replace(wanted, outcome=replace(quiet.outcome, annotations=(noted,))))
    (found,) = ask(sqlite, "annotations").documents
    assert found["event"] == "model_change"


def test_what_was_withheld_is_kept_beside(store: ResultsStore) -> None:
    advance = an_advance(900.0)
    muted = (Muted(900.0, 0, CART, "nightly backup", 88.0),)
    store.write(replace(advance, outcome=replace(advance.outcome, muted=muted)))
    (row,) = ask(store, "muted").documents
    assert (row["window"], row["score"]) == ("nightly backup", 88.0)


def test_counts_are_rewritten_and_sizes_kept(store: ResultsStore) -> None:
    for bucket in (900.0, 1800.0):
        store.keep_statistics("data_counts", bucket, {"bucket_count": bucket / 900})
        store.keep_statistics("model_size_stats", bucket, {"model_bytes": bucket})
    counts = ask(store, "statistics", filters={"result_type": "data_counts"}).documents
    assert [each["bucket_count"] for each in counts] == [2.0]
    assert ask(store, "statistics", filters={"result_type": "model_size_stats"}).total == 2
    store.delete_results(before_s=1e9)
    assert ask(store, "statistics").total == 3, "statistics are no results"


def test_the_list_of_snapshots_is_what_the_snapshot_store_holds(store: ResultsStore) -> None:
    store.keep_snapshots([SnapshotInfo("900", 900.0, 5), SnapshotInfo("1800", 1800.0, 6)])
    store.keep_snapshots([SnapshotInfo("1800", 1800.0, 6)])
    assert [each["snapshot_id"] for each in ask(store, "snapshots").documents] == ["1800"]
    store.keep_snapshots([])
    assert ask(store, "snapshots").total == 0


@pytest.fixture
def filled(sqlite: ResultsStore) -> ResultsStore:
    """Thirty records of three pods, scores 0 to 87 in steps of three."""
    for number in range(30):
        record = a_record(900.0 * number, score=3.0 * number)
        pod = f"cart-{number % 3}"
        record = replace(record, labels={"pod": pod}, series=replace(CART, member=pod))
        sqlite.write(an_advance(900.0 * number, records=(record,)))
    return sqlite


QUERIES: dict[str, tuple[dict[str, Any], int, Callable[[dict[str, Any]], bool]]] = {
    "a time range, its end not included": (
        {"start_s": 900.0, "end_s": 2700.0},
        2,
        lambda row: row["timestamp"] in {900_000, 1_800_000},
    ),
    "a least score": ({"min_score": 75.0}, 5, lambda row: row["record_score"] >= 75),
    "one entity": ({"entity": "cart-1"}, 10, lambda row: row["pod"] == "cart-1"),
    "a column": ({"filters": {"detector_index": "0"}}, 30, lambda row: True),  # noqa: ARG005
    "all of them together": (
        {"entity": "cart-2", "min_score": 50.0, "start_s": 0.0},
        5,
        lambda row: row["pod"] == "cart-2" and row["record_score"] >= 50,
    ),
}


@pytest.mark.parametrize("sentence", QUERIES)
def test_queries(filled: ResultsStore, sentence: str) -> None:
    query, total, holds = QUERIES[sentence]
    answer = ask(filled, "records", **query)
    assert answer.total == total
    assert all(holds(row) for row in answer.documents)


def test_pages_neither_repeat_nor_skip(filled: ResultsStore) -> None:
    pages = [
        ask(filled, "records", sort="record_score", offset=offset, limit=7).documents
        for offset in range(0, 35, 7)
    ]
    scores = [row["record_score"] for page in pages for row in page]
    assert scores == [3.0 * number for number in range(29, -1, -1)]


def test_a_wrong_question_is_told_what_there_is(sqlite: ResultsStore) -> None:
    for wrong in (
        Query("nonsense"),
        Query("records", sort="colour"),
        Query("records", filters={"colour": "red"}),
        Query("records", filters={"detector_index": "first"}),
    ):
        with pytest.raises(BadQuery):
            query_results(sqlite, wrong)


def test_jobs_do_not_see_each_other(tmp_path: Path) -> None:
    stores = [
        ResultsStore(str(tmp_path / "r.db"), job_id=f"shop/{name}", shard=0, now_s=lambda: 0.0)
        for name in ("one", "two")
    ]
    stores[0].write(an_advance(900.0, records=(a_record(900.0),)))
    assert ask(stores[1], "records").total == 0
    assert stores[1].latest_bucket_s() is None
    assert stores[1].delete_results(before_s=1e9) == 0
    assert ask(stores[0], "records").total == 1
    for each in stores:
        each.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)])
def generations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Give stores of detectors of one name, in one database."""
    url = str(tmp_path / "results.db")
    if request.param == "postgresql":
        url = fresh_database(request.getfixturevalue("postgres_url"))
    made: list[Store] = []

    def make(uid: str, created_s: float, *, shard: int = 0, name: str = "memory") -> Store:
        made.append(
            Store(
                url,
                job_id=f"shop/{name}",
                shard=shard,
                now_s=lambda: 0.0,
                owner=Owner(uid, created_s),
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_detector_created_anew_does_not_have_its_predecessors_results(
    generations: Callable[..., Store],
) -> None:
    """But for what people wrote; another detector's stay, and its own over a restart."""
    first, other = generations("one", 100.0), generations("two", 100.0, name="other")
    for each in (first, other):
        each.write(an_advance(900.0, records=(a_record(900.0),)))
        each.keep_statistics("data_counts", 900.0, {"bucket_count": 7})
    with first._transaction() as connection:
        add_user_annotation(connection, a_note("jane"))
    again = generations("one", 100.0, shard=1)
    assert ask(again, "records").total == 1
    successor = generations("three", 200.0)
    for kind in ("records", "buckets", "influencers", "statistics"):
        assert ask(successor, kind).total == 0, kind
    assert [each["create_username"] for each in ask(successor, "annotations").documents] == ["jane"]
    assert ask(other, "records").total == 1
    successor.write(an_advance(1800.0, records=(a_record(1800.0),)))
    assert ask(generations("three", 200.0, shard=1), "records").total == 1, "not a second time"


def test_a_worker_of_the_predecessor_that_comes_back_takes_nothing(
    generations: Callable[..., Store],
) -> None:
    successor = generations("three", 200.0)
    successor.write(an_advance(900.0, records=(a_record(900.0),)))
    late = generations("one", 100.0)
    with pytest.raises(StoreUnavailable, match="belong to detector three"):
        late.write(an_advance(1800.0))
    assert ask(successor, "records").total == 1


def test_a_worker_of_the_predecessor_that_still_runs_writes_no_more(
    generations: Callable[..., Store],
) -> None:
    """It may have minutes left to end in, and its connection is open."""
    first = generations("one", 100.0)
    first.write(an_advance(900.0, records=(a_record(900.0),)))
    successor = generations("three", 200.0)
    assert ask(successor, "records").total == 0
    successor.write(an_advance(900.0))
    with pytest.raises(StoreUnavailable, match="belong to detector three"):
        first.write(an_advance(1800.0, records=(a_record(1800.0),)))
    assert ask(successor, "records").total == 0


def test_a_shard_that_goes_back_leaves_the_others_results(
    generations: Callable[..., Store],
) -> None:
    """They may have gone back already and have written these anew."""
    here, there = (generations("one", 100.0, shard=shard) for shard in (0, 1))
    for number, each in enumerate((here, there)):
        name = f"cart-{number}"
        record = replace(a_record(900.0), series=replace(CART, member=name), labels={"pod": name})
        each.write(an_advance(900.0, records=(record,)))
    assert ask(here, "records").total == 2
    assert here.delete_results(from_s=0.0) > 0
    (kept,) = ask(here, "records").documents
    assert kept["pod"] == "cart-1"
    assert there.delete_results(from_s=0.0) > 0
    assert ask(there, "records").total == 0


def a_note(user: str) -> dict[str, Any]:
    """What a person has to say."""
    return {
        "job_id": "shop/memory",
        "annotation_id": f"note-of-{user}",
        "timestamp": 900_000,
        "end_timestamp": 900_000,
        "annotation": "we know",
        "type": "annotation",
        "event": "user",
        "create_time": 900_000,
        "create_username": user,
    }


def test_a_full_disk_is_unavailable_and_then_takes_the_same(tmp_path: Path) -> None:
    store = ResultsStore(str(tmp_path / "r.db"), job_id="j/j", shard=0, now_s=lambda: 0.0)
    store.write(an_advance(0.0))
    size = sum(each.stat().st_size for each in tmp_path.iterdir())
    refused = None
    with full_at(size + 16 * 1024):
        for number in range(1, 500):
            advance = an_advance(900.0 * number, records=(a_record(900.0 * number),))
            try:
                store.write(advance)
            except StoreUnavailable:
                refused = advance
                break
    assert refused is not None
    store.write(refused)
    assert ask(store, "buckets").total == refused.start_s / 900 + 1, "nothing lost, nothing twice"
    store.flush()
    store.close()


def test_a_database_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    """The volume may be mounted late; nothing is decided at construction."""
    blocked = tmp_path / "data"
    blocked.write_text("a file where the folder should be")
    store = ResultsStore(str(blocked / "r.db"), job_id="j/j", shard=0, now_s=lambda: 0.0)
    with pytest.raises(StoreUnavailable, match="results store"):
        store.write(an_advance(900.0))
    blocked.unlink()
    store.write(an_advance(900.0))
    assert store.latest_bucket_s() == 900.0
    store.close()


def test_a_url_with_a_password_is_not_shown_in_a_message() -> None:
    url = "postgresql://anomaly:hunter2@127.0.0.1:1/results"
    store = ResultsStore(url, job_id="j/j", shard=0, now_s=lambda: 0.0)
    with pytest.raises(StoreUnavailable) as caught:
        store.write(an_advance(900.0))
    assert "hunter2" not in str(caught.value)
    store.close()


def test_an_older_store_is_brought_up_to_date(tmp_path: Path) -> None:
    """Steps run once each and in order, in one transaction."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'r.db'}")
    ran: list[int] = []
    with engine.begin() as connection:
        results_schema.migrate(connection, (lambda _: ran.append(1),))
    with engine.begin() as connection:
        results_schema.migrate(connection, (lambda _: ran.append(1), lambda _: ran.append(2)))
    assert ran == [1, 2]
    engine.dispose()


def test_a_store_of_before_rows_had_a_shard_is_gone_on_with(tmp_path: Path) -> None:
    """What is in it is anybody's: the detector had one worker, or the others delete it too."""
    path = tmp_path / "r.db"
    store = ResultsStore(str(path), job_id="j/j", shard=0, now_s=lambda: 0.0)
    store.write(an_advance(900.0, records=(a_record(900.0),)))
    store.close()
    with closing(sqlite3.connect(path)) as old:
        for table in ("records", "model_plots", "muted", "annotations"):
            old.execute(f"ALTER TABLE {table} DROP COLUMN shard")
        old.execute("UPDATE schema_version SET version = 3")
        old.commit()
    store.write(an_advance(1800.0, records=(a_record(1800.0),)))
    assert ask(store, "records").total == 2
    assert store.delete_results(from_s=0.0) > 0
    assert ask(store, "records").total == 0
    store.close()


def test_a_store_of_before_buckets_had_a_reason_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    store = ResultsStore(str(path), job_id="j/j", shard=0, now_s=lambda: 0.0)
    store.write(an_advance(900.0, records=(a_record(900.0),)))
    store.close()
    with closing(sqlite3.connect(path)) as old:
        for table in ("buckets", "influencers"):
            old.execute(f"ALTER TABLE {table} DROP COLUMN score_reason")
        old.execute("UPDATE schema_version SET version = 4")
        old.commit()
    store.write(an_advance(1800.0, rescores=(Rescore(900.0, 0, CART, 30.0, "familiar"),)))
    first = ask(store, "buckets", descending=False).documents[0]
    assert first["score_reason"] == "followed its records: familiar"
    store.close()


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'r.db'}")
    steps = (*results_schema.MIGRATIONS, lambda _: None)
    with engine.begin() as connection:
        results_schema.migrate(connection, steps)
    engine.dispose()
    store = ResultsStore(str(tmp_path / "r.db"), job_id="j/j", shard=0, now_s=lambda: 0.0)
    with pytest.raises(StoreUnavailable, match="schema version 6 is newer than this worker's 5"):
        store.write(an_advance(900.0))
    store.close()
