"""A difference as SQL text: statements that turn one side into the other.

The database writes the literals: it alone knows how every value of every type is written
so that it reads it as the same value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Text, cast, func

from sqlalchemy_temporal.repository.changes import ChangeQuery
from sqlalchemy_temporal.repository.described import VersionedTable

_NUMBER: Final = re.compile(r"'(-?\d+(?:\.\d+)?)'")
_NUMERIC: Final = re.compile(r"(smallint|integer|bigint|numeric)\b")
_DEFER: Final = {
    "postgresql": "SET CONSTRAINTS ALL DEFERRED;",
    "sqlite": "PRAGMA defer_foreign_keys = ON;",
}


def statements(connection: Connection, queries: Sequence[ChangeQuery]) -> Iterator[str]:
    """The statements: rows written with parents first, then deleted with children first."""
    found = _changed(connection, queries)
    first = next(found, None)
    if first is None:
        return
    yield _DEFER[connection.dialect.name]
    yield first
    yield from found


def _changed(connection: Connection, queries: Sequence[ChangeQuery]) -> Iterator[str]:
    for query in queries:
        yield from _written(connection, query.narrowed(query.has))
    for query in reversed(queries):
        yield from _written(connection, query.narrowed(~query.has))


def _written(connection: Connection, query: ChangeQuery) -> Iterator[str]:
    literal = _literal_of(connection.dialect.name)
    statement = query.ordered(
        query.operation,
        query.mask,
        *(literal(column).label(f"k{i}") for i, column in enumerate(query.key)),
        *(literal(column).label(f"a{i}") for i, column in enumerate(query.after)),
    )
    writer = _Writer(query.table, connection)
    with connection.execute(statement.execution_options(yield_per=500)) as result:
        for row in result:
            yield writer.statement(tuple(row))


def _literal_of(dialect: str) -> Callable[[ColumnElement[Any]], ColumnElement[Any]]:
    if dialect == "postgresql":
        return lambda column: func.quote_nullable(cast(column, Text), type_=Text)
    return lambda column: func.quote(column, type_=Text)


class _Writer:
    """Writes the statement of a changed row of one table."""

    def __init__(self, table: VersionedTable, connection: Connection) -> None:
        self.preparer = connection.dialect.identifier_preparer
        self.table = table
        self.name = self.quote(table.table_name)
        if table.live.schema is not None:
            self.name = f"{self.quote(table.live.schema)}.{self.name}"
        self.numeric = {n for n, type_ in table.types.items() if _NUMERIC.match(type_)}

    def quote(self, name: str) -> str:
        """Quote a name; the preparer doubles percent signs for drivers, this is for people."""
        return self.preparer.quote(name).replace("%%", "%")

    def statement(self, row: Sequence[Any]) -> str:
        """The statement that makes the row what it is on the second side."""
        table, keys = self.table, len(self.table.key)
        operation, mask = row[0], row[1]
        key = [self._value(n, v) for n, v in zip(table.key, row[2 : 2 + keys], strict=True)]
        where = " AND ".join(f"{self.quote(n)} = {v}" for n, v in zip(table.key, key, strict=True))
        if operation == "DELETE":
            return f"DELETE FROM {self.name} WHERE {where};"  # noqa: S608 - quoted
        values = {
            name: self._value(name, value)
            for name, value in zip(table.columns, row[2 + keys :], strict=True)
        }
        if operation == "INSERT":
            return self._insert({name: values[name] for name in table.writable})
        changed = [
            f"{self.quote(name)} = {values[name]}"
            for name, flag in zip(table.columns, mask, strict=True)
            if flag == "1" and name in table.writable
        ]
        if not changed:  # only what the database computes differs
            return f"-- {self.name}: computed columns differ WHERE {where}"
        return f"UPDATE {self.name} SET {', '.join(changed)} WHERE {where};"  # noqa: S608

    def _insert(self, values: dict[str, str]) -> str:
        always = self.table.always_identity & values.keys()
        overriding = " OVERRIDING SYSTEM VALUE" if always else ""
        columns = ", ".join(self.quote(name) for name in values)
        written = ", ".join(values.values())
        return f"INSERT INTO {self.name} ({columns}){overriding} VALUES ({written});"  # noqa: S608

    def _value(self, name: str, literal: str) -> str:
        match = _NUMBER.fullmatch(literal) if name in self.numeric else None
        return match[1] if match else literal


__all__ = ["statements"]
