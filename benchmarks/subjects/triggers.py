"""This library, as it records by default: triggers in the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg
from sqlalchemy import Connection, FromClause, Table
from sqlalchemy.orm import DeclarativeBase

from benchmarks.models import KEYS, VERSIONED, Models, declare
from benchmarks.subjects.base import Moment, Subject

_SYSTEM = "temporal_versioning"
_TRUNCATE_TRIGGER = "temporal_capture_truncate"


class Triggers(Subject):
    """This library with triggers, read through its own API."""

    key: ClassVar[str] = "triggers"
    title: ClassVar[str] = "this library, triggers"
    about: ClassVar[str] = "this library as it is by default: triggers, commits, exact order"
    has_past: ClassVar[bool] = True

    def declare(self) -> Models:
        """Declare its models, once in a process."""
        from sqlalchemy_temporal import Versioned

        return declare(type("Base", (DeclarativeBase,), {}), Versioned)

    def histories(self) -> list[str]:
        """The tables in which it keeps history."""
        return [f"{_SYSTEM}.{table}_history" for table in VERSIONED]

    def empty(self, driver: psycopg.Connection[Any]) -> None:
        """Empty all tables and histories, unrecorded, as if they were new."""
        for table in VERSIONED:
            driver.execute(f"ALTER TABLE {table} DISABLE TRIGGER {_TRUNCATE_TRIGGER}")
        super().empty(driver)
        for table in VERSIONED:
            driver.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {_TRUNCATE_TRIGGER}")

    def settle(self, connection: Connection) -> None:
        """Seal the commits, as asking for one does."""
        connection.exec_driver_sql(f"SELECT {_SYSTEM}.seal()")

    def moment(self, connection: Connection) -> Moment:
        """The present, named so that it can be asked for when it is past."""
        from sqlalchemy_temporal import Repository

        return str(Repository(connection).head.uuid)

    @contextmanager
    def reading(self, connection: Connection, moment: Moment) -> Iterator[Any]:
        """What to execute statements on, to read as of a moment."""
        from sqlalchemy_temporal import as_of

        with as_of(connection, moment) as past:
            yield past

    def relation(self, table: Table, moment: Moment) -> FromClause:
        """What a table is called in a statement that reads as of a moment."""
        return table

    def row_history(self, connection: Connection, table: str, key: Any) -> int:
        """Fetch all versions of a row; return how many there are."""
        from sqlalchemy_temporal import get_row_history

        return len(list(get_row_history(connection, table, key, KEYS[table])))

    def changes(self, connection: Connection, table: str, first: Moment, last: Moment) -> int:
        """Fetch what changed after one moment up to another; return how many changes."""
        from sqlalchemy_temporal import get_change_history

        return len(list(get_change_history(connection, table, first, last)))

    def diff(self, connection: Connection, table: str, first: Moment, last: Moment) -> int:
        """Fetch the rows that differ between two moments, both sides; return how many."""
        from sqlalchemy_temporal import Repository

        repository = Repository(connection)
        return len(list(repository.diff(first, last, self.models.table(table))))
