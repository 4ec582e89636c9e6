"""Two lines of commits to be merged, and what to ask of the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, MetaData, text

from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.repository import Repository
from tests.repository.graphs import commit


def versioned(engine: Engine, *statements: str) -> None:
    """Run DDL, and version every table that it made."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    metadata = MetaData()
    metadata.reflect(engine)
    new = [table for table in metadata.sorted_tables if "temporal_tx_id" not in table.c]
    for table in new:
        versioned_table(table)
    metadata.create_all(engine, tables=new)


def part(engine: Engine, base: str, ours: str, theirs: str) -> Repository:
    """Commit ``base``; then ``theirs`` on a branch of that name, and ``ours`` on main."""
    repo = Repository(engine)
    commit(engine, base or "INSERT INTO note (body) VALUES ('base')")
    repo.switch("theirs", create=True)
    if theirs:
        commit(engine, theirs)
    repo.switch("main")
    if ours:
        commit(engine, ours)
    return repo


def rows(engine: Engine, table: str = "price") -> Sequence[Any]:
    """The rows of a table as tuples, by key."""
    with engine.connect() as connection:
        found = connection.execute(text(f"TABLE {table} ORDER BY id"))
        return [tuple(row)[:-1] for row in found]  # without the system column


def cells(engine: Engine, columns: str, table: str) -> Sequence[Any]:
    """Some columns of the rows of a table as tuples, by key."""
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT {columns} FROM {table} ORDER BY id"))
        return [tuple(row) for row in found]
