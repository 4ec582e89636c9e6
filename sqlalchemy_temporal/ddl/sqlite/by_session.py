"""The statements that record changes on SQLite where no trigger does.

As on PostgreSQL (:mod:`sqlalchemy_temporal.ddl.postgresql.by_session`), but which transaction
wrote a row stands in the table beside the live one, there is one writer, and keys go in as the
expanding parameter ``k``, some hundreds at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy_temporal.ddl.parameters import finished, parameter
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.ddl.sqlite.table import SqliteTableSql
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
)


@dataclass(frozen=True, slots=True)
class SqliteSessionSql:
    """Renders what records the changes of one table from outside of the database."""

    spec: TableSpec
    quote: Quoter

    @property
    def _table(self) -> SqliteTableSql:
        return SqliteTableSql(self.spec, self.quote)

    def _among(self, row: str, names: Sequence[str]) -> str:
        columns = self.quote.names(names, f"{row}.")
        return f"{columns if len(names) == 1 else f'({columns})'} IN {parameter('k')}"

    def _same(self, left: str, right: str) -> str:
        return self.quote.equal(self.spec.key, f"{left}.", f"{right}.")

    @property
    def _tx(self) -> str:
        return self._table.system.tx

    # Before the statement ----------------------------------------------------------

    def writer(self, row: str) -> str:
        """Which transaction wrote a row of the live table, by the quoted name it goes by."""
        return (
            f"(SELECT c.{TX_COLUMN} FROM {self._table.current} AS c WHERE {self._same('c', row)})"
        )

    def find(self, names: Sequence[str], *, keys_stay: bool) -> str:
        """The rows whose columns ``names`` have one of the values given."""
        return finished(
            f"SELECT {self.quote.names(self.spec.key, 'l.')}, {self.writer('l')} AS {TX_COLUMN} "
            f"FROM {self._table.live} AS l WHERE {self._among('l', names)}"
        )

    def last_row(self, rowid: str) -> str:
        """The largest number of a row; new ones get larger ones, unless it is given."""
        return finished(f"SELECT max({rowid}) FROM {self._table.live}")

    def close(self) -> str:
        """Record the versions of the rows with the keys given that others wrote."""
        table, q = self._table, self.quote
        began = (
            f"(SELECT t.started_at FROM {table.system.name('transaction')} AS t "
            f"WHERE t.id = c.{TX_COLUMN})"
        )
        return finished(
            f"""INSERT OR IGNORE INTO {table.history} ({q.names(self.spec.column_names)},
    {OPERATION_COLUMN}, {TX_COLUMN}, {END_COLUMN}, {FROM_COLUMN}, {TO_COLUMN})
  SELECT {q.names(self.spec.column_names, "l.")}, {parameter("operation")}, c.{TX_COLUMN},
    p.tx_id, {began}, p.started_at
  FROM {table.live} AS l JOIN {table.current} AS c ON {self._same("c", "l")},
    {table.system.name("pending")} AS p
  WHERE {self._among("l", self.spec.key)} AND c.{TX_COLUMN} <> p.tx_id"""
        )

    # After the statement -----------------------------------------------------------

    def adopt(self, where: str) -> str:
        """Let rows begin that were inserted: those of the condition that are not known yet."""
        table, q = self._table, self.quote
        return finished(
            f"INSERT INTO {table.current} ({q.names(self.spec.key)}, {TX_COLUMN}) "
            f"SELECT {q.names(self.spec.key, 'l.')}, {self._tx} FROM {table.live} AS l "
            f"WHERE {where} AND NOT EXISTS "
            f"(SELECT 1 FROM {table.current} AS c WHERE {self._same('c', 'l')})"
        )

    def later(self, rowid: str) -> str:
        """The condition that a row has a larger number than the last one of before."""
        return f"l.{rowid} > {parameter('last')}"

    def given(self) -> str:
        """The condition that a row has one of the keys given."""
        return self._among("l", self.spec.key)

    def settle(self) -> str:
        """Take back versions of rows that were not changed."""
        table, history = self._table, self._table.history
        return finished(
            f"DELETE FROM {history} WHERE {self._among(history, self.spec.key)} "
            f"AND {END_COLUMN} = {self._tx} AND {OPERATION_COLUMN} = 'UPDATE' AND EXISTS ("
            f"SELECT 1 FROM {table.live} AS l JOIN {table.current} AS c ON {self._same('c', 'l')} "
            f"WHERE {self._same('l', history)} AND c.{TX_COLUMN} = {history}.{TX_COLUMN} "
            f"AND NOT ({table.differs(self.spec.column_names, 'l', history)}))"
        )

    def stamp(self) -> str:
        """Stamp the rows whose versions were closed."""
        table, current = self._table, self._table.current
        return finished(
            f"UPDATE {current} SET {TX_COLUMN} = {self._tx} "
            f"WHERE {self._among(current, self.spec.key)} AND EXISTS ("
            f"SELECT 1 FROM {table.history} AS h WHERE {self._same('h', current)} "
            f"AND h.{END_COLUMN} = {self._tx} AND h.{TX_COLUMN} = {current}.{TX_COLUMN})"
        )

    def remaining(self) -> str:
        """The keys, of those given, that rows have still."""
        return finished(
            f"SELECT {self.quote.names(self.spec.key, 'l.')} FROM {self._table.live} AS l "
            f"WHERE {self._among('l', self.spec.key)}"
        )

    def take_back(self) -> str:
        """Take back the versions of rows that were to be deleted and are there still."""
        table, history = self._table, self._table.history
        return finished(
            f"DELETE FROM {history} WHERE {self._among(history, self.spec.key)} "
            f"AND {END_COLUMN} = {self._tx} AND {OPERATION_COLUMN} = 'DELETE' AND EXISTS ("
            f"SELECT 1 FROM {table.live} AS l JOIN {table.current} AS c ON {self._same('c', 'l')} "
            f"WHERE {self._same('l', history)} AND c.{TX_COLUMN} = {history}.{TX_COLUMN})"
        )

    def relabel(self) -> str:
        """Say of rows that this transaction changed before that they were deleted."""
        history = self._table.history
        return finished(
            f"UPDATE {history} SET {OPERATION_COLUMN} = 'DELETE' "
            f"WHERE {self._among(history, self.spec.key)} AND {END_COLUMN} = {self._tx} "
            f"AND {OPERATION_COLUMN} = 'UPDATE'"
        )

    def forget(self) -> str:
        """Forget which transaction wrote the rows with the keys given."""
        current = self._table.current
        return finished(f"DELETE FROM {current} WHERE {self._among(current, self.spec.key)}")

    def arrive(self) -> str:
        """Note that this transaction wrote the row with the key ``n0, n1, …``."""
        news = ", ".join(parameter(f"n{i}") for i in range(len(self.spec.key)))
        return finished(
            f"INSERT OR REPLACE INTO {self._table.current} ({self.quote.names(self.spec.key)}, "
            f"{TX_COLUMN}) VALUES ({news}, {self._tx})"
        )

    def moved(self) -> str:
        """Record a key that was changed, from ``k0, k1, …`` to ``n0, n1, …``."""
        q, spec = self.quote, self.spec

        def document(side: str) -> str:
            values = [parameter(f"{side}{i}") for i in range(len(spec.key))]
            pairs = (
                f"{q.literal(name)}, CASE typeof({value}) WHEN 'blob' THEN hex({value}) "
                f"ELSE {value} END"
                for name, value in zip(spec.key, values, strict=True)
            )
            return f"json_object({', '.join(pairs)})"

        return finished(
            f"INSERT INTO {self._table.system.name('pk_change')} (table_schema, table_name, tx_id, "
            f"old_key, new_key) VALUES ({q.literal(spec.live_schema)}, {q.literal(spec.name)}, "
            f"{self._tx}, {document('k')}, {document('n')})"
        )

    def note(self) -> str:
        """Count rows; parameters: ``inserted``, ``updated`` and ``deleted``."""
        counted = ("inserted", "updated", "deleted")
        changes = (f"{name} = {name} + {parameter(name)}" for name in counted)
        return finished(self._table.system.count(self.spec.qualified, *changes))


__all__ = ["SqliteSessionSql"]
