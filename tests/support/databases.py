"""Databases of a PostgreSQL that is there: each test its own."""

from __future__ import annotations

import itertools

import sqlalchemy

numbers = itertools.count()


def fresh_database(url: str) -> str:
    """Create an empty database beside the one of the URL."""
    name = f"results{next(numbers)}"
    engine = sqlalchemy.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.rsplit("/", 1)[0] + f"/{name}"
