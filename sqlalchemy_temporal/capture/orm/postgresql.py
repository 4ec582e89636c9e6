"""Recording changes without triggers on PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Insert,
    Select,
    Update,
    any_,
    bindparam,
    cast,
    column,
)

from sqlalchemy_temporal.capture.orm.recorder import Dml, Key, Recorder
from sqlalchemy_temporal.capture.orm.stamping import guarded_upsert, stamped_update
from sqlalchemy_temporal.capture.orm.state import state_of
from sqlalchemy_temporal.ddl.postgresql.by_session import SessionSql
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.naming import TX_COLUMN


class PostgreSQLRecorder(Recorder):
    """The transaction that wrote a row stands in the row; rows are locked before they change."""

    sql: SessionSql

    def __init__(self, spec: TableSpec, dialect: Dialect) -> None:
        super().__init__(spec)
        self.sql = SessionSql(spec, Quoter(dialect))

    def take_id(self, connection: Connection) -> int:
        """Ask once per transaction: what is rolled back with a savepoint is forgotten there."""
        state = state_of(connection)
        if state.tx is None:
            state.tx = int(self.run(connection, self.sql.start()).scalar_one())
        return state.tx

    def prepare(self, connection: Connection) -> None:
        """Lock the table as the statement will, once per transaction."""
        locked, label = state_of(connection).locked, self.spec.qualified
        if label not in locked:
            self.run(connection, self.sql.lock())
            locked.add(label)

    def writer(self, table: FromClause) -> ColumnElement[Any]:
        """The system column."""
        found = column(TX_COLUMN, BigInteger)
        found.table = table
        return found

    def locked(self, rows: Select[Any], table: FromClause, *, keys_stay: bool) -> Select[Any]:
        """Only as far as the statement will, so that foreign keys may be checked meanwhile."""
        return rows.with_for_update(of=table, key_share=keys_stay)

    def stamped(self, element: Update) -> Update:
        """The system column is set by the statement itself."""
        return stamped_update(element, self.sql.stamp())

    def guarded(self, element: Insert) -> Insert:
        """The same for what it updates, with a look at history."""
        return guarded_upsert(element, self.sql.guarded_stamp())

    def restricted(self, element: Dml, table: FromClause, seen: Collection[int]) -> Dml:
        """By the transactions, of which there are fewer than rows."""
        listed = bindparam(None, sorted(seen), ARRAY(BigInteger))
        return element.where(self.writer(table) == any_(cast(listed, ARRAY(BigInteger))))

    def shares(
        self,
        rows: Sequence[Key],
        names: Sequence[str],
        **more: Any,
    ) -> Iterator[dict[str, Any]]:
        """Arrays, one per column, however many rows."""
        yield arrays("k", rows) | more

    def settle(self, connection: Connection, keys: Sequence[Key], *, stamped: bool) -> int:
        """One statement takes back and stamps back."""
        if not keys:
            return 0
        if not stamped:
            self.write(connection, self.sql.stamp_changed(), keys)
        results = self.each_share(connection, self.sql.settle(), keys)
        return sum(result.scalar_one() for result in results)

    def move(self, connection: Connection, moves: Sequence[tuple[Key, Key]]) -> None:
        """Both by arrays."""
        if not moves:
            return
        old, new = [old for old, _ in moves], [new for _, new in moves]
        self.run(connection, self.sql.moved(), arrays("k", old) | arrays("n", new))
        self.run(connection, self.sql.stamp_moved(), arrays("k", new))

    def note(
        self, connection: Connection, *, insert: int = 0, update: int = 0, delete: int = 0
    ) -> None:
        """One call for each operation; the commit is queued by the first."""
        given = [("insert", insert), ("update", update), ("delete", delete)]
        for operation, rows in [each for each in given if each[1]] or given[:1]:
            self.run(connection, self.sql.note(), {"operation": operation, "rows": rows})

    def deleted(self, connection: Connection, keys: Sequence[Key]) -> None:
        """Nothing: the system column goes with its row."""


def arrays(prefix: str, rows: Sequence[Key]) -> dict[str, Any]:
    """Values of several columns as one array for each."""
    return {f"{prefix}{i}": list(values) for i, values in enumerate(zip(*rows, strict=True))}


__all__ = ["PostgreSQLRecorder", "arrays"]
