"""Single-row transactions from Python, through plain psycopg and through SQLAlchemy Core."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

import psycopg
from sqlalchemy import Connection, Table, bindparam, delete, insert, update

from benchmarks.tables import COLUMNS


class Driver(Protocol):
    """Runs one statement on one row in a transaction of its own."""

    def insert(self, key: int) -> None:
        """Insert the row with this key."""

    def update(self, key: int, value: int) -> None:
        """Change two columns of the row with this key."""

    def delete(self, key: int) -> None:
        """Delete the row with this key."""


class PsycopgDriver:
    """Plain psycopg: BEGIN, a prepared statement, COMMIT.

    Parameters:
        connection: in autocommit; transactions are begun by hand.
        table: the name of the table.
        begin: False sends the statement alone, which is then a transaction by itself: one
            round trip instead of three.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], table: str, *, begin: bool = True
    ) -> None:
        self._connection = connection
        self._begin = begin
        names = ", ".join(COLUMNS)
        self._insert = f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
        self._update = f"UPDATE {table} SET quantity = %s, note = %s WHERE id = %s"
        self._delete = f"DELETE FROM {table} WHERE id = %s"

    def insert(self, key: int) -> None:
        """Insert the row with this key."""
        self._run(self._insert, tuple(row(key).values()))

    def update(self, key: int, value: int) -> None:
        """Change two columns of the row with this key."""
        self._run(self._update, (value, note(value), key))

    def delete(self, key: int) -> None:
        """Delete the row with this key."""
        self._run(self._delete, (key,))

    def _run(self, statement: str, values: tuple[Any, ...]) -> None:
        if self._begin:
            self._connection.execute("BEGIN", prepare=True)
        self._connection.execute(statement, values, prepare=True)
        if self._begin:
            self._connection.execute("COMMIT", prepare=True)


class CoreDriver:
    """SQLAlchemy Core: ``with connection.begin()`` around one statement."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self._connection = connection
        here = table.c.id == bindparam("key")
        self._insert = insert(table)
        self._update = update(table).where(here)
        self._delete = delete(table).where(here)

    def insert(self, key: int) -> None:
        """Insert the row with this key."""
        with self._connection.begin():
            self._connection.execute(self._insert, row(key))

    def update(self, key: int, value: int) -> None:
        """Change two columns of the row with this key."""
        with self._connection.begin():
            self._connection.execute(
                self._update, {"key": key, "quantity": value, "note": note(value)}
            )

    def delete(self, key: int) -> None:
        """Delete the row with this key."""
        with self._connection.begin():
            self._connection.execute(self._delete, {"key": key})


def row(key: int) -> dict[str, Any]:
    """A row like those of :func:`benchmarks.tables.generated`."""
    values = (
        key,
        f"Item number {key}",
        f"user{key}@example.org",
        key % 9973,
        key % 50,
        key % 3 == 0,
        datetime(2024, 1, 1, tzinfo=UTC),
        note(key),
        key % 100,
    )
    return dict(zip(COLUMNS, values, strict=True))


def note(value: int) -> str:
    """A text of some forty characters."""
    return f"A remark of some forty characters, {value}"
