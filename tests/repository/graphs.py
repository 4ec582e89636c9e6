"""Make commits of any shape, by saying what their parents are."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, Text

from sqlalchemy_temporal.clock.describe import describe
from sqlalchemy_temporal.clock.intent import Intent, write_intent
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.model.declare import versioned_table


def tables() -> MetaData:
    """Prices, and notes about them."""
    metadata = MetaData()
    versioned_table(
        Table(
            "price",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("name", Text),
            Column("amount", Integer),
        )
    )
    versioned_table(
        Table("note", metadata, Column("id", Integer, primary_key=True), Column("body", Text))
    )
    return metadata


def commit(
    engine: Engine,
    sql: str = "",
    *,
    parent: UUID | None = None,
    merge: UUID | None = None,
    author: str | None = None,
    message: str | None = None,
    context: dict[str, Any] | None = None,
) -> UUID:
    """Run ``sql`` as one commit with these parents; return its uuid."""
    with engine.begin() as connection:
        describe(connection, author, message, context)
        write_intent(connection, Intent(parent=parent, merge_parent=merge))
        run(connection, sql or "INSERT INTO note (body) VALUES ('more')")
    with engine.connect() as connection:
        return resolve(connection, "HEAD").uuid


def run(connection: Connection, sql: str) -> None:
    """Run statements one by one, as every database can."""
    for statement in sql.split(";"):
        if statement.strip():
            connection.exec_driver_sql(statement)


def numbers(connection: Connection, uuids: list[UUID]) -> list[int]:
    """The sequence numbers of commits."""
    return [resolve(connection, uuid).seq for uuid in uuids]
