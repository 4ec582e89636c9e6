"""The statements that record changes where no trigger does: around the statement that changes.

The rows that a statement will change are found and locked before it runs, their versions are
closed in one statement per table, and what it did not change after all is taken back when it
has run. Keys go in as arrays, one for each key column, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.parameters import finished, parameter
from sqlalchemy_temporal.ddl.postgresql import drift
from sqlalchemy_temporal.ddl.postgresql.quoting import HEADER, Quoter
from sqlalchemy_temporal.ddl.postgresql.table import TableSql
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
)

OWN_ID: Final = "(NULLIF(pg_catalog.current_setting('temporal.tx_id', true), ''))::bigint"
"""The id that this transaction took; what the system column's default says, too."""


def system_statements(s: str) -> tuple[str, ...]:
    """The function that refuses to change a version nobody recorded, in the schema ``s``."""
    return (
        f"""
CREATE OR REPLACE FUNCTION {s}.unrecorded(relation text) RETURNS bigint
{HEADER}
BEGIN
  RAISE EXCEPTION USING ERRCODE = '{keys.STATE_SERIALIZATION}',
    MESSAGE = 'a row of ' || relation || ' was written by another transaction meanwhile, so '
      || 'its version could not be recorded',
    HINT = 'try again';
END $body$""",
    )


@dataclass(frozen=True, slots=True)
class SessionSql:
    """Renders what records the changes of one table from outside of the database."""

    spec: TableSpec
    quote: Quoter

    @property
    def _table(self) -> TableSql:
        return TableSql(self.spec, self.quote)

    def _type(self, name: str) -> str:
        columns = (*self.spec.columns, *self.spec.unrecorded)
        return next(column.type for column in columns if column.name == name)

    def _array(self, place: int, name: str, prefix: str = "k") -> str:
        return f"CAST({parameter(f'{prefix}{place}')} AS {self._type(name)}[])"

    def among(self, row: str, names: Sequence[str]) -> str:
        """The condition that columns of ``row`` have one of the values given, as arrays."""
        if len(names) == 1:
            return f"{row}.{self.quote.name(names[0])} = ANY ({self._array(0, names[0])})"
        arrays = ", ".join(self._array(i, name) for i, name in enumerate(names))
        return f"({self.quote.names(names, f'{row}.')}) IN (SELECT * FROM unnest({arrays}))"

    def _same_key(self, left: str, right: str) -> str:
        return self.quote.equal(self.spec.key, f"{left}.", f"{right}.")

    def _unchanged(self) -> str:
        """Whether what is recorded is still the same, byte by byte."""
        names = self.spec.column_names
        return " OPERATOR(pg_catalog.*=) ".join(
            f"ROW({self.quote.names(names, f'{row}.')})::record" for row in ("l", "h")
        )

    # Before the statement ----------------------------------------------------------

    def start(self) -> str:
        """Take the transaction's id."""
        return finished(f"SELECT {self._table.schema}.start_transaction()")

    def lock(self) -> str:
        """Take the lock on the table that the statement itself will take, before any row's.

        Whoever locks the whole table otherwise comes in between: it would wait for the rows,
        and the statement for the table.
        """
        return finished(f"LOCK TABLE {self._table.live} IN ROW EXCLUSIVE MODE")

    def find(self, names: Sequence[str], *, keys_stay: bool) -> str:
        """Lock the rows whose columns ``names`` have one of the values given."""
        strength = "NO KEY UPDATE" if keys_stay else "UPDATE"
        return finished(
            f"SELECT {self.quote.names(self.spec.key, 'l.')}, l.{TX_COLUMN} "
            f"FROM {self._table.live} l WHERE {self.among('l', names)} FOR {strength}"
        )

    def close(self) -> str:
        """Record the versions of the rows with the keys given that others wrote."""
        table, q = self._table, self.quote
        return finished(
            f"""INSERT INTO {table.history} ({q.names(self.spec.column_names)}, {OPERATION_COLUMN},
    {TX_COLUMN}, {END_COLUMN}, {FROM_COLUMN}, {TO_COLUMN})
  SELECT {q.names(self.spec.column_names, "o.")}, CAST({parameter("operation")} AS text),
    o.{TX_COLUMN}, {OWN_ID}, x.started_at, transaction_timestamp()
  FROM {table.live} o LEFT JOIN {table.schema}.transaction x ON x.id = o.{TX_COLUMN}
  WHERE {self.among("o", self.spec.key)} AND o.{TX_COLUMN} <> {OWN_ID}
    AND {drift.call(self.spec, q)}
  ON CONFLICT DO NOTHING"""
        )

    # In the statement --------------------------------------------------------------

    def stamp(self) -> str:
        """What UPDATE adds to what it sets."""
        return f"{self.quote.tx}={OWN_ID}"

    def guarded_stamp(self) -> str:
        """What ON CONFLICT DO UPDATE sets; it raises where the old version is not recorded."""
        table, name = self._table, self.quote.name(self.spec.name)
        recorded = (
            f"EXISTS (SELECT FROM {table.history} h WHERE {self._same_key('h', name)} "
            f"AND h.{END_COLUMN} = {OWN_ID} AND h.{TX_COLUMN} = {name}.{TX_COLUMN})"
        )
        return (
            f"{self.quote.tx} = CASE WHEN {name}.{TX_COLUMN} = {OWN_ID} OR {recorded} "
            f"THEN {OWN_ID} ELSE {table.schema}.unrecorded("
            f"{self.quote.literal(self.spec.qualified)}) END"
        )

    # After the statement -----------------------------------------------------------

    def stamp_changed(self) -> str:
        """Stamp rows that the database itself changed because of the statement."""
        table = self._table
        return finished(
            f"""UPDATE {table.live} l SET {self.quote.tx} = {OWN_ID} FROM {table.history} h
  WHERE {self.among("l", self.spec.key)} AND {self._same_key("h", "l")}
    AND h.{END_COLUMN} = {OWN_ID} AND h.{TX_COLUMN} = l.{TX_COLUMN} AND NOT {self._unchanged()}"""
        )

    def stamp_moved(self) -> str:
        """Stamp rows that have new keys, by these."""
        return finished(
            f"UPDATE {self._table.live} l SET {self.quote.tx} = {OWN_ID} "
            f"WHERE {self.among('l', self.spec.key)} AND l.{TX_COLUMN} <> {OWN_ID}"
        )

    def settle(self) -> str:
        """Take back versions of rows that were not changed; returns how many."""
        table, q = self._table, self.quote
        names = ", ".join(f"h.{q.name(n)} AS temporal_k{i}" for i, n in enumerate(self.spec.key))
        same = " AND ".join(f"l.{q.name(n)} = g.temporal_k{i}" for i, n in enumerate(self.spec.key))
        return finished(
            f"""WITH gone AS (
  DELETE FROM {table.history} h USING {table.live} l
  WHERE {self.among("h", self.spec.key)} AND {self._same_key("h", "l")}
    AND h.{END_COLUMN} = {OWN_ID} AND h.{OPERATION_COLUMN} = 'UPDATE'
    AND (l.{TX_COLUMN} = h.{TX_COLUMN} OR {self._unchanged()})
  RETURNING {names}, h.{TX_COLUMN} AS temporal_was),
back AS (UPDATE {table.live} l SET {q.tx} = g.temporal_was FROM gone g
  WHERE {same} AND l.{TX_COLUMN} <> g.temporal_was RETURNING 1)
SELECT count(*) FROM gone"""
        )

    def remaining(self) -> str:
        """The keys, of those given, that rows have still."""
        return finished(
            f"SELECT {self.quote.names(self.spec.key, 'l.')} FROM {self._table.live} l "
            f"WHERE {self.among('l', self.spec.key)}"
        )

    def take_back(self) -> str:
        """Take back the versions of rows that were to be deleted and are there still."""
        return finished(
            f"DELETE FROM {self._table.history} h WHERE {self.among('h', self.spec.key)} "
            f"AND h.{END_COLUMN} = {OWN_ID} AND h.{OPERATION_COLUMN} = 'DELETE' "
            f"AND EXISTS (SELECT FROM {self._table.live} l WHERE {self._same_key('l', 'h')} "
            f"AND l.{TX_COLUMN} = h.{TX_COLUMN})"
        )

    def relabel(self) -> str:
        """Say of rows that this transaction changed before that they were deleted."""
        return finished(
            f"UPDATE {self._table.history} h SET {OPERATION_COLUMN} = 'DELETE' "
            f"WHERE {self.among('h', self.spec.key)} AND h.{END_COLUMN} = {OWN_ID} "
            f"AND h.{OPERATION_COLUMN} = 'UPDATE'"
        )

    def moved(self) -> str:
        """Record keys that were changed; parameters: the old keys (k) and the new ones (n)."""
        q, spec = self.quote, self.spec
        olds = [self._array(i, name) for i, name in enumerate(spec.key)]
        news = [self._array(i, name, "n") for i, name in enumerate(spec.key)]
        columns = [f"{side}{i}" for side in "on" for i in range(len(spec.key))]

        def document(side: str) -> str:
            pairs = (f"{q.literal(n)}, u.{side}{i}" for i, n in enumerate(spec.key))
            return f"jsonb_build_object({', '.join(pairs)})"

        return finished(
            f"""INSERT INTO {self._table.schema}.pk_change (table_schema, table_name, tx_id,
    old_key, new_key)
  SELECT {q.literal(spec.live_schema)}, {q.literal(spec.name)}, {OWN_ID}, {document("o")},
    {document("n")}
  FROM unnest({", ".join((*olds, *news))}) AS u({", ".join(columns)})"""
        )

    def note(self) -> str:
        """Count rows; parameters: the operation and how many."""
        return finished(
            f"SELECT {self._table.schema}.note_change({self.quote.literal(self.spec.qualified)}, "
            f"CAST({parameter('operation')} AS text), CAST({parameter('rows')} AS bigint))"
        )


__all__ = ["OWN_ID", "SessionSql", "system_statements"]
