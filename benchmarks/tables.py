"""The tables that are measured: unversioned, versioned, and versioned by hand.

All have the same nine columns, about 110 bytes a row, and no index but the primary key: the
hardest case for a ratio, as every index of an application's own makes the unversioned side
slower.
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
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
)

from sqlalchemy_temporal.model.declare import versioned_table

PLAIN = "item_plain"
VERSIONED = "item_versioned"
HAND = "item_hand"
HISTORY = "temporal_versioning.item_versioned_history"
HAND_HISTORY = "item_hand_history"
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


def item_table(name: str, metadata: MetaData) -> Table:
    """A table of nine columns."""
    return Table(
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
def items(engine: Engine, *, by_hand: bool = False) -> Iterator[dict[str, Table]]:
    """Make the tables, empty, and drop them afterwards.

    Parameters:
        engine: Where to make them.
        by_hand: Also those whose history is written by hand.
    """
    metadata = MetaData()
    tables = {
        PLAIN: item_table(PLAIN, metadata),
        VERSIONED: versioned_table(item_table(VERSIONED, metadata)),
    }
    metadata.create_all(engine)
    try:
        if by_hand:
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    f"CREATE TABLE {HAND} (LIKE {VERSIONED} INCLUDING INDEXES)"
                )
                connection.exec_driver_sql(
                    f"CREATE TABLE {HAND_HISTORY} "
                    f"(LIKE {HISTORY} INCLUDING INDEXES INCLUDING IDENTITY)"
                )
        yield tables
    finally:
        metadata.drop_all(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {HAND}, {HAND_HISTORY}")


def empty(connection: psycopg.Connection[Any], *, by_hand: bool = False) -> None:
    """Empty the tables and their histories, unrecorded, as if they were new."""
    with connection.transaction():
        connection.execute(f"ALTER TABLE {VERSIONED} DISABLE TRIGGER {_TRUNCATE_TRIGGER}")
        more = f", {HAND}, {HAND_HISTORY}" if by_hand else ""
        connection.execute(f"TRUNCATE {PLAIN}, {VERSIONED}, {HISTORY}{more}")
        connection.execute(f"ALTER TABLE {VERSIONED} ENABLE ALWAYS TRIGGER {_TRUNCATE_TRIGGER}")


def settle(connection: psycopg.Connection[Any]) -> None:
    """Bring statistics, visibility maps and the log into an ordinary state."""
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")
