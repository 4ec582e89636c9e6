r"""``diff``: which rows differ between two points in time, and how.

::

    diff = repo.diff("v1", "v2")                    # or "v1..v2", times, commits, HEAD~3
    print(diff.summary())
    for change in diff:                             # streamed
        print(change.table, change.key, change.operation, change.cells)
    "\n".join(diff.to_sql())                       # turns v1 into v2

What changed is found from the boundaries of change, see
:mod:`sqlalchemy_temporal.repository.changes`: the cost follows the changed rows, not the
size of the tables. Values are compared as they are stored: a number that changed from 1.0
to 1.00 did change; NULL and NaN equal themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, case, func, literal_column
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import BigInteger

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.repository import diff_sql
from sqlalchemy_temporal.repository.changes import ChangeQuery, KeyFilter, changes
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.sides import side_of
from sqlalchemy_temporal.repository.spans import Span

Operation = Literal["INSERT", "UPDATE", "DELETE"]

BATCH = 500
"""Rows fetched at a time."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that differs.

    Attributes:
        table: ``schema.name``.
        operation: what turns the one side into the other.
        key: the row's key, by column.
        before: its recorded columns on the first side; None for an INSERT.
        after: the same on the second side; None for a DELETE.
        changed: the columns that differ, for an UPDATE; for others all of them.
    """

    table: str
    operation: Operation
    key: Mapping[str, Any]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    changed: tuple[str, ...]

    @property
    def cells(self) -> dict[str, tuple[Any, Any]]:
        """The cells that differ: before and after, by column."""
        before, after = self.before or {}, self.after or {}
        return {name: (before.get(name), after.get(name)) for name in self.changed}

    def to_dict(self) -> dict[str, Any]:
        """The change as plain dictionaries and lists."""
        return {
            "table": self.table,
            "operation": self.operation,
            "key": dict(self.key),
            "before": None if self.before is None else dict(self.before),
            "after": None if self.after is None else dict(self.after),
            "changed": list(self.changed),
        }


@dataclass(frozen=True, slots=True)
class TableStats:
    """How much of one table, or of all, differs.

    Attributes:
        rows_added: rows that only the second side has.
        rows_removed: rows that only the first side has.
        rows_changed: rows of both sides with other values.
        cells_added: columns of the added rows that are not NULL.
        cells_removed: the same of the removed rows.
        cells_changed: columns with other values, in the changed rows.
    """

    rows_added: int = 0
    rows_removed: int = 0
    rows_changed: int = 0
    cells_added: int = 0
    cells_removed: int = 0
    cells_changed: int = 0

    @property
    def rows(self) -> int:
        """All rows that differ."""
        return self.rows_added + self.rows_removed + self.rows_changed

    def __add__(self, other: TableStats) -> TableStats:
        """The numbers of both together."""
        return TableStats(
            *(getattr(self, name) + getattr(other, name) for name in TableStats.__slots__)
        )


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs between two points in time; nothing is read before it is asked for.

    Iterating streams the changed rows: tables in the order of their dependencies, rows in
    the order of their keys. It can be iterated again, and gives the same again.

    Attributes:
        start: the first side.
        end: the second side, earlier or later than the first; None for the live tables as
            the transaction sees them.
        unknown: tables that are left out because one of the sides knows nothing of them,
            and why.
    """

    connection: Connection = field(repr=False)
    start: Moment
    end: Moment | None
    tables: tuple[VersionedTable, ...] = field(repr=False)
    span: Span = field(repr=False)
    unknown: Mapping[str, str]
    filters: tuple[KeyFilter, ...] = field(repr=False)
    where: Callable[[ChangeQuery], ChangeQuery] = field(repr=False)

    def __iter__(self) -> Iterator[RowChange]:
        """The changed rows."""
        for table in self.tables:
            for query in self._queries(table):
                yield from self._rows(query)

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any(
            self.connection.execute(query.select(literal_column("1")).limit(1)).first()
            for table in self.tables
            for query in self._queries(table)
        )

    def rows(self, table: str) -> Iterator[RowChange]:
        """The changed rows of one table, named as in :attr:`RowChange.table`."""
        for each in self.tables:
            if each.name == table:
                for query in self._queries(each):
                    yield from self._rows(query)

    def inverse(self) -> Diff:
        """The way back: what turns the second side into the first.

        Raises:
            ValueError: the second side is not a moment of the past.
        """
        if self.end is None:
            raise ValueError("the live tables are no moment; commit first")
        return Diff(
            self.connection,
            self.end,
            self.start,
            self.tables,
            self.span,
            self.unknown,
            self.filters,
            self.where,
        )

    def summary(self) -> dict[str, dict[str, int]]:
        """The number of rows by table and operation; only tables that differ."""
        return {
            name: {
                "INSERT": stats.rows_added,
                "UPDATE": stats.rows_changed,
                "DELETE": stats.rows_removed,
            }
            for name, stats in self.stats_by_table().items()
        }

    def stats(self) -> TableStats:
        """How many rows and cells differ, in all tables together."""
        return sum(self.stats_by_table().values(), TableStats())

    def stats_by_table(self) -> dict[str, TableStats]:
        """How many rows and cells differ, by table; only tables that differ."""
        found = {}
        for table in self.tables:
            stats = sum((self._stats(query) for query in self._queries(table)), TableStats())
            if stats.rows:
                found[table.name] = stats
        return found

    def to_sql(self) -> Iterator[str]:
        """Statements that turn the first side into the second, one by one.

        Rows are inserted and updated with parents first, and deleted with children first;
        constraints that can be deferred are. Literals are written by the database itself.
        Two rows that exchange a unique value cannot be written as plain statements, unless
        the constraint is deferrable; ``restore`` can do it.
        """
        queries = [query for table in self.tables for query in self._queries(table)]
        return diff_sql.statements(self.connection, queries)

    def to_dict(self) -> dict[str, Any]:
        """The whole difference as plain dictionaries and lists; values stay as they are."""
        return {
            "from": str(self.start.uuid),
            "to": None if self.end is None else str(self.end.uuid),
            "summary": self.summary(),
            "unknown": dict(self.unknown),
            "changes": [change.to_dict() for change in self],
        }

    def queries(self) -> list[ChangeQuery]:
        """The queries behind the difference, for set-based work on it."""
        return [query for table in self.tables for query in self._queries(table)]

    # ------------------------------------------------------------------------------ inside

    def _queries(self, table: VersionedTable) -> Iterator[ChangeQuery]:
        if not self.span.touches(table):
            return
        way, since = self.span.way(self.connection, table)
        dialect = self.connection.dialect
        backwards = self.end is not None and self.end.seq < self.start.seq
        earlier, later = (self.end, self.start) if backwards else (self.start, self.end)
        for keys in self.filters:
            sides = side_of(earlier, dialect), side_of(later, dialect)
            found = changes(table, *sides, way, keys, since=since)
            yield self.where(found.inverse() if backwards else found)

    def _rows(self, query: ChangeQuery) -> Iterator[RowChange]:
        statement = query.ordered(
            query.operation,
            query.mask,
            *(column.label(f"k{i}") for i, column in enumerate(query.key)),
            *(column.label(f"b{i}") for i, column in enumerate(query.before)),
            *(column.label(f"a{i}") for i, column in enumerate(query.after)),
        )
        result = self.connection.execute(statement.execution_options(yield_per=BATCH))
        with result:
            for row in result:
                yield _change(query.table, tuple(row))

    def _stats(self, query: ChangeQuery) -> TableStats:
        added, removed, both = ~query.had, ~query.has, query.had & query.has
        row = self.connection.execute(
            query.select(
                _count(added),
                _count(removed),
                _count(both),
                _cells(added, [_given(column) for column in query.after]),
                _cells(removed, [_given(column) for column in query.before]),
                _cells(both, query.differing()),
            )
        ).one()
        return TableStats(*(int(number or 0) for number in row))


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.sum(case((condition, literal_column("1")), else_=literal_column("0")))


def _cells(
    condition: ColumnElement[bool], flags: Sequence[ColumnElement[int]]
) -> ColumnElement[Any]:
    total: ColumnElement[Any] = literal_column("0")
    for flag in flags:
        total = total + flag
    return func.sum(sql_cast(case((condition, total), else_=literal_column("0")), BigInteger))


def _given(column: ColumnElement[Any]) -> ColumnElement[int]:
    return case((column.is_(None), literal_column("0")), else_=literal_column("1"))


def _change(table: VersionedTable, row: Sequence[Any]) -> RowChange:
    width, keys = len(table.columns), len(table.key)
    operation, mask = row[0], row[1]
    key = dict(zip(table.key, row[2 : 2 + keys], strict=True))
    before = dict(zip(table.columns, row[2 + keys : 2 + keys + width], strict=True))
    after = dict(zip(table.columns, row[2 + keys + width :], strict=True))
    changed = table.columns
    if operation == "UPDATE":
        changed = tuple(n for n, flag in zip(table.columns, mask, strict=True) if flag == "1")
    return RowChange(
        table=table.name,
        operation=operation,
        key=key,
        before=None if operation == "INSERT" else before,
        after=None if operation == "DELETE" else after,
        changed=changed,
    )


__all__ = ["Diff", "Operation", "RowChange", "TableStats"]
