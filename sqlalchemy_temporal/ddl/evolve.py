"""DDL elements that take history through changes of the live table.

What history needs depends on the change:

==============================  ==================================================
a column without values added   history gets the column, NULL in earlier versions
a column with a value added     the same, and all current versions end: rows had no
                                value before
a column dropped                all current versions end, so that history has what
                                is lost; the column stays in history
a column of another type        all current versions end; history is converted, and
                                keeps the old values in a column of their own
a column or the table renamed   history is renamed, too
==============================  ==================================================

Versions that end so are one commit of the operation ``SCHEMA``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy_temporal.ddl.elements import (
    CatchTruncate,
    CreateCapture,
    CreateView,
    DropCapture,
    DropCatchTruncate,
    DropView,
    Register,
    SchemaElement,
    TableElement,
    TemporalDDL,
)
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.postgresql.table import TableSql
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.ddl.sqlite import evolution as sqlite
from sqlalchemy_temporal.ddl.sqlite.system import SystemSql
from sqlalchemy_temporal.ddl.sqlite.table import SqliteTableSql

_SPELLINGS = {
    "varchar": "character varying",
    "char": "character",
    "decimal": "numeric",
    "int": "integer",
}


@dataclass(frozen=True, slots=True)
class Retype:
    """The new type of a column.

    Attributes:
        column: its name.
        type: the new type as SQL.
        using: how old values are converted, as SQL; None for a cast.
        same: whether stored values stay as they are, byte by byte.
        archive: on SQLite, the column of history that keeps the old values.
    """

    column: str
    type: str
    using: str | None = None
    same: bool = False
    archive: str | None = None


class BeginCommit(SchemaElement):
    """On SQLite: make what follows one commit, called ``SCHEMA``."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Nothing: a transaction is one commit."""
        return ()

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Otherwise each statement would be one."""
        begin = SystemSql(self.schema, quote).name("begin")
        return (f"INSERT INTO {begin} (operation) VALUES ('SCHEMA')",)


class EndCommit(SchemaElement):
    """On SQLite: the end of :class:`BeginCommit`."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """The transaction itself may go on."""
        return (f"INSERT INTO {SystemSql(self.schema, quote).name('end')} VALUES (NULL)",)


class CloseVersions(TableElement):
    """End the current version of every row with this transaction."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """One set-based INSERT into history, during which others may read the table."""
        spec = self.spec
        columns = ", ".join(quote.literal(name) for name in spec.column_names)
        alone = "true" if spec.kind == "inherited" else "false"
        return (
            (
                f"SELECT {quote.name(spec.options.schema)}.close_versions("
                f"{_live(spec, quote)}, {_history(spec, quote)}, ARRAY[{columns}]::text[], "
                f"{quote.literal(spec.qualified)}, {alone})"
            ),
            "SELECT set_config('temporal.operation', 'SCHEMA', true)",
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """History and the table of current versions, which is not the live table."""
        return sqlite.close_statements(SqliteTableSql(self.spec, quote))


class BeginVersions(TableElement):
    """Begin a new version of every row, after :class:`CloseVersions`."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """The system column is made anew, last in the table; no row is rewritten."""
        function = f"{quote.name(self.spec.options.schema)}.begin_versions"
        return (f"SELECT {function}({_live(self.spec, quote)})",)

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Nothing: closing noted it beside the live table."""
        return ()


class FollowColumns(TableElement):
    """Give history the columns the live table has now.

    Parameters:
        spec: the table as it is now.
        kept: on SQLite, the columns history has; where that is not known, those it needs.
        freed: on SQLite, columns of history that make room, and their new names.
    """

    def __init__(
        self,
        spec: TableSpec,
        kept: tuple[str, ...] | None = None,
        freed: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(spec)
        self.kept = kept
        self.freed = freed

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """SQLite cannot add a column only if it is missing, so this has to be told."""
        kept = self.spec.column_names if self.kept is None else self.kept
        return sqlite.follow_statements(SqliteTableSql(self.spec, quote), kept, self.freed)

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Compared by the server, so that it can be repeated."""
        spec = self.spec
        columns = ", ".join(quote.literal(name) for name in spec.column_names)
        return (
            (
                f"SELECT {quote.name(spec.options.schema)}.follow_columns("
                f"{quote.literal(spec.live_schema)}, {quote.literal(spec.name)}, "
                f"{_live(spec, quote)}, {_history(spec, quote)}, ARRAY[{columns}]::text[])"
            ),
            *TableSql(spec, quote).index_statements(),
        )


class ConvertHistory(TableElement):
    """Convert a column of history to its new type; rows that cannot be are named."""

    def __init__(self, spec: TableSpec, change: Retype) -> None:
        super().__init__(spec)
        self.change = change

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Rewrites the history table once."""
        spec, change = self.spec, self.change
        using = "NULL" if change.using is None else quote.literal(change.using)
        return (
            (
                f"SELECT {quote.name(spec.options.schema)}.convert_column("
                f"{quote.literal(spec.live_schema)}, {quote.literal(spec.name)}, "
                f"{_history(spec, quote)}, {quote.literal(change.column)}, "
                f"{quote.literal(change.type)}, {using}, {str(change.same).lower()})"
            ),
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """History keeps the old values in a column of their own."""
        change = self.change
        if change.same or change.archive is None:
            return ()
        return sqlite.convert_statements(
            SqliteTableSql(self.spec, quote), change.column, change.type, change.archive
        )


class RenameHistoryColumn(TableElement):
    """Rename a column of history; its identity stays."""

    def __init__(self, spec: TableSpec, old: str, new: str) -> None:
        super().__init__(spec)
        self.old = old
        self.new = new

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """A column of the past that has the new name makes room."""
        spec = self.spec
        return (
            (
                f"SELECT {quote.name(spec.options.schema)}.rename_identity("
                f"{quote.literal(spec.live_schema)}, {quote.literal(spec.name)}, "
                f"{_history(spec, quote)}, {quote.literal(self.old)}, "
                f"{quote.literal(self.new)})"
            ),
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Also beside the live table, when it is part of the key."""
        return sqlite.rename_statements(SqliteTableSql(self.spec, quote), self.old, self.new)


class MoveHistory(TableElement):
    """Give the history table the names that follow from the live table's new name."""

    def __init__(self, spec: TableSpec, moved: TableSpec) -> None:
        super().__init__(spec)
        self.moved = moved

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """The table, its indexes and what is registered under the old name."""
        old, new = TableSql(self.spec, quote), TableSql(self.moved, quote)
        made = []
        if self.spec.history_schema != self.moved.history_schema:
            target = quote.name(self.moved.history_schema)
            made.append(f"CREATE SCHEMA IF NOT EXISTS {target}")
            made.append(f"ALTER TABLE {old.history} SET SCHEMA {target}")
        here = quote.qualified(self.moved.history_schema, self.spec.history_table)
        if self.spec.history_table != self.moved.history_table:
            made.append(f"ALTER TABLE {here} RENAME TO {quote.name(self.moved.history_table)}")
            columns = {value: name for name, value in new.indexes().items()}
            for name, value in old.indexes().items():
                index = quote.qualified(self.moved.history_schema, name)
                if value in columns:
                    made.append(
                        f"ALTER INDEX IF EXISTS {index} RENAME TO {quote.name(columns[value])}"
                    )
        made.extend(
            f"UPDATE {new.schema}.{table} SET {self._names(table, quote)}"
            for table in ("versioned_tables", "pk_change")
        )
        return tuple(made)

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Indexes are made anew, since SQLite cannot rename them."""
        return sqlite.move_statements(
            SqliteTableSql(self.spec, quote), SqliteTableSql(self.moved, quote)
        )

    def _names(self, table: str, quote: Quoter) -> str:
        old, new = self.spec, self.moved
        values = {"table_schema": new.live_schema, "table_name": new.name}
        if table == "versioned_tables":
            values |= {"history_schema": new.history_schema, "history_table": new.history_table}
        assigned = ", ".join(f"{name} = {quote.literal(value)}" for name, value in values.items())
        return (
            f"{assigned} WHERE table_schema = {quote.literal(old.live_schema)} "
            f"AND table_name = {quote.literal(old.name)}"
        )


class RenameTable(TableElement):
    """Rename the live table."""

    def __init__(self, spec: TableSpec, name: str) -> None:
        super().__init__(spec)
        self.name = name

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Its history is renamed by :class:`MoveHistory`."""
        live = TableSql(self.spec, quote).live
        return (f"ALTER TABLE {live} RENAME TO {quote.name(self.name)}",)

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """The same, without a schema."""
        return (f"ALTER TABLE {quote.name(self.spec.name)} RENAME TO {quote.name(self.name)}",)


class MoveTable(TableElement):
    """Move the live table to another schema, which is made when it is missing."""

    def __init__(self, spec: TableSpec, schema: str) -> None:
        super().__init__(spec)
        self.schema = schema

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Its history is moved by :class:`MoveHistory`."""
        schema = quote.name(self.schema)
        return (
            f"CREATE SCHEMA IF NOT EXISTS {schema}",
            f"ALTER TABLE {TableSql(self.spec, quote).live} SET SCHEMA {schema}",
        )


class BackfillColumn(TableElement):
    """Give a column a value in the versions from before it existed."""

    def __init__(self, spec: TableSpec, column: str, expression: str) -> None:
        super().__init__(spec)
        self.column = column
        self.expression = expression

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """In history alone: all current versions have been closed."""
        spec = self.spec
        return (
            (
                f"SELECT {quote.name(spec.options.schema)}.backfill_column("
                f"{quote.literal(spec.live_schema)}, {quote.literal(spec.name)}, "
                f"{_history(spec, quote)}, {quote.literal(self.column)}, "
                f"{quote.literal(self.expression)})"
            ),
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """The same; with one writer, ids are in the order of commits."""
        return sqlite.backfill_statements(
            SqliteTableSql(self.spec, quote), self.column, self.expression
        )


class DropHistoryIndexes(TableElement):
    """Drop the indexes of history that the table had and shall not have any longer."""

    def __init__(self, spec: TableSpec, wanted: TableSpec) -> None:
        super().__init__(spec)
        self.wanted = wanted

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """By their columns; the names follow from them."""
        had, wanted = TableSql(self.spec, quote), TableSql(self.wanted, quote)
        kept = wanted.indexes()
        return tuple(
            f"DROP INDEX IF EXISTS {quote.qualified(self.wanted.history_schema, name)}"
            for name, columns in had.indexes().items()
            if name not in kept and columns not in kept.values()
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """The same, without a schema."""
        had, kept = SqliteTableSql(self.spec, quote), SqliteTableSql(self.wanted, quote).indexes()
        return tuple(
            f"DROP INDEX IF EXISTS {quote.name(name)}"
            for name, columns in had.indexes().items()
            if name not in kept and columns not in kept.values()
        )


def before_change(spec: TableSpec, *, values: bool, begin: bool = True) -> tuple[TemporalDDL, ...]:
    """What comes before the live table is altered.

    Parameters:
        spec: the table as it is recorded now.
        values: whether the change alters or loses values of existing rows.
        begin: whether new versions of them begin before the change; if not, it is to be
            followed by :class:`BeginVersions`.
    """
    closing = (CloseVersions(spec),) if values else ()
    beginning = (BeginVersions(spec),) if values and begin else ()
    apart = (DropCatchTruncate(spec, schema, name) for schema, name in spec.partitions)
    return (*closing, DropView(spec), *apart, DropCapture(spec), *beginning)


def after_change(spec: TableSpec) -> tuple[TemporalDDL, ...]:
    """What comes after it: history and triggers for the table as it is then."""
    return (
        FollowColumns(spec),
        CreateCapture(spec),
        *(CatchTruncate(spec, schema, name) for schema, name in spec.partitions),
        CreateView(spec),
        Register(spec, operation="SCHEMA"),
    )


def drop_indexes(before: TableSpec, after: TableSpec) -> tuple[TemporalDDL, ...]:
    """Drop the indexes of history that are no longer asked for."""
    return (DropHistoryIndexes(before, after),)


def stored_alike(old: str, new: str) -> bool:
    """Whether values of type ``old`` are the same bytes as values of type ``new``.

    The same rule as the identities of columns follow in the database (``stored_as``).
    """
    return _stored_as(old) == _stored_as(new)


def _stored_as(sql_type: str) -> str:
    name = re.sub(r"\s*,\s*", ",", sql_type.strip().lower())
    found = re.fullmatch(r"([a-z ]+?)\s*(\(.*\))?", name)
    if found is None:
        return name
    base = _SPELLINGS.get(found[1], found[1])
    arguments = found[2] or ""
    if base in ("text", "character varying"):
        return "text"
    if base == "numeric" and "," in arguments:
        return f"numeric(,{arguments.split(',')[1]}"
    if base == "numeric" and arguments:
        return "numeric(,0)"
    if base in ("character", "bit varying"):
        return base
    return base + arguments


def _live(spec: TableSpec, quote: Quoter) -> str:
    return quote.regclass(spec.live_schema, spec.name)


def _history(spec: TableSpec, quote: Quoter) -> str:
    return quote.regclass(spec.history_schema, spec.history_table)


__all__ = [
    "BackfillColumn",
    "BeginCommit",
    "BeginVersions",
    "CloseVersions",
    "ConvertHistory",
    "DropHistoryIndexes",
    "EndCommit",
    "FollowColumns",
    "MoveHistory",
    "MoveTable",
    "RenameHistoryColumn",
    "RenameTable",
    "Retype",
    "after_change",
    "before_change",
    "drop_indexes",
    "stored_alike",
]
