"""Reading the results store: what the HTTP API gives out.

A query is a kind, a time range, a few filters, an order and a page; the answer is the documents of
docs/results.md with the total beside them, so that a reader knows what it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Select,
    Table,
    and_,
    asc,
    desc,
    func,
    or_,
    select,
)

from anomaly_operator.adapters import results_schema
from anomaly_operator.adapters.results_store import ResultsStore
from anomaly_operator.api.v1alpha1.status import severity_of

MAX_PAGE = 10_000

_TABLES: dict[str, tuple[Table, str, str | None]] = {
    # kind: table, result_type, column of the score
    "records": (results_schema.records, "record", "record_score"),
    "buckets": (results_schema.buckets, "bucket", "anomaly_score"),
    "influencers": (results_schema.influencers, "influencer", "influencer_score"),
    "model_plot": (results_schema.model_plots, "model_plot", None),
    "annotations": (results_schema.job_annotations, "annotation", None),
    "muted": (results_schema.muted, "muted", "score"),
    "snapshots": (results_schema.model_snapshots, "model_snapshot", None),
    "statistics": (results_schema.statistics, "statistics", None),
    "categories": (results_schema.categories, "category_definition", None),
}
KINDS = tuple(_TABLES)
_HIDDEN = frozenset({"labels", "shard"})
_ENTITY_COLUMNS = ("by_field_value", "influencer_field_value", "partition_field_value")


class BadQuery(ValueError):
    """The query asks for what there is not; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to read; times in epoch seconds, ``end_s`` not included."""

    kind: str
    start_s: float | None = None
    end_s: float | None = None
    min_score: float | None = None
    entity: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)  # column -> value
    sort: str | None = None
    descending: bool = True
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """One page, and how many documents there are in all."""

    total: int
    documents: list[dict[str, Any]]


def query_results(store: ResultsStore, query: Query) -> Answer:
    """Answer a query. Raises BadQuery, StoreUnavailable."""
    if query.kind not in _TABLES:
        raise BadQuery(f"kind {query.kind!r}: there are {', '.join(KINDS)}")
    table, result_type, score = _TABLES[query.kind]
    condition = and_(table.c.job_id == store.job_id, *_conditions(table, query, score=score))
    order = _order(table, query)
    page: Select[Any] = (
        select(table)
        .where(condition)
        .order_by(*order)
        .offset(max(0, query.offset))
        .limit(min(MAX_PAGE, max(1, query.limit)))
    )
    with store.reading() as connection:
        total = connection.execute(
            select(func.count()).select_from(table).where(condition)
        ).scalar_one()
        rows = connection.execute(page).mappings().all()
    return Answer(total, [_document(_plain(row), result_type, score=score) for row in rows])


def _conditions(table: Table, query: Query, *, score: str | None) -> Iterable[ColumnElement[bool]]:
    if query.start_s is not None and "timestamp" in table.c:
        yield table.c.timestamp >= round(query.start_s * 1000)
    if query.end_s is not None and "timestamp" in table.c:
        yield table.c.timestamp < round(query.end_s * 1000)
    if query.min_score is not None and score is not None:
        yield table.c[score] >= query.min_score
    if query.entity is not None:
        columns = [table.c[name] for name in _ENTITY_COLUMNS if name in table.c]
        if columns:
            yield or_(*(column == query.entity for column in columns))
    for name, value in query.filters.items():
        comparable = _comparable(table)
        del comparable["job_id"]  # a worker has one, and gives out no other's
        if name not in comparable:
            raise BadQuery(f"filter {name!r}: {query.kind} have {', '.join(comparable)}")
        column = comparable[name]
        try:
            yield column == _VALUES[column.type.python_type](value)
        except (KeyError, ValueError) as error:
            raise BadQuery(f"filter {name!r}: {value!r} is no {column.type}") from error


def _order(table: Table, query: Query) -> list[Any]:
    name = query.sort or ("timestamp" if "timestamp" in table.c else "num_matches")
    comparable = _comparable(table)
    if name not in comparable:
        raise BadQuery(f"sort {name!r}: {query.kind} have {', '.join(comparable)}")
    direction = desc if query.descending else asc
    # The key after it, so that pages neither repeat nor skip rows of equal value.
    return [direction(comparable[name]), *(asc(column) for column in table.primary_key)]


def _comparable(table: Table) -> dict[str, Column[Any]]:
    """Columns to sort and filter by: those that readers see, and that a database can compare."""
    return {
        str(column.name): column
        for column in table.c
        if column.name not in _HIDDEN and not isinstance(column.type, JSON)
    }


def _integer(text: str) -> int:
    """Read an integer; ValueError beyond what a database holds in one."""
    found = int(text)
    if abs(found) >= 2**63:
        raise ValueError(text)
    return found


_VALUES: Mapping[type, Callable[[str], Any]] = {
    str: str,
    int: _integer,
    float: float,
    bool: lambda text: {"true": True, "false": False}[text.lower()],
}


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Column names as plain strings: SQLAlchemy's own kind of string is none to a JSON writer."""
    return {str(name): value for name, value in row.items()}


def _document(row: Mapping[str, Any], result_type: str, *, score: str | None) -> dict[str, Any]:
    """Turn a row into the document that readers know: fields flat, actual and typical as lists."""
    labels = row.get("labels") or {}
    document = {**labels, **{name: row[name] for name in row if name not in _HIDDEN}}
    document["result_type"] = row.get("result_type", result_type)
    if result_type == "record":
        document["actual"], document["typical"] = [row["actual"]], [row["typical"]]
        document["is_interim"] = False
        document["severity"] = severity_of(row["record_score"])
    elif score is not None:
        document["is_interim"] = False
        document["severity"] = severity_of(row[score])
    if "document" in document:
        document |= document.pop("document")
    return document
