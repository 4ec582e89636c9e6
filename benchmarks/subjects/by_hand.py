"""The lower bound: statements that write the same history themselves, and no more."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection, Engine

from benchmarks.models import COLUMNS, FOREIGN, KEYS, VERSIONED
from benchmarks.subjects.base import Moment, Subject

_TX = "pg_current_xact_id()::text::bigint"


class ByHand(Subject):
    """Each statement that changes rows moves the old ones to a history table.

    The history has the columns and indexes of this library's. The transaction is named by the
    number PostgreSQL gives it, which costs nothing, and does not tell the order of commits.
    """

    key: ClassVar[str] = "by_hand"
    title: ClassVar[str] = "by hand"
    about: ClassVar[str] = (
        "the statement itself moves the old rows into a history table of the same shape: "
        "the lower bound for any history, without commits, authors or exact order"
    )
    has_orm: ClassVar[bool] = False
    has_past: ClassVar[bool] = True

    def create(self, engine: Engine) -> None:
        """Make its tables in an empty database."""
        super().create(engine)
        with engine.begin() as connection:
            for table in VERSIONED:
                key = KEYS[table]
                for statement in (
                    f"CREATE TABLE {table}_history (LIKE {table})",
                    f"ALTER TABLE {table} ADD tx bigint NOT NULL DEFAULT {_TX}",
                    (
                        f"ALTER TABLE {table}_history ADD operation text NOT NULL, "
                        "ADD tx bigint NOT NULL, ADD end_tx bigint NOT NULL, "
                        "ADD valid_from timestamptz, ADD valid_to timestamptz, "
                        f"ADD PRIMARY KEY ({key}, end_tx, tx)"
                    ),
                    f"CREATE INDEX ON {table}_history (end_tx, tx)",
                ):
                    connection.exec_driver_sql(statement)
                if table in FOREIGN:
                    connection.exec_driver_sql(
                        f"CREATE INDEX ON {table}_history ({FOREIGN[table]}, end_tx, tx)"
                    )

    def histories(self) -> list[str]:
        """The tables in which it keeps history."""
        return [f"{table}_history" for table in VERSIONED]

    def update(self, table: str, changes: str, where: str) -> list[str]:
        """The statements that update rows."""
        return [
            (
                f"{self._old(table, 'UPDATE', where)} "
                f"UPDATE {table} SET {changes}, tx = {_TX} WHERE {where}"
            )
        ]

    def delete(self, table: str, where: str) -> list[str]:
        """The statements that delete rows."""
        return [f"{self._old(table, 'DELETE', where)} DELETE FROM {table} WHERE {where}"]

    def _old(self, table: str, operation: str, where: str) -> str:
        names = ", ".join(COLUMNS[table])
        return (
            f"WITH old AS (INSERT INTO {table}_history "
            f"({names}, operation, tx, end_tx, valid_from, valid_to) "
            f"SELECT {names}, '{operation}', tx, {_TX}, NULL, transaction_timestamp() "
            f"FROM {table} WHERE {where})"
        )

    def moment(self, connection: Connection) -> Moment:
        """The present, named so that it can be asked for when it is past."""
        return connection.exec_driver_sql(f"SELECT {_TX}").scalar_one()

    def past(self, table: str) -> str:
        """A SELECT of a table's columns as of ``:moment``."""
        names = ", ".join(COLUMNS[table])
        return (
            f"SELECT {names} FROM {table} WHERE tx <= :moment UNION ALL "
            f"SELECT {names} FROM {table}_history WHERE tx <= :moment AND end_tx > :moment"
        )

    def versions_of_a_row(self, table: str) -> str:
        """A SELECT of all versions of the row ``:key``, oldest first."""
        names, key = ", ".join(COLUMNS[table]), KEYS[table]
        return (
            f"SELECT {names}, tx, end_tx FROM {table}_history WHERE {key} = :key UNION ALL "
            f"SELECT {names}, tx, NULL FROM {table} WHERE {key} = :key ORDER BY tx"
        )

    def changes_between(self, table: str) -> str:
        """A SELECT of the changes after ``:first`` up to ``:last``, in their order."""
        key = KEYS[table]
        new, old = (", ".join(f"{side}.{name}" for name in COLUMNS[table]) for side in "np")
        none = ", ".join("NULL" for _ in COLUMNS[table])
        started = "tx > :first AND tx <= :last"
        names = ", ".join(COLUMNS[table])
        return (
            f"WITH n AS (SELECT {names}, tx FROM {table} WHERE {started} UNION ALL "
            f"SELECT {names}, tx FROM {table}_history WHERE {started} AND end_tx > :first) "
            f"SELECT n.tx, {new}, {old} FROM n LEFT JOIN {table}_history AS p "
            f"ON p.{key} = n.{key} AND p.end_tx = n.tx UNION ALL "
            f"SELECT p.end_tx, {none}, {old} FROM {table}_history AS p "
            "WHERE operation = 'DELETE' AND end_tx > :first AND end_tx <= :last ORDER BY 1"
        )

    def keys_changed(self, table: str) -> str:
        """A SELECT of the keys, as ``key``, of rows changed after ``:first`` up to ``:last``."""
        key = KEYS[table]
        return (
            f"SELECT {key} AS key FROM {table}_history WHERE end_tx > :first AND end_tx <= :last "
            f"UNION SELECT {key} FROM {table} WHERE tx > :first AND tx <= :last"
        )
