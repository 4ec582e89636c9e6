"""Two lines of commits to be merged, and what to ask of the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, MetaData, inspect, text

from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.naming import TX_COLUMN
from sqlalchemy_temporal.repository import Repository
from tests.repository.graphs import commit


def versioned(engine: Engine, *statements: str) -> None:
    """Run DDL, and version every table that it made."""
    before = set(inspect(engine).get_table_names())
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    metadata = MetaData()
    metadata.reflect(engine, only=lambda name, _: name not in before)
    for table in metadata.sorted_tables:
        versioned_table(table)
    metadata.create_all(engine)


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
        found = connection.execute(text(f"SELECT * FROM {table} ORDER BY id"))
        shown = [name for name in found.keys() if name != TX_COLUMN]  # noqa: SIM118 - a Result
        return [tuple(row[name] for name in shown) for row in found.mappings()]


def cells(engine: Engine, columns: str, table: str) -> Sequence[Any]:
    """Some columns of the rows of a table as tuples, by key."""
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT {columns} FROM {table} ORDER BY id"))
        return [tuple(row) for row in found]
