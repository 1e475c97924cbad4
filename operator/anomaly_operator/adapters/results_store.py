"""The results store: SQLite on the worker's volume by default, PostgreSQL by URL.

One advance is one transaction of upserts by natural keys, so writing it again after a crash changes
nothing. The database is opened at the first use and again after a failure: a volume that cannot be
written yet is a reason to wait, not to die.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    and_,
    create_engine,
    delete,
    event,
    false,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from anomaly_operator.adapters import results_rows, results_schema
from anomaly_operator.adapters.results_following import follow
from anomaly_operator.adapters.results_owner import Owner, hold, take_over
from anomaly_operator.adapters.results_rows import Row, milliseconds
from anomaly_operator.adapters.salvaging import is_damage, salvage, set_aside
from anomaly_operator.engine.categorizing import Category, Standing
from anomaly_operator.errors import StoreUnavailable
from anomaly_operator.ports import Advance, SnapshotInfo

logger = logging.getLogger(__name__)

_BUSY_TIMEOUT_MS = 10_000  # a reader's long query may hold the database that long
_LATEST_ONLY = frozenset({"data_counts", "timing_stats"})
_BY_BUCKET = (
    results_schema.records,
    results_schema.buckets,
    results_schema.influencers,
    results_schema.model_plots,
    results_schema.muted,
)


class ResultsStore:
    """ResultStore of one shard of one job.

    Parameters
    ----------
    url
        SQLAlchemy URL, or a path of an SQLite file.
    job_id
        ``namespace/name`` of the detector: the job of every row.
    shard
        Buckets, influencers and statistics are a shard's own; the reader merges them.
    now_s
        Wall time, for when an annotation was made.
    owner
        The detector, where a predecessor of its name may have left results.
    """

    def __init__(
        self,
        url: str,
        *,
        job_id: str,
        shard: int,
        now_s: Callable[[], float],
        owner: Owner | None = None,
    ) -> None:
        self._url = url if "://" in url else f"sqlite:///{url}"
        self._job_id = job_id
        self._shard = shard
        self._now_s = now_s
        self._owner = owner
        self._engine: Engine | None = None
        self._renewing = threading.RLock()

    def write(self, advance: Advance) -> None:
        """Take one advance in one transaction. Raises StoreUnavailable."""
        job_id, shard = self._job_id, self._shard
        rows: dict[Table, list[Row]] = {
            results_schema.records: results_rows.record_rows(advance, job_id),
            results_schema.buckets: results_rows.bucket_rows(advance, job_id, shard),
            results_schema.influencers: results_rows.influencer_rows(advance, job_id, shard),
            results_schema.model_plots: results_rows.plot_rows(advance, job_id),
            results_schema.muted: results_rows.muted_rows(advance, job_id),
        }
        notes = results_rows.annotation_rows(advance, job_id, self._now_s())
        with self._transaction() as connection:
            for table, some in rows.items():
                _upsert(connection, table, self._signed(some))
            annotations = results_schema.job_annotations
            _upsert(connection, annotations, self._signed(notes), keep=("create_time",))
            table = results_schema.records
            for rescore in advance.outcome.rescores:
                connection.execute(
                    update(table)
                    .where(
                        table.c.job_id == self._job_id,
                        table.c.timestamp == milliseconds(rescore.timestamp_s),
                        table.c.detector_index == rescore.detector_index,
                        table.c.series == results_rows.series_text(rescore.series),
                    )
                    .values(record_score=rescore.score, score_reason=rescore.reason)
                )
            reasons = {milliseconds(r.timestamp_s): r.reason for r in advance.outcome.rescores}
            follow(connection, job_id=job_id, shard=shard, reasons=reasons)

    def keep_statistics(
        self, result_type: str, timestamp_s: float, document: Mapping[str, Any]
    ) -> None:
        """Keep one of the job's own documents; of counts and timings only the latest."""
        timestamp = 0 if result_type in _LATEST_ONLY else milliseconds(timestamp_s)
        row = {
            "job_id": self._job_id,
            "shard": self._shard,
            "result_type": result_type,
            "timestamp": timestamp,
            "document": dict(document),
        }
        with self._transaction() as connection:
            _upsert(connection, results_schema.statistics, [row])

    def keep_snapshots(self, snapshots: Sequence[SnapshotInfo]) -> None:
        """Make the list of model snapshots what the snapshot store holds."""
        table = results_schema.model_snapshots
        rows = [
            {
                "job_id": self._job_id,
                "shard": self._shard,
                "snapshot_id": info.snapshot_id,
                "timestamp": milliseconds(info.timestamp_s),
                "description": info.description,
                "retain": info.retain,
                "size_bytes": info.size_bytes,
            }
            for info in snapshots
        ]
        mine = and_(table.c.job_id == self._job_id, table.c.shard == self._shard)
        kept = [row["snapshot_id"] for row in rows]
        with self._transaction() as connection:
            connection.execute(delete(table).where(mine, table.c.snapshot_id.not_in(kept)))
            _upsert(connection, table, rows)

    def keep_categories(
        self, categories: Sequence[Category], standings: Sequence[Standing], *, field: str
    ) -> None:
        """Make these the shard's categories, and its ``categorizer_stats`` these. As above."""
        table = results_schema.categories
        rows = results_rows.category_rows(categories, self._job_id, self._shard, field)
        mine = and_(table.c.job_id == self._job_id, table.c.shard == self._shard)
        newest = max((each.category_id for each in categories), default=0)
        statistics = {
            "job_id": self._job_id,
            "shard": self._shard,
            "result_type": "categorizer_stats",
            "timestamp": 0,
            "document": results_rows.categorizer_statistics(standings, field),
        }
        with self._transaction() as connection:
            connection.execute(delete(table).where(mine, table.c.category_id > newest))
            _upsert(connection, table, rows)
            _upsert(connection, results_schema.statistics, [statistics])

    def latest_bucket_s(self) -> float | None:
        """Start of the newest bucket this shard has written."""
        table = results_schema.buckets
        query = select(func.max(table.c.timestamp)).where(
            table.c.job_id == self._job_id, table.c.shard == self._shard
        )
        with self._transaction() as connection:
            newest = connection.execute(query).scalar()
        return None if newest is None else newest / 1000.0

    def delete_results(self, *, before_s: float | None = None, from_s: float | None = None) -> int:
        """Delete results older than ``before_s`` or starting at ``from_s``; returns how many.

        Annotations that people made stay; so do the statistics of the job, and what other shards
        wrote: each goes back, and cleans up, at a time of its own.
        """
        deleted = 0
        with self._transaction() as connection:
            for table in (*_BY_BUCKET, results_schema.job_annotations):
                outside = []
                if before_s is not None:
                    outside.append(table.c.timestamp < milliseconds(before_s))
                if from_s is not None:
                    outside.append(table.c.timestamp >= milliseconds(from_s))
                # Rows of before each had a shard are anybody's.
                own = or_(table.c.shard == self._shard, table.c.shard.is_(None))
                condition = and_(table.c.job_id == self._job_id, own, or_(false(), *outside))
                if table is results_schema.job_annotations:
                    condition = and_(condition, table.c.create_username == results_rows.SYSTEM_USER)
                deleted += connection.execute(delete(table).where(condition)).rowcount
        return deleted

    def flush(self) -> None:
        """Make what was written outlive a power cut; every commit already outlives a kill."""
        if self._url.startswith("sqlite"):
            with self._translated():
                engine = self._opened()
                with engine.connect() as connection:
                    connection.execute(text("PRAGMA wal_checkpoint(FULL)"))

    def close(self) -> None:
        """Release connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection to read from, in whatever thread. Raises StoreUnavailable."""
        with self._translated(), self._opened().connect() as connection:
            yield connection

    @property
    def job_id(self) -> str:
        """The job whose rows these are."""
        return self._job_id

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._translated(), self._opened().begin() as connection:
            if self._owner is not None:
                hold(connection, self._job_id, self._owner)
            yield connection

    def _signed(self, rows: Sequence[Row]) -> list[Row]:
        """Rows that say which shard wrote them, for when it goes back."""
        return [{**row, "shard": self._shard} for row in rows]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        engine = self._engine
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            cause = getattr(error, "orig", None) or error
            place = self._url.rsplit("@", 1)[-1]
            if is_damage(cause):
                self._renew(failed=engine)
                raise StoreUnavailable(
                    f"results store {place}: {cause}; set aside, and going on with a new file "
                    "that has what could still be read"
                ) from error
            raise StoreUnavailable(f"results store {place}: {str(cause).strip()}") from error

    def _renew(self, *, failed: Engine | None) -> None:
        """Go on with a new file in place of a damaged one; another thread may have done so."""
        with self._renewing:
            if self._engine is not failed:
                return
            self.close()
            path = Path(self._url.removeprefix("sqlite:///"))
            with contextlib.suppress(OSError, StoreUnavailable, SQLAlchemyError, sqlite3.Error):
                aside = set_aside(path)
                self._opened()
                tables = tuple(table.name for table in results_schema.metadata.sorted_tables)
                saved = salvage(aside, path, tables=tables, job_id=self._job_id)
                logger.warning(
                    "results store was damaged; it is now %s, %d rows saved", aside, saved
                )

    def _opened(self) -> Engine:
        if self._engine is None:
            engine = _connect(self._url)
            try:
                with engine.begin() as connection:
                    self._prepare(connection)
            except IntegrityError:  # another worker made the tables in the same moment
                with engine.begin() as connection:
                    self._prepare(connection)
            except BaseException:
                engine.dispose()
                raise
            self._engine = engine
        return self._engine

    def _prepare(self, connection: Connection) -> None:
        results_schema.migrate(connection)
        if self._owner is not None and take_over(connection, self._job_id, self._owner):
            logger.info("deleted the results of an earlier detector named %s", self._job_id)


def _connect(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(
            url.replace("postgresql://", "postgresql+psycopg://", 1),
            pool_pre_ping=True,  # a database that restarted is noticed before a transaction is lost
            pool_size=4,
        )
    path = url.removeprefix("sqlite:///")
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")  # readers never wait for the writer
        cursor.execute("PRAGMA synchronous=NORMAL")  # the journal covers a power cut
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        cursor.close()

    return engine


def _upsert(
    connection: Connection, table: Table, rows: Sequence[Row], *, keep: tuple[str, ...] = ()
) -> None:
    """Insert, or overwrite the row of the same key except its ``keep`` columns."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    keys = [column.name for column in table.primary_key]
    statement: Any = dialect.insert(table)
    changed = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys and column.name not in keep
    }
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed), list(rows)
    )


def add_user_annotation(connection: Connection, row: Row) -> None:
    """Add what a person has to say; maintenance never deletes it."""
    if row["create_username"] == results_rows.SYSTEM_USER:
        raise ValueError(f"create_username: {results_rows.SYSTEM_USER!r} is the system's own name")
    connection.execute(insert(results_schema.job_annotations).values(**row))
