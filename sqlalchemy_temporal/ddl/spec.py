"""What the DDL of one versioned table is generated from.

A :class:`TableSpec` is a plain value. It is made from the catalog of a database by
:mod:`sqlalchemy_temporal.ddl.reflect`, or from a ``Table`` where there is no database to
ask (:func:`spec_from_table`); the rendered DDL depends on nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, Table
from sqlalchemy.engine import Dialect

from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.naming import (
    SYSTEM_COLUMNS,
    TX_COLUMN,
    VersioningOptions,
    base_name,
    function_name,
    history_name,
    qualified_name,
    shorten,
    view_schema,
)
from sqlalchemy_temporal.schema import (
    foreign_key_columns,
    key_columns,
    options_of,
    recorded_columns,
)

TableKind = Literal["ordinary", "partitioned", "inherited"]
"""An ordinary table has statement triggers with transition tables. A partitioned table or
a member of an inheritance tree has row triggers; statement triggers would miss what is
written to one of its members directly."""


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One recorded column.

    Attributes:
        name: its name in the database.
        generated: whether the database computes it.
        expression: for a virtual generated column, the expression that computes it;
            such a column is NULL in what triggers see.
        type: its type as SQL.
        collation: how the primary key compares it, where that is not the database's
            ordinary way (SQLite).
    """

    name: str
    generated: bool = False
    expression: str | None = None
    type: str = ""
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One versioned table, as the DDL needs to know it.

    Attributes:
        schema: the schema as declared; None for the connection's default.
        name: the live table's name.
        columns: the recorded columns.
        key: the primary key columns.
        foreign_keys: column lists of foreign keys, whose indexes history copies.
        options: how the table is versioned.
        kind: which sort of triggers it needs.
        unrecorded: the columns that are not recorded.
        found_in: the schema the catalog has it in, when that was asked.
        uniques: for SQLite, the columns of unique indexes and how they compare: rows that
            equal a new one in them are what REPLACE deletes.
        partitions: schema and name of each partition, when it is partitioned.
    """

    schema: str | None
    name: str
    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...]
    foreign_keys: tuple[tuple[str, ...], ...]
    options: VersioningOptions
    kind: TableKind = "ordinary"
    unrecorded: tuple[ColumnSpec, ...] = ()
    found_in: str | None = None
    uniques: tuple[tuple[tuple[str, str | None], ...], ...] = ()
    partitions: tuple[tuple[str, str], ...] = ()

    @property
    def live_schema(self) -> str:
        """The schema in which the live table was found; ``public`` when nothing is known."""
        return self.found_in or self.schema or "public"

    @property
    def history_schema(self) -> str:
        """The schema of the history table."""
        return self.options.effective_history_schema

    @property
    def history_table(self) -> str:
        """The name of the history table."""
        return history_name(self.schema, self.name, self.options)

    @property
    def view_schema(self) -> str:
        """The schema of the views that travel in time."""
        return view_schema(self.options.schema)

    @property
    def view(self) -> str:
        """The name of the view that shows the table as of a moment."""
        return shorten(base_name(self.schema, self.name))

    @property
    def qualified(self) -> str:
        """``schema.table``, as used in counts and messages."""
        return qualified_name(self.live_schema, self.name)

    @property
    def token(self) -> str:
        """Eight hexadecimal digits that identify the table in setting names."""
        return hashlib.sha256(self.qualified.encode()).hexdigest()[:8]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the recorded columns."""
        return tuple(column.name for column in self.columns)

    def function(self, purpose: str) -> str:
        """The name of one of the table's generated functions."""
        return function_name(purpose, self.schema, self.name)


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A live table as the catalog describes it.

    Attributes:
        spec: what its DDL is generated from.
        has_system_column: whether it already carries the system column.
        inherits_system_column: whether it has it from the table it inherits from.
        children: schema and name of each table that inherits from it.
        partitions: schema and name of each partition, when it is partitioned.
    """

    spec: TableSpec
    has_system_column: bool
    inherits_system_column: bool
    children: tuple[tuple[str, str], ...]
    partitions: tuple[tuple[str, str], ...]


def spec_from_table(table: Table, dialect: Dialect) -> TableSpec:
    """Describe a versioned ``table`` without asking a database.

    Raises:
        ConfigurationError: the table is declared in a way that cannot be versioned.
    """
    recorded = {column.name for column in recorded_columns(table)}
    columns = {column.name: _column_spec(column, dialect) for column in table.columns}
    return TableSpec(
        schema=table.schema,
        name=str(table.name),
        columns=tuple(spec for name, spec in columns.items() if name in recorded),
        key=tuple(str(column.name) for column in key_columns(table)),
        foreign_keys=foreign_key_columns(table),
        options=options_of(table) or VersioningOptions(),
        kind=_kind(table.dialect_options.get("postgresql", {})),
        unrecorded=tuple(spec for name, spec in columns.items() if name not in recorded),
    )


def check_columns(
    label: str, names: set[str], key: tuple[str, ...], options: VersioningOptions
) -> None:
    """Refuse columns that cannot be versioned, or excluded.

    Parameters:
        label: how to call the table.
        names: its columns.
        key: those of its key.
        options: how it is versioned.

    Raises:
        ConfigurationError: there are such.
    """
    missing = sorted(set(options.exclude) - names)
    if missing:
        raise ConfigurationError(
            f"table {label!r} has no column(s) {', '.join(missing)} to exclude"
        )
    in_key = sorted(set(options.exclude) & set(key))
    if in_key:
        raise ConfigurationError(
            f"table {label!r}: key column(s) {', '.join(in_key)} cannot be excluded"
        )
    clash = sorted((names & set(SYSTEM_COLUMNS)) - {TX_COLUMN})
    if clash:
        raise ConfigurationError(
            f"table {label!r}: column name(s) {', '.join(clash)} are used by versioning"
        )


def refuse_without_triggers(spec: TableSpec) -> None:
    """Refuse to capture by the ORM what only triggers can follow.

    Raises:
        ConfigurationError: the table is partitioned or belongs to an inheritance tree.
    """
    if spec.options.capture == "orm" and spec.kind != "ordinary":
        raise ConfigurationError(
            f"table {spec.qualified!r} is {spec.kind}, and rows of such tables are written "
            "through others, too: only triggers can record them. Use capture='trigger'"
        )


def _column_spec(column: Column[Any], dialect: Dialect) -> ColumnSpec:
    return ColumnSpec(
        name=str(column.name),
        generated=column.computed is not None,
        type=column.type.compile(dialect=dialect),
    )


def _kind(options: Mapping[str, Any]) -> TableKind:
    if options.get("partition_by"):
        return "partitioned"
    return "inherited" if options.get("inherits") else "ordinary"


__all__ = [
    "ColumnSpec",
    "LiveTable",
    "TableKind",
    "TableSpec",
    "check_columns",
    "refuse_without_triggers",
    "spec_from_table",
]
