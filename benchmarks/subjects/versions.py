"""What SQLAlchemy-Continuum and sqlalchemy-history share: tables of all versions.

Neither brings a way to ask for tables as of a moment; the statements are those that their
documentation leads to.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection, Engine

from benchmarks.models import COLUMNS, KEYS, VERSIONED
from benchmarks.subjects.base import Moment, Subject

BEGUN = "INSERT INTO transaction (id, issued_at) VALUES (nextval('transaction_id_seq'), now())"
_UPDATED, _DELETED = 1, 2


class VersionTables(Subject):
    """Tables of versions with ``transaction_id`` and ``end_transaction_id``."""

    records_sql: ClassVar[bool] = False
    has_past: ClassVar[bool] = True

    def histories(self) -> list[str]:
        """The tables in which it keeps history."""
        return ["transaction", *(f"{table}_version" for table in VERSIONED)]

    def seed(self, engine: Engine, table: str, source: str) -> None:
        """Put rows that a SELECT gives into an empty table, recorded; in one transaction."""
        names = ", ".join(COLUMNS[table])
        with engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            for statement in (
                BEGUN,
                f"INSERT INTO {table} ({names}) {source}",
                (
                    f"INSERT INTO {table}_version ({names}, transaction_id, operation_type) "
                    f"SELECT {names}, currval('transaction_id_seq'), 0 FROM {table}"
                ),
            ):
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def fill(self, connection: Connection, table: str, changes: str) -> None:
        """Write one more version of every row, as it would record it; in one transaction."""
        names = ", ".join(COLUMNS[table])
        now = "currval('transaction_id_seq')"
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in (
            BEGUN,
            f"UPDATE {table} SET {changes}",
            (
                f"UPDATE {table}_version SET end_transaction_id = {now} "
                "WHERE end_transaction_id IS NULL"
            ),
            (
                f"INSERT INTO {table}_version ({names}, transaction_id, operation_type) "
                f"SELECT {names}, {now}, {_UPDATED} FROM {table}"
            ),
        ):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def heat(self, connection: Connection, table: str, key: int, versions: int) -> None:
        """Write many versions of one row, each in a transaction of its own; in autocommit."""
        names, column = ", ".join(COLUMNS[table]), KEYS[table]
        here = f"{column} = {key}"
        now = "currval('transaction_id_seq')"
        connection.exec_driver_sql(
            f"DO $bench$ BEGIN FOR i IN 2..{versions} LOOP {BEGUN}; "
            f"UPDATE {table}_version SET end_transaction_id = {now} "
            f"WHERE end_transaction_id IS NULL AND {here}; "
            f"UPDATE {table} SET quantity = quantity + 1 WHERE {here}; "
            f"INSERT INTO {table}_version ({names}, transaction_id, operation_type) "
            f"SELECT {names}, {now}, {_UPDATED} FROM {table} WHERE {here}; "
            "COMMIT; END LOOP; END $bench$"
        )

    def moment(self, connection: Connection) -> Moment:
        """The present, named so that it can be asked for when it is past."""
        return connection.exec_driver_sql("SELECT max(id) FROM transaction").scalar_one()

    def past(self, table: str) -> str:
        """A SELECT of a table's columns as of ``:moment``."""
        return (
            f"SELECT {', '.join(COLUMNS[table])} FROM {table}_version "
            "WHERE transaction_id <= :moment "
            "AND (end_transaction_id > :moment OR end_transaction_id IS NULL) "
            f"AND operation_type <> {_DELETED}"
        )

    def versions_of_a_row(self, table: str) -> str:
        """A SELECT of all versions of the row ``:key``, oldest first."""
        return (
            f"SELECT v.*, t.issued_at FROM {table}_version AS v "
            "JOIN transaction AS t ON t.id = v.transaction_id "
            f"WHERE v.{KEYS[table]} = :key ORDER BY v.transaction_id"
        )

    def changes_between(self, table: str) -> str:
        """A SELECT of the changes after ``:first`` up to ``:last``, in their order."""
        key = KEYS[table]
        return (
            f"SELECT v.*, p.*, t.issued_at FROM {table}_version AS v "
            "JOIN transaction AS t ON t.id = v.transaction_id "
            f"LEFT JOIN {table}_version AS p "
            f"ON p.{key} = v.{key} AND p.end_transaction_id = v.transaction_id "
            "WHERE v.transaction_id > :first AND v.transaction_id <= :last "
            "ORDER BY v.transaction_id"
        )

    def keys_changed(self, table: str) -> str:
        """A SELECT of the keys, as ``key``, of rows changed after ``:first`` up to ``:last``."""
        return (
            f"SELECT DISTINCT {KEYS[table]} AS key FROM {table}_version "
            "WHERE transaction_id > :first AND transaction_id <= :last"
        )
