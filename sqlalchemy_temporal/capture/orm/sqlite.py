"""Recording changes without triggers on SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Select,
    bindparam,
    literal_column,
    text,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.elements import TextClause

from sqlalchemy_temporal.capture.orm.recorder import Key, Recorder
from sqlalchemy_temporal.clock.hooks import transaction_id
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.ddl.sqlite.by_session import SqliteSessionSql
from sqlalchemy_temporal.errors import CaptureError

_SHARE: Final = 500
"""Keys in one statement: SQLite takes 32,766 values, and a key may have several columns."""
_KEYS: Final = re.compile(r"(?<!\\):k\b")
_NAMES: Final = ("rowid", "_rowid_", "oid")
_LARGEST: Final = 2**63 - 1
"""After a row with this number, SQLite looks for any that is free."""


class SQLiteRecorder(Recorder):
    """The transaction that wrote a row stands in a table beside the live one."""

    sql: SqliteSessionSql

    def __init__(self, spec: TableSpec, dialect: Dialect) -> None:
        super().__init__(spec)
        self.sql = SqliteSessionSql(spec, Quoter(dialect))
        self._rowid: str | None = None
        self._rowid_known = False

    def prepared(self, sql: str) -> TextClause:
        """With keys as a list, or a list of lists, in place of ``:k``."""
        return listing_keys(sql) if _KEYS.search(sql) else text(sql)

    def take_id(self, connection: Connection) -> int:
        """The transaction is opened for it."""
        found = transaction_id(connection, self.spec.options.schema)
        if found is None:
            raise CaptureError(
                f"table {self.spec.qualified!r} is captured by the ORM, which takes a transaction: "
                "this connection is in autocommit"
            )
        return found

    def writer(self, table: FromClause) -> ColumnElement[Any]:
        """Looked up beside the live table."""
        live = self.sql.quote.name(self.spec.name)
        return literal_column(self.sql.writer(live), BigInteger)

    def locked(self, rows: Select[Any], table: FromClause, *, keys_stay: bool) -> Select[Any]:
        """There is one writer, and this is it."""
        return rows

    def shares(
        self, rows: Sequence[Key], names: Sequence[str], **more: Any
    ) -> Iterator[dict[str, Any]]:
        """Some hundreds at a time."""
        return ({"k": share, **more} for share in key_lists(rows, len(names)))

    def settle(self, connection: Connection, keys: Sequence[Key], *, stamped: bool) -> int:
        """First what was not changed, then stamp what is left."""
        gone = self.write(connection, self.sql.settle(), keys)
        self.write(connection, self.sql.stamp(), keys)
        return gone

    def move(self, connection: Connection, moves: Sequence[tuple[Key, Key]]) -> None:
        """All leave before any arrives: keys may be exchanged."""
        if not moves:
            return
        self.deleted(connection, [old for old, _ in moves])
        values = [
            {f"{side}{i}": value for side, key in zip("kn", move, strict=True)
             for i, value in enumerate(key)}
            for move in moves
        ]  # fmt: skip
        arriving = [{n: v for n, v in each.items() if n[0] == "n"} for each in values]
        self.run(connection, self.sql.arrive(), arriving)
        self.run(connection, self.sql.moved(), values)

    def note(
        self, connection: Connection, *, insert: int = 0, update: int = 0, delete: int = 0
    ) -> None:
        """One statement for all."""
        numbers = {"inserted": insert, "updated": update, "deleted": delete}
        self.run(connection, self.sql.note(), numbers)

    def deleted(self, connection: Connection, keys: Sequence[Key]) -> None:
        """They have no transaction that wrote them any more."""
        self.write(connection, self.sql.forget(), keys)

    # Rows that are new -------------------------------------------------------------

    def last_row(self, connection: Connection) -> int | None:
        """The number after which new rows are numbered; None where rows are not."""
        if not self._rowid_known:
            self._rowid, self._rowid_known = self._find_rowid(connection), True
        if self._rowid is None:
            return None
        last = self.run(connection, self.sql.last_row(self._rowid)).scalar()
        return -_LARGEST - 1 if last is None else None if last >= _LARGEST else int(last)

    def _find_rowid(self, connection: Connection) -> str | None:
        taken = {c.name.lower() for c in (*self.spec.columns, *self.spec.unrecorded)}
        for name in _NAMES:
            if name not in taken:
                try:
                    self.run(connection, self.sql.last_row(name))
                except OperationalError:  # WITHOUT ROWID
                    return None
                return name
        return None

    @property
    def numbers_itself(self) -> bool:
        """Whether the key is the number of the row."""
        columns = {column.name: column.type for column in self.spec.columns}
        return [columns[name].upper() for name in self.spec.key] == ["INTEGER"]

    def adopt(self, connection: Connection, last: int | None, given: Sequence[Key] | None) -> int:
        """Let inserted rows begin.

        Parameters:
            connection: where to do it.
            last: the last row of before, when what is new has larger numbers.
            given: the keys of what may be new, when they are known.

        Returns:
            How many rows began.
        """
        if given is not None:
            return self.write(connection, self.sql.adopt(self.sql.given()), given)
        if last is not None and self._rowid is not None:
            sql = self.sql.adopt(self.sql.later(self._rowid))
            return self.run(connection, sql, {"last": last}).rowcount
        return self.run(connection, self.sql.adopt("1")).rowcount


def listing_keys(sql: str) -> TextClause:
    """A statement with a list of keys in place of ``:k``."""
    return text(sql).bindparams(bindparam("k", expanding=True))


def key_lists(rows: Sequence[Key], width: int) -> Iterator[list[Any]]:
    """Keys of ``width`` columns as lists for ``:k``, some hundreds in each."""
    for start in range(0, len(rows), _SHARE):
        share = rows[start : start + _SHARE]
        yield [row[0] for row in share] if width == 1 else [*share]


__all__ = ["SQLiteRecorder", "key_lists", "listing_keys"]
