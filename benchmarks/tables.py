"""The tables that the sections about this library alone measure: unversioned and versioned.

Both have the same nine columns, about 110 bytes a row. An ordinary table has a foreign key and
two indexes besides its primary key. A bare one has its primary key only, which is the hardest
case for a ratio: every index of an application's own makes the unversioned side slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
)

from sqlalchemy_temporal.model.declare import versioned_table

PLAIN = "item_plain"
VERSIONED = "item_versioned"
HISTORY = "temporal_versioning.item_versioned_history"
GROUPS = "item_group"
COLUMNS = (
    "id",
    "name",
    "email",
    "amount",
    "quantity",
    "active",
    "created_at",
    "note",
    "group_id",
)
_NAMES = ", ".join(COLUMNS)
_TRUNCATE_TRIGGER = "temporal_capture_truncate"


def item_table(name: str, metadata: MetaData, *, bare: bool) -> Table:
    """A table of nine columns."""
    table = Table(
        name,
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("name", Text, nullable=False),
        Column("email", Text),
        Column("amount", Numeric(12, 2), nullable=False),
        Column("quantity", Integer, nullable=False),
        Column("active", Boolean, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("note", Text),
        Column("group_id", Integer),
    )
    if not bare:
        table.c.group_id.append_foreign_key(ForeignKey(f"{GROUPS}.id"))
        Index(f"{name}_group_id", table.c.group_id)
        Index(f"{name}_email", table.c.email)
    return table


def generated(first: str, last: str) -> str:
    """A SELECT of made-up rows whose ids run from ``first`` to ``last``."""
    return (
        "SELECT i, 'Item number ' || i, 'user' || i || '@example.org', (i % 9973) / 7.0, "
        "(i % 50)::int, i % 3 = 0, timestamptz '2024-01-01' + i * interval '1 second', "
        "'A remark of some forty characters, ' || i, (i % 100)::int "
        f"FROM generate_series({first}::bigint, {last}::bigint) AS i"
    )


def insert_generated(table: str, first: int, last: int) -> str:
    """An INSERT of made-up rows."""
    return f"INSERT INTO {table} ({_NAMES}) {generated(str(first), str(last))}"


@contextmanager
def items(engine: Engine, *, bare: bool = False) -> Iterator[dict[str, Table]]:
    """Make the tables, empty, and drop them afterwards.

    Parameters:
        engine: Where to make them.
        bare: Without foreign key and indexes.
    """
    metadata = MetaData()
    Table(GROUPS, metadata, Column("id", Integer, primary_key=True, autoincrement=False))
    tables = {
        PLAIN: item_table(PLAIN, metadata, bare=bare),
        VERSIONED: versioned_table(item_table(VERSIONED, metadata, bare=bare)),
    }
    metadata.create_all(engine)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO {GROUPS} SELECT generate_series(0, 99)")
        yield tables
    finally:
        metadata.drop_all(engine)


def empty(connection: psycopg.Connection[Any]) -> None:
    """Empty the tables and the history, unrecorded, as if they were new."""
    with connection.transaction():
        connection.execute(f"ALTER TABLE {VERSIONED} DISABLE TRIGGER {_TRUNCATE_TRIGGER}")
        connection.execute(f"TRUNCATE {PLAIN}, {VERSIONED}, {HISTORY}")
        connection.execute(f"ALTER TABLE {VERSIONED} ENABLE ALWAYS TRIGGER {_TRUNCATE_TRIGGER}")


def settle(connection: psycopg.Connection[Any]) -> None:
    """Bring statistics, visibility maps and the log into an ordinary state."""
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")
