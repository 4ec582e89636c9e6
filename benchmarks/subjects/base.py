"""What a subject is: a way to keep the history of tables, or not to keep it.

Every subject has the same models (:mod:`benchmarks.models`) in a database of its own, and is
used in a process of its own, as some attach listeners to every mapper and session there is.
Each answers the same calls:

- *set up*: :meth:`Subject.missing`, :meth:`Subject.declare`, :meth:`Subject.create`;
- *write*: statements by :meth:`Subject.insert`, :meth:`Subject.update`, :meth:`Subject.delete`,
  objects by a session and :meth:`Subject.before_commit`;
- *read*: :meth:`Subject.moment` names the present, :meth:`Subject.reading` and
  :meth:`Subject.relation` give a table as of a moment, and there are the history of a row, the
  changes between two moments and the difference between them;
- *make history fast*: :meth:`Subject.fill`, where writing it would take too long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg
from sqlalchemy import Connection, Engine, FromClause, Table, bindparam, text
from sqlalchemy.orm import DeclarativeBase, Session

from benchmarks.models import COLUMNS, GROUPS, KEYS, VERSIONED, Models, declare

Moment = Any
"""What a subject takes for a moment: plain data, the same in every process."""


class Subject:
    """Unversioned tables, from which the other subjects differ.

    Attributes:
        key: What it is called in results.
        title: What it is called for readers.
        records_sql: Whether it records what plain SQL statements change.
        has_orm: Whether it is measured through sessions.
        has_past: Whether it can be asked for the past.
        package: The distribution whose version is recorded.
        reads_like: The key of the subject that has the same tables, which is read instead.
        rounds_of_hot_rows: Whether a row may get ten thousand versions.
    """

    key: ClassVar[str] = "unversioned"
    title: ClassVar[str] = "unversioned"
    about: ClassVar[str] = "the tables as they are, without history"
    records_sql: ClassVar[bool] = True
    has_orm: ClassVar[bool] = True
    has_past: ClassVar[bool] = False
    package: ClassVar[str] = ""
    reads_like: ClassVar[str] = ""
    keeps_hot_rows: ClassVar[bool] = True

    models: Models

    # ------------------------------------------------------------------------------- setting up

    def missing(self, connection: Connection) -> str:
        """Why it cannot be measured here; empty when it can."""
        return ""

    def declare(self) -> Models:
        """Declare its models, once in a process."""
        return declare(type("Base", (DeclarativeBase,), {}))

    def create(self, engine: Engine) -> None:
        """Make its tables in an empty database."""
        self.models.metadata.create_all(engine)
        self.create_groups(engine)

    def create_groups(self, engine: Engine) -> None:
        """Fill the table that items refer to, which is not versioned."""
        with engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO {GROUPS} SELECT generate_series(0, 99)")

    # ---------------------------------------------------------------------------------- writing

    def insert(self, table: str, columns: str, source: str) -> list[str]:
        """The statements that insert what a SELECT or VALUES gives."""
        return [f"INSERT INTO {table} ({columns}) {source}"]

    def update(self, table: str, changes: str, where: str) -> list[str]:
        """The statements that update rows."""
        return [f"UPDATE {table} SET {changes} WHERE {where}"]

    def delete(self, table: str, where: str) -> list[str]:
        """The statements that delete rows."""
        return [f"DELETE FROM {table} WHERE {where}"]

    def before_commit(self, session: Session | Connection, table: str) -> None:
        """What the application has to do before it commits changes of a table."""

    def begin(self) -> list[str]:
        """The statements with which a transaction of plain SQL has to begin."""
        return []

    def copied(self, table: str) -> list[str]:
        """The statements to run after rows were copied into a table."""
        return []

    def empty(self, driver: psycopg.Connection[Any]) -> None:
        """Empty all tables and histories, unrecorded, as if they were new."""
        names = ", ".join([*VERSIONED, *self.histories()])
        driver.execute(f"TRUNCATE {names} CASCADE")

    def seed(self, engine: Engine, table: str, source: str) -> None:
        """Put rows that a SELECT gives into an empty table, recorded; in one transaction."""
        with engine.begin() as connection:
            inserts = self.insert(table, ", ".join(COLUMNS[table]), source)
            for statement in [*self.begin(), *inserts]:
                connection.exec_driver_sql(statement)

    def histories(self) -> list[str]:
        """The tables in which it keeps history."""
        return []

    def settle(self, connection: Connection) -> None:
        """Do what its users have done at times, after commits."""

    def fill(self, connection: Connection, table: str, changes: str) -> None:
        """Write one more version of every row, as it would record it; in one transaction."""
        for statement in [*self.begin(), *self.update(table, changes, "true")]:
            connection.exec_driver_sql(statement)

    def heat(self, connection: Connection, table: str, key: int, versions: int) -> None:
        """Write many versions of one row, each in a transaction of its own; in autocommit."""
        statements = "; ".join(
            [*self.begin(), *self.update(table, "quantity = quantity + 1", f"id = {key}")]
        )
        connection.exec_driver_sql(
            f"DO $bench$ BEGIN FOR i IN 2..{versions} LOOP {statements}; COMMIT; "
            "END LOOP; END $bench$"
        )

    # ---------------------------------------------------------------------------------- reading

    def moment(self, connection: Connection) -> Moment:
        """The present, named so that it can be asked for when it is past."""
        return None

    @contextmanager
    def reading(self, connection: Connection, moment: Moment) -> Iterator[Any]:
        """What to execute statements on, to read as of a moment."""
        yield connection

    def relation(self, table: Table, moment: Moment) -> FromClause:
        """What a table is called in a statement that reads as of a moment."""
        if moment is None or not self.has_past:
            return table
        names = COLUMNS[table.name]
        asked = text(self.past(table.name)).bindparams(bindparam("moment", moment))
        return asked.columns(*(table.c[name] for name in names)).subquery(table.name)

    def past(self, table: str) -> str:
        """A SELECT of a table's columns as of ``:moment``."""
        raise NotImplementedError

    def row_history(self, connection: Connection, table: str, key: Any) -> int:
        """Fetch all versions of a row; return how many there are."""
        found = connection.execute(text(self.versions_of_a_row(table)), {"key": key})
        return len(found.all())

    def versions_of_a_row(self, table: str) -> str:
        """A SELECT of all versions of the row ``:key``, oldest first."""
        raise NotImplementedError

    def changes(self, connection: Connection, table: str, first: Moment, last: Moment) -> int:
        """Fetch what changed after one moment up to another; return how many changes."""
        found = connection.execute(
            text(self.changes_between(table)), {"first": first, "last": last}
        )
        return len(found.all())

    def changes_between(self, table: str) -> str:
        """A SELECT of the changes after ``:first`` up to ``:last``, in their order."""
        raise NotImplementedError

    def diff(self, connection: Connection, table: str, first: Moment, last: Moment) -> int:
        """Fetch the rows that differ between two moments, both sides; return how many."""
        names = COLUMNS[table]
        key = KEYS[table]
        old = self.past(table).replace(":moment", ":first")
        new = self.past(table).replace(":moment", ":last")
        sides = [", ".join(f"{side}.{name}" for name in names) for side in "ab"]
        found = connection.execute(
            text(
                f"WITH keys AS MATERIALIZED ({self.keys_changed(table)}), "
                f"a AS (SELECT * FROM ({old}) AS o WHERE {key} IN (SELECT key FROM keys)), "
                f"b AS (SELECT * FROM ({new}) AS n WHERE {key} IN (SELECT key FROM keys)) "
                f"SELECT {sides[0]}, {sides[1]} FROM a FULL JOIN b USING ({key}) "
                f"WHERE ({sides[0]}) IS DISTINCT FROM ({sides[1]})"
            ),
            {"first": first, "last": last},
        )
        return len(found.all())

    def keys_changed(self, table: str) -> str:
        """A SELECT of the keys, as ``key``, of rows changed after ``:first`` up to ``:last``."""
        raise NotImplementedError
