"""Where databases differ in hashing and verifying: one function for each difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from sqlalchemy_temporal.repository import chain, hashing
from sqlalchemy_temporal.repository.chain import Link
from sqlalchemy_temporal.repository.check_registry import RegistryCheck
from sqlalchemy_temporal.repository.check_rows import RowCheck
from sqlalchemy_temporal.repository.check_tables import TableCheck
from sqlalchemy_temporal.repository.findings import Findings
from sqlalchemy_temporal.repository.hashed import hashed_tables
from sqlalchemy_temporal.repository.sqlite_chain import hash_sqlite_commits, sqlite_links
from sqlalchemy_temporal.repository.sqlite_checks import SqliteRegistryCheck, SqliteTableCheck
from sqlalchemy_temporal.repository.sqlite_leaves import sqlite_tables


def _sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def hash_commits(
    connection: Connection, schema: str, *, progress: Callable[[int], None] | None = None
) -> int:
    """Seal and hash every commit so far; see the functions of each database."""
    if _sqlite(connection):
        return hash_sqlite_commits(connection, schema, progress)
    return hashing.hash_commits(connection, schema, progress=progress)


def links(connection: Connection, schema: str, after: int, upto: int) -> Iterator[Link]:
    """The commits numbered ``after + 1`` to ``upto``, in order, a few in memory at a time."""
    if _sqlite(connection):
        return sqlite_links(connection, schema, after, upto)
    return chain.links(connection, schema, after, upto)


def row_checks(connection: Connection, schema: str, findings: Findings) -> Sequence[RowCheck]:
    """A check for each registered table."""
    if _sqlite(connection):
        return [
            SqliteTableCheck(connection, schema, findings, table)
            for table in sqlite_tables(connection, schema)
        ]
    return [
        TableCheck(connection, schema, findings, table)
        for table in hashed_tables(connection, schema)
    ]


def registry_check(
    connection: Connection, schema: str, findings: Findings, upto: int
) -> RegistryCheck:
    """A check of the list of versioned tables, and of what names commits."""
    kind = SqliteRegistryCheck if _sqlite(connection) else RegistryCheck
    return kind(connection, schema, findings, upto)


@contextmanager
def reading(connection: Connection) -> Iterator[Any]:
    """A connection to verify on, with settings that cannot matter.

    It sees one snapshot throughout: with a new one for each statement, what a purge removes
    meanwhile would be missing from one table and not yet noted in another.
    """
    if _sqlite(connection):
        yield connection
        return
    with hashing.apart(connection, "REPEATABLE READ") as turn, turn() as other:
        yield other


@contextmanager
def pinned(connection: Connection) -> Iterator[Connection]:
    """The connection itself, with settings that cannot matter."""
    if _sqlite(connection):
        yield connection
        return
    with hashing.pinned(connection) as same:
        yield same
