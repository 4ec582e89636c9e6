"""What records the changes of one table: the same steps on each database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Delete,
    FromClause,
    Insert,
    Select,
    Update,
    text,
)
from sqlalchemy.sql.elements import TextClause

from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import UnrecordedWriteError

OURS: Final = "sqlalchemy_temporal_records"
"""The execution option of the statements that record, which are not themselves recorded."""

Key = tuple[Any, ...]
Dml = TypeVar("Dml", Update, Delete)


class Found(NamedTuple):
    """A row that is about to be changed.

    Attributes:
        key: its key.
        tx: the transaction that wrote it.
        new_key: the key it will have.
    """

    key: Key
    tx: int
    new_key: Key

    @property
    def moves(self) -> bool:
        """Whether its key is about to change."""
        return self.key != self.new_key


class Sql(Protocol):
    """The SQL that both databases have in common."""

    def find(self, names: Sequence[str], *, keys_stay: bool) -> str:
        """Rows by the values of columns."""

    def close(self) -> str:
        """Record versions."""

    def remaining(self) -> str:
        """Keys that are there still."""

    def take_back(self) -> str:
        """Take back versions of rows that were not deleted after all."""

    def relabel(self) -> str:
        """Say of own rows that they were deleted."""


class Recorder(ABC):
    """Records the changes of one table on one database.

    Parameters:
        spec: the live table as the database has it.
    """

    sql: Sql

    def __init__(self, spec: TableSpec) -> None:
        self.spec = spec
        self._texts: dict[str, TextClause] = {}

    # Per database ------------------------------------------------------------------

    @abstractmethod
    def take_id(self, connection: Connection) -> int:
        """The id of this transaction, taken now unless it was before."""

    def prepare(self, connection: Connection) -> None:  # noqa: B027 - nothing, where not needed
        """What comes before rows are looked for."""

    @abstractmethod
    def writer(self, table: FromClause) -> ColumnElement[Any]:
        """Which transaction wrote a row of ``table``, which stands for the live table."""

    @abstractmethod
    def locked(self, rows: Select[Any], table: FromClause, *, keys_stay: bool) -> Select[Any]:
        """Lock the rows of ``table`` that are selected."""

    @abstractmethod
    def shares(
        self, rows: Sequence[Key], names: Sequence[str], **more: Any
    ) -> Iterator[dict[str, Any]]:
        """Parameters for statements about all of ``rows``, which may need several."""

    @abstractmethod
    def settle(self, connection: Connection, keys: Sequence[Key], *, stamped: bool) -> int:
        """Stamp the rows that were changed, take back the versions of those that were not.

        Parameters:
            connection: where to do it.
            keys: rows whose versions were closed as updated.
            stamped: whether the statement stamped the rows it changed.

        Returns:
            How many versions were taken back.
        """

    @abstractmethod
    def move(self, connection: Connection, moves: Sequence[tuple[Key, Key]]) -> None:
        """Record the keys that rows had, and stamp the rows by those that they have."""

    @abstractmethod
    def note(
        self, connection: Connection, *, insert: int = 0, update: int = 0, delete: int = 0
    ) -> None:
        """Count rows, and make this transaction a commit."""

    def stamped(self, element: Update) -> Update:
        """An UPDATE that stamps the rows it changes."""
        return element

    def guarded(self, element: Insert) -> Insert:
        """An INSERT whose ON CONFLICT DO UPDATE stamps rows, and only such as are recorded."""
        return element

    def restricted(self, element: Dml, table: FromClause, seen: Collection[int]) -> Dml:
        """A statement that changes rows which the transactions ``seen`` wrote, and no others.

        Others came after the rows were looked for, and are not recorded.
        """
        return element

    @abstractmethod
    def deleted(self, connection: Connection, keys: Sequence[Key]) -> None:
        """Clear up after rows that are gone."""

    # Common ------------------------------------------------------------------------

    def run(self, connection: Connection, sql: str, values: Any = None) -> CursorResult[Any]:
        """Execute a statement of ours."""
        statement = self._texts.get(sql)
        if statement is None:
            statement = self._texts[sql] = self.prepared(sql)
        return connection.execute(statement, values or {}, execution_options={OURS: True})

    def prepared(self, sql: str) -> TextClause:
        """``sql`` as a statement."""
        return text(sql)

    def each_share(
        self, connection: Connection, sql: str, keys: Sequence[Key], **more: Any
    ) -> Iterator[CursorResult[Any]]:
        """Execute a statement about all of ``keys``."""
        for values in self.shares(keys, self.spec.key, **more) if keys else ():
            yield self.run(connection, sql, values)

    def write(self, connection: Connection, sql: str, keys: Sequence[Key], **more: Any) -> int:
        """Execute a statement that writes because of all of ``keys``; how many rows it wrote."""
        return sum(result.rowcount for result in self.each_share(connection, sql, keys, **more))

    def find(
        self,
        connection: Connection,
        names: Sequence[str],
        rows: Sequence[Key],
        *,
        keys_stay: bool = True,
    ) -> list[Found]:
        """The rows whose columns ``names`` have one of the values given, locked."""
        if not rows:
            return []
        self.prepare(connection)
        sql = self.sql.find(names, keys_stay=keys_stay)
        found: list[Found] = []
        for values in self.shares(rows, names):
            found += self.distinct(self.run(connection, sql, values).all())
        return found

    def distinct(self, rows: Iterable[Sequence[Any]]) -> list[Found]:
        """Rows of a key, the transaction that wrote it and, if it is set, the new key."""
        width = len(self.spec.key)
        seen: dict[Key, Found] = {}
        for row in map(tuple, rows):
            key, tx, new = row[:width], row[width], row[width + 1 :]
            if tx is None:
                raise UnrecordedWriteError(
                    f"a row of table {self.spec.qualified!r} with the key {key} was inserted by "
                    "something that does not record it. Let it begin now with "
                    "sync_versioning(connection, table)"
                )
            seen[key] = Found(key, tx, new or key)
        return list(seen.values())

    def close(self, connection: Connection, keys: Sequence[Key], operation: str) -> None:
        """Record the versions of rows that other transactions wrote.

        Raises:
            UnrecordedWriteError: not all could be recorded.
        """
        recorded = self.write(connection, self.sql.close(), keys, operation=operation)
        if recorded != len(keys):
            raise UnrecordedWriteError(
                f"of {len(keys)} row(s) of table {self.spec.qualified!r} that are about to be "
                f"changed, {recorded} could be recorded, so the change was refused"
            )

    def remaining(self, connection: Connection, keys: Sequence[Key]) -> set[Key]:
        """Those of ``keys`` that rows have still."""
        return {
            tuple(row)
            for result in self.each_share(connection, self.sql.remaining(), keys)
            for row in result.all()
        }

    def take_back(self, connection: Connection, keys: Sequence[Key]) -> None:
        """Take back the versions of rows that were to be deleted and are there still."""
        self.write(connection, self.sql.take_back(), keys)

    def relabel(self, connection: Connection, keys: Sequence[Key]) -> int:
        """Say of rows that this transaction changed before that they were deleted."""
        return self.write(connection, self.sql.relabel(), keys)


__all__ = ["OURS", "Dml", "Found", "Key", "Recorder"]
