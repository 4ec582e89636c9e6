"""What the current transaction of a connection has done so far."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, text

from sqlalchemy_temporal.schema import has_schemas, system_of


def own_counts(connection: Connection, schema: str) -> Mapping[str, Mapping[str, int]]:
    """The rows that the current transaction inserted, updated and deleted, by table.

    Empty when it has written to no versioned table.
    """
    if has_schemas(connection.dialect):
        said = connection.scalar(text("SELECT current_setting('temporal.counts', true)"))
        found: dict[str, Any] = json.loads(said) if said else {}
        return found
    tables = system_of(connection, schema)
    counts = tables.metadata.tables[f"{tables.pending.name.removesuffix('pending')}counts"]
    rows = connection.execute(
        select(counts).where(
            counts.c.touched, select(tables.pending.c.mode).scalar_subquery() == "client"
        )
    )
    return {
        row.name: {"insert": row.inserted, "update": row.updated, "delete": row.deleted}
        for row in rows
    }


def own_transaction_id(connection: Connection, schema: str) -> int | None:
    """The id of the current transaction; None as long as it wrote to no versioned table."""
    if has_schemas(connection.dialect):
        said = connection.scalar(text("SELECT current_setting('temporal.tx_id', true)"))
        return int(said) if said else None
    if not own_counts(connection, schema):
        return None
    return connection.scalar(select(system_of(connection, schema).pending.c.tx_id))


def make_commit(connection: Connection, schema: str) -> None:
    """Let the current transaction become a commit, although it changes no row."""
    tables = system_of(connection, schema)
    if has_schemas(connection.dialect):
        quoted = connection.dialect.identifier_preparer.quote(schema)
        connection.execute(text(f"SELECT {quoted}.note_change('', 'insert', 0)"))
        return
    counts = tables.metadata.tables[f"{tables.pending.name.removesuffix('pending')}counts"]
    first = select(counts.c.name).order_by(counts.c.name).limit(1).scalar_subquery()
    connection.execute(counts.update().where(counts.c.name == first).values(touched=1))


__all__ = ["make_commit", "own_counts", "own_transaction_id"]
