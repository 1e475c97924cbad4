"""Tables of the results store and the steps that bring an older store up to date.

Columns hold what is searched and sorted by; what is only shown lies in JSON columns. Times are
epoch milliseconds. Keys are natural (job, bucket, detector, series), so that a replay writes the
same rows again and not more of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
    update,
)

from anomaly_operator.errors import StoreUnavailable

metadata = MetaData()


def _series_in_bucket() -> list[Column[Any]]:
    """Key of what is told of one series in one bucket, and who told it."""
    return [
        Column("job_id", Text, primary_key=True),
        Column("timestamp", BigInteger, primary_key=True),
        Column("detector_index", Integer, primary_key=True),
        Column("series", Text, primary_key=True),
        Column("shard", Integer),
    ]


def _shard() -> list[Column[Any]]:
    """Begin a key of what each worker tells for itself."""
    return [
        Column("job_id", Text, primary_key=True),
        Column("shard", Integer, primary_key=True),
    ]


def _shard_in_bucket() -> list[Column[Any]]:
    """Begin a key of what each worker tells of one bucket."""
    return [*_shard(), Column("timestamp", BigInteger, primary_key=True)]


def _partition() -> list[Column[Any]]:
    """Which partition, in Elastic's words."""
    return [Column("partition_field_name", Text), Column("partition_field_value", Text)]


def _entity() -> list[Column[Any]]:
    """Whose result it is, in Elastic's words."""
    return [
        *_partition(),
        Column("by_field_name", Text),
        Column("by_field_value", Text),
    ]


versions = Table("schema_version", metadata, Column("version", Integer, nullable=False))

records = Table(
    "records",
    metadata,
    *_series_in_bucket(),
    Column("bucket_span", Float, nullable=False),
    Column("probability", Float, nullable=False),
    Column("log_probability", Float, nullable=False),
    Column("record_score", Float, nullable=False),
    Column("initial_record_score", Float, nullable=False),
    Column("score_reason", Text),
    Column("multi_bucket_impact", Float, nullable=False),
    Column("function", Text, nullable=False),
    Column("function_description", Text, nullable=False),
    Column("field_name", Text, nullable=False),
    *_entity(),
    Column("actual", Float, nullable=False),
    Column("typical", Float, nullable=False),
    Column("summary", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("influencers", JSON, nullable=False),
    Column("anomaly_score_explanation", JSON, nullable=False),
    Index("records_by_time", "job_id", "timestamp"),
    Index("records_by_score", "job_id", "record_score"),
)

buckets = Table(
    "buckets",
    metadata,
    *_shard_in_bucket(),
    Column("partition_field_value", Text, primary_key=True),
    Column("bucket_span", Float, nullable=False),
    Column("anomaly_score", Float, nullable=False),
    Column("initial_anomaly_score", Float, nullable=False),
    Column("score_reason", Text),
    Column("event_count", BigInteger, nullable=False),
    Column("record_count", Integer, nullable=False),
    Column("processing_time_ms", Float, nullable=False),
    Column("bucket_influencers", JSON, nullable=False),
    Column("scheduled_events", JSON, nullable=False),
)

influencers = Table(
    "influencers",
    metadata,
    *_shard_in_bucket(),
    Column("influencer_field_name", Text, primary_key=True),
    Column("influencer_field_value", Text, primary_key=True),
    Column("bucket_span", Float, nullable=False),
    Column("probability", Float, nullable=False),
    Column("influencer_score", Float, nullable=False),
    Column("initial_influencer_score", Float, nullable=False),
    Column("score_reason", Text),
)

model_plots = Table(
    "model_plots",
    metadata,
    *_series_in_bucket(),
    Column("bucket_span", Float, nullable=False),
    Column("model_feature", Text, nullable=False),
    Column("model_lower", Float),
    Column("model_upper", Float),
    Column("model_median", Float),
    Column("actual", Float),
    *_entity(),
)

job_annotations = Table(
    "annotations",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("annotation_id", Text, primary_key=True),
    Column("shard", Integer),  # none where a person wrote it
    Column("timestamp", BigInteger, nullable=False),
    Column("end_timestamp", BigInteger, nullable=False),
    Column("annotation", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("event", Text),
    Column("detector_index", Integer),
    *_entity(),
    Column("create_time", BigInteger, nullable=False),
    Column("create_username", Text, nullable=False),
    Column("modified_time", BigInteger),
    Column("modified_username", Text),
    Index("annotations_by_time", "job_id", "timestamp"),
)

muted = Table(
    "muted",
    metadata,
    *_series_in_bucket(),
    Column("window", Text, nullable=False),
    Column("score", Float, nullable=False),
)

model_snapshots = Table(
    "model_snapshots",
    metadata,
    *_shard(),
    Column("snapshot_id", Text, primary_key=True),
    Column("timestamp", BigInteger, nullable=False),
    Column("description", Text, nullable=False),
    Column("retain", Boolean, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

statistics = Table(
    "statistics",
    metadata,
    *_shard(),
    Column("result_type", Text, primary_key=True),  # as data_counts
    Column("timestamp", BigInteger, primary_key=True),
    Column("document", JSON, nullable=False),
)

categories = Table(
    "categories",
    metadata,
    *_shard(),
    Column("category_id", Integer, primary_key=True),
    *_partition(),
    Column("definition", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("regex", Text, nullable=False),
    Column("max_matching_length", Integer, nullable=False),
    Column("examples", JSON, nullable=False),
    Column("num_matches", BigInteger, nullable=False),
    Index("categories_by_matches", "job_id", "num_matches"),
)

owners = Table(
    "owners",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("detector_uid", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)

Migration = Callable[[Connection], None]


def _create_everything(connection: Connection) -> None:
    metadata.create_all(connection)


def _create_categories(connection: Connection) -> None:
    categories.create(connection, checkfirst=True)


def _create_owners(connection: Connection) -> None:
    owners.create(connection, checkfirst=True)


def _add_shards(connection: Connection) -> None:
    _add_column(connection, "shard INTEGER", records, model_plots, muted, job_annotations)


def _add_reasons(connection: Connection) -> None:
    _add_column(connection, "score_reason TEXT", buckets, influencers)


def _add_column(connection: Connection, column: str, *tables: Table) -> None:
    name = column.split(maxsplit=1)[0]
    for table in tables:
        if all(one["name"] != name for one in inspect(connection).get_columns(table.name)):
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column}"))


MIGRATIONS: tuple[Migration, ...] = (
    _create_everything,
    _create_categories,
    _create_owners,
    _add_shards,
    _add_reasons,
)
"""Step i brings a store from version i to i + 1. Steps are added at the end and never edited. The
first makes every table as it is now, so a step after it must leave alone what is there already."""

_LOCK = 0x616E6F6D  # "anom": workers that share a PostgreSQL database migrate one at a time


def migrate(connection: Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Bring the store to this worker's version, inside the caller's transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    if not inspect(connection).has_table(versions.name):
        versions.create(connection)
    version = connection.execute(select(versions.c.version)).scalar()
    if version is None:
        version = 0
        connection.execute(insert(versions).values(version=0))
    if version > len(migrations):
        raise StoreUnavailable(
            f"results store: schema version {version} is newer than this worker's "
            f"{len(migrations)}; run a worker as new as the one that wrote it, or use another store"
        )
    if version < len(migrations):
        for step in migrations[version:]:
            step(connection)
        connection.execute(update(versions).values(version=len(migrations)))
