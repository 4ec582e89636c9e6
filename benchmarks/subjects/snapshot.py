"""The naive way: a copy of the whole table with each commit."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from benchmarks.models import COLUMNS, KEYS, VERSIONED
from benchmarks.subjects.base import Moment, Subject


class Snapshot(Subject):
    """Each transaction copies the table that it changed, as it is then."""

    key: ClassVar[str] = "snapshot"
    title: ClassVar[str] = "full copy per commit"
    about: ClassVar[str] = "each transaction copies the whole table; its cost grows with the table"
    has_past: ClassVar[bool] = True
    keeps_hot_rows: ClassVar[bool] = False

    def create(self, engine: Engine) -> None:
        """Make its tables in an empty database."""
        super().create(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE SEQUENCE snapshot_id")
            for table in VERSIONED:
                connection.exec_driver_sql(
                    f"CREATE TABLE {table}_snapshot (LIKE {table}, snapshot bigint NOT NULL, "
                    f"PRIMARY KEY (snapshot, {KEYS[table]}))"
                )

    def histories(self) -> list[str]:
        """The tables in which it keeps history."""
        return [f"{table}_snapshot" for table in VERSIONED]

    def insert(self, table: str, columns: str, source: str) -> list[str]:
        """The statements that insert what a SELECT or VALUES gives."""
        return [*super().insert(table, columns, source), *self.copied(table)]

    def update(self, table: str, changes: str, where: str) -> list[str]:
        """The statements that update rows."""
        return [*super().update(table, changes, where), *self.copied(table)]

    def delete(self, table: str, where: str) -> list[str]:
        """The statements that delete rows."""
        return [*super().delete(table, where), *self.copied(table)]

    def copied(self, table: str) -> list[str]:
        """The statements to run after rows were copied into a table."""
        names = ", ".join(COLUMNS[table])
        return [
            (
                f"INSERT INTO {table}_snapshot ({names}, snapshot) "
                f"SELECT {names}, n FROM {table}, (SELECT nextval('snapshot_id') AS n) AS s"
            )
        ]

    def before_commit(self, session: Session | Connection, table: str) -> None:
        """What the application has to do before it commits changes of a table."""
        for statement in self.copied(table):
            session.execute(text(statement))

    def moment(self, connection: Connection) -> Moment:
        """The present, named so that it can be asked for when it is past."""
        return connection.exec_driver_sql("SELECT last_value FROM snapshot_id").scalar_one()

    def past(self, table: str) -> str:
        """A SELECT of a table's columns as of ``:moment``."""
        return (
            f"SELECT {', '.join(COLUMNS[table])} FROM {table}_snapshot WHERE snapshot = "
            f"(SELECT max(snapshot) FROM {table}_snapshot WHERE snapshot <= :moment)"
        )

    def versions_of_a_row(self, table: str) -> str:
        """A SELECT of all versions of the row ``:key``, oldest first."""
        names, key = ", ".join(COLUMNS[table]), KEYS[table]
        return (
            f"SELECT * FROM (SELECT s.*, lag(({names})) OVER (ORDER BY snapshot) AS before "
            f"FROM {table}_snapshot AS s WHERE {key} = :key) AS v "
            f"WHERE ({names}) IS DISTINCT FROM before ORDER BY snapshot"
        )

    def changes_between(self, table: str) -> str:
        """A SELECT of the changes after ``:first`` up to ``:last``, in their order."""
        key = KEYS[table]
        new, old = (", ".join(f"{side}.{name}" for name in COLUMNS[table]) for side in "np")
        return (
            f"WITH ids AS (SELECT snapshot, lag(snapshot) OVER (ORDER BY snapshot) AS before "
            f"FROM (SELECT DISTINCT snapshot FROM {table}_snapshot) AS d) "
            f"SELECT ids.snapshot, {new}, {old} FROM ids "
            f"JOIN {table}_snapshot AS n ON n.snapshot = ids.snapshot "
            f"LEFT JOIN {table}_snapshot AS p "
            f"ON p.snapshot = ids.before AND p.{key} = n.{key} "
            f"WHERE ids.snapshot > :first AND ids.snapshot <= :last "
            f"AND ({new}) IS DISTINCT FROM ({old}) UNION ALL "
            f"SELECT ids.snapshot, {new}, {old} FROM ids "
            f"JOIN {table}_snapshot AS p ON p.snapshot = ids.before "
            f"LEFT JOIN {table}_snapshot AS n "
            f"ON n.snapshot = ids.snapshot AND n.{key} = p.{key} "
            f"WHERE ids.snapshot > :first AND ids.snapshot <= :last AND n.{key} IS NULL "
            "ORDER BY 1"
        )

    def keys_changed(self, table: str) -> str:
        """A SELECT of the keys, as ``key``, of rows changed after ``:first`` up to ``:last``."""
        return f"SELECT DISTINCT {KEYS[table]} AS key FROM {table}_snapshot"
