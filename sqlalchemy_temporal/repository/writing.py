"""What writing planned rows needs, whatever the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from sqlalchemy_temporal.capture.install import in_one_transaction
from sqlalchemy_temporal.errors import ConstraintViolationError, UnsupportedDatabaseError
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.staging import Staged
from sqlalchemy_temporal.repository.violations import Violation
from sqlalchemy_temporal.repository.writing_postgresql import PostgreSQLWriter
from sqlalchemy_temporal.repository.writing_sqlite import SQLiteWriter


class Writer(Protocol):
    """How one database writes staged rows."""

    def lock(self, tables: Sequence[VersionedTable]) -> None:
        """Let nobody else write the tables until the transaction ends."""

    def write(self, staged: Sequence[Staged]) -> dict[str, dict[str, int]]:
        """Make the planned changes; return the rows written by table and operation."""


def writer_of(connection: Connection, schema: str) -> Writer:
    """The writer for the database of ``connection``.

    Raises:
        UnsupportedDatabaseError: there is none for it.
    """
    if connection.dialect.name == "postgresql":
        return PostgreSQLWriter(connection)
    if connection.dialect.name == "sqlite":
        return SQLiteWriter(connection, schema)
    raise UnsupportedDatabaseError(
        f"nothing can be restored on {connection.dialect.name!r}; use PostgreSQL or SQLite"
    )


@contextmanager
def in_savepoint(connection: Connection) -> Iterator[None]:
    """All of the block, or nothing of it; a transaction that is begun for it stays open.

    On a connection in AUTOCOMMIT mode the block is a transaction of its own.
    """
    driver = connection.connection.dbapi_connection
    if driver is not None and connection.dialect.detect_autocommit_setting(driver):
        with in_one_transaction(connection):
            yield
    else:
        with connection.begin_nested():
            yield


@contextmanager
def refused_by(connection: Connection) -> Iterator[None]:
    """Tell of a constraint that the database found violated as an error of our own."""
    try:
        yield
    except IntegrityError as error:
        diagnosis = getattr(error.orig, "diag", None)
        name = getattr(diagnosis, "constraint_name", None) or str(error.orig).splitlines()[0]
        table = getattr(diagnosis, "table_name", None) or "a table"
        violation = Violation("refused", str(name), str(table), 1)
        raise ConstraintViolationError(
            f"the database refused the change, so nothing was written: {error.orig}",
            violations=(violation,),
        ) from error


__all__ = ["Writer", "in_savepoint", "refused_by", "writer_of"]
