"""The rows that are to be written, staged in temporary tables.

What is shown in a preview, what is checked and what is executed is the same set of rows,
as it lies in these tables: one for each table that will change, with one row for each row
that will be inserted, updated or deleted.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    MetaData,
    Table,
    Text,
    and_,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
)

from sqlalchemy_temporal.repository.changes import ChangeQuery, only_own
from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.described import VersionedTable

INSERT: Final = "INSERT"
UPDATE: Final = "UPDATE"
DELETE: Final = "DELETE"


@dataclass(frozen=True, slots=True)
class Staged:
    """The planned rows of one table.

    Attributes:
        table: the table to be written.
        stage: the temporary table: ``op`` (INSERT, UPDATE or DELETE), ``origin``
            (``"plan"``, or the foreign key by which it follows from another row), ``mask``
            (a 1 for each recorded column that an update changes) and ``v0``, ``v1``, … the
            recorded columns as they shall be, for a DELETE as they are.
    """

    table: VersionedTable
    stage: Table

    def column(self, name: str, source: FromClause | None = None) -> ColumnElement[Any]:
        """The staged value of the recorded column ``name``."""
        found = self.stage if source is None else source
        return found.c[f"v{self.table.columns.index(name)}"]

    def values(
        self, names: Sequence[str], source: FromClause | None = None
    ) -> list[ColumnElement[Any]]:
        """The staged values of several columns."""
        return [self.column(name, source) for name in names]

    def same_key(self, other: FromClause, source: FromClause | None = None) -> ColumnElement[bool]:
        """Whether a row of the live table ``other`` has the key of the staged one."""
        return and_(*(other.c[name] == self.column(name, source) for name in self.table.key))


def live(table: VersionedTable, alias: str) -> FromClause:
    """The rows that ``table`` has now, of its own, under ``alias``."""
    stored = table.stored.alias(alias)
    if table.kind != "inherited":
        return stored
    inner = table.stored.alias(f"{alias}_all")
    return only_own(table, select(*inner.c), inner).subquery(alias)


def create_stage(connection: Connection, table: VersionedTable) -> Staged:
    """Make the empty temporary table for the planned rows of ``table``."""
    name = f"temporal_plan_{secrets.token_hex(6)}"
    columns = [Column(f"v{i}", table.live.c[column].type) for i, column in enumerate(table.columns)]
    stage = Table(
        name,
        MetaData(),
        Column("op", Text),
        Column("origin", Text),
        Column("mask", Text),
        *columns,
        schema="temp" if connection.dialect.name == "sqlite" else "pg_temp",
    )
    typed = [
        # No type in SQLite, which would convert; the stored value is to be kept as it is.
        f"v{i}" if connection.dialect.name == "sqlite" else f"v{i} {table.types[column]}"
        for i, column in enumerate(table.columns)
    ]
    drop = " ON COMMIT DROP" if connection.dialect.name == "postgresql" else ""
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE {name} (op text, origin text, mask text, {', '.join(typed)}){drop}"
    )
    return Staged(table, stage)


def drop_stage(connection: Connection, staged: Staged) -> None:
    """Drop the temporary table again."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {staged.stage.schema}.{staged.stage.name}")


def fill_stage(connection: Connection, staged: Staged, query: ChangeQuery) -> int:
    """Stage the changed rows of ``query``, from what is to what shall be.

    Rows of which only columns differ that the database computes are left out.

    Returns:
        The number of rows staged.
    """
    table = staged.table
    old, new = (dict(zip(table.columns, side, strict=True)) for side in (query.before, query.after))
    given = ([side[name] for name in table.values] for side in (old, new))
    differs = or_(~query.had, ~query.has, ~same(*given))
    shall_be = [case((query.has, new[name]), else_=old[name]) for name in table.columns]
    rows = query.narrowed(differs).select(
        query.operation, literal_column("'plan'"), query.mask, *shall_be
    )
    return _insert(connection, staged, rows)


def _insert(connection: Connection, staged: Staged, rows: Any) -> int:
    names = [column.name for column in staged.stage.columns]
    connection.execute(insert(staged.stage).from_select(names, rows))
    return count(connection, staged)


def add_rows(connection: Connection, staged: Staged, rows: Any) -> int:
    """Stage further rows, given in the order of the stage's columns.

    Returns:
        How many rows came to those that were there.
    """
    before = count(connection, staged)
    return _insert(connection, staged, rows) - before


def count(connection: Connection, staged: Staged) -> int:
    """How many rows are staged."""
    return connection.scalar(select(func.count()).select_from(staged.stage)) or 0


def counts(connection: Connection, staged: Staged) -> dict[str, int]:
    """How many rows are staged, by operation."""
    stage = staged.stage
    found = connection.execute(select(stage.c.op, func.count().label("n")).group_by(stage.c.op))
    return {row.op: row.n for row in found}


def analyze(connection: Connection, staged: Staged, rows: int) -> None:
    """Let the planner know how large the stage is, when that matters."""
    if rows > _LARGE:
        connection.exec_driver_sql(f"ANALYZE {staged.stage.schema}.{staged.stage.name}")


_LARGE: Final = 500


__all__ = [
    "DELETE",
    "INSERT",
    "UPDATE",
    "Staged",
    "add_rows",
    "analyze",
    "count",
    "counts",
    "create_stage",
    "drop_stage",
    "fill_stage",
    "live",
]
