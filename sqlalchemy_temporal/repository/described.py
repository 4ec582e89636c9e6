"""What a versioned table is like: plain values, read from a database's catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import FromClause, Table
from sqlalchemy.types import TypeEngine


@dataclass(frozen=True, slots=True)
class ForeignKeyInfo:
    """A foreign key, between tables that need not both be versioned.

    Attributes:
        name: the constraint's name; generated for SQLite, where it may have none.
        table: the referring table, ``schema.name``.
        columns: its columns that refer.
        referred: the table referred to, ``schema.name``.
        referred_columns: its columns, in the same order.
        on_delete: ``NO ACTION``, ``RESTRICT``, ``CASCADE``, ``SET NULL`` or ``SET DEFAULT``.
        on_update: the same for changes of the referred columns.
        deferrable: whether checking can wait until commit.
        is_versioned: whether the referring table is versioned.
        set_columns: the columns that ``SET NULL (…)`` or ``SET DEFAULT (…)`` on delete names.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    referred: str
    referred_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    deferrable: bool = False
    is_versioned: bool = True
    set_columns: tuple[str, ...] = ()

    @property
    def set_on_delete(self) -> tuple[str, ...]:
        """Those of a column list, as PostgreSQL 15 and later have it; otherwise all."""
        return self.set_columns or self.columns


@dataclass(frozen=True, slots=True)
class UniqueInfo:
    """A unique constraint or index.

    Attributes:
        name: its name.
        columns: its columns; empty for an index over expressions.
        deferrable: whether checking can wait until commit.
        partial: whether it is for some rows only.
    """

    name: str
    columns: tuple[str, ...]
    deferrable: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True)
class VersionedTable:
    """One registered table.

    Attributes:
        name: ``schema.name``, as counts and messages have it.
        schema: the live table's schema; ``public`` on a database without schemas.
        table_name: the live table's name.
        live: the live table, all columns but the system column, marked versioned.
        stored: the live table with its system column ``temporal_tx_id``, not marked; empty
            while versioning is disabled.
        history: its history table; a column that has another name there has the live
            one as its key.
        key: the columns that identify a row.
        columns: the recorded columns, in order, those of the key included.
        excluded: the columns that are not recorded.
        generated: recorded columns that the database computes.
        always_identity: columns ``GENERATED ALWAYS AS IDENTITY``.
        sequences: the sequence behind a serial or identity column, by column.
        not_null: columns that may not be NULL.
        types: the type of each column as SQL.
        defaults: the default of a column as SQL, of those that have one.
        since: the transaction from which on a column was recorded, for columns that did not
            come from another by a change of type.
        foreign_keys: where it refers to.
        referenced_by: what refers to it, unversioned tables included.
        uniques: its unique constraints and indexes, without the key's.
        kind: ``ordinary``, ``partitioned`` or ``inherited``.
        enabled_tx_id: the transaction in which its versioning began.
        disabled_tx_id: that in which it was ended; None while it is versioned.
        gaps: when its versioning was interrupted, as registered.
        position: its place in the order of dependencies, parents first.
    """

    name: str
    schema: str
    table_name: str
    live: Table
    stored: FromClause
    history: Table
    key: tuple[str, ...]
    columns: tuple[str, ...]
    excluded: tuple[str, ...]
    generated: frozenset[str]
    always_identity: frozenset[str]
    sequences: Mapping[str, str]
    not_null: frozenset[str]
    types: Mapping[str, str]
    defaults: Mapping[str, str]
    since: Mapping[str, int]
    foreign_keys: tuple[ForeignKeyInfo, ...]
    referenced_by: tuple[ForeignKeyInfo, ...]
    uniques: tuple[UniqueInfo, ...]
    kind: str
    enabled_tx_id: int
    disabled_tx_id: int | None
    gaps: tuple[Any, ...]
    position: int = 0

    @property
    def writable(self) -> tuple[str, ...]:
        """The recorded columns that an INSERT gives."""
        return tuple(c for c in self.columns if c not in self.generated)

    @property
    def values(self) -> tuple[str, ...]:
        """The recorded columns that an UPDATE can set: no key, nothing generated."""
        return tuple(c for c in self.writable if c not in self.key)


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column as the database's catalog has it.

    Attributes:
        name: its name.
        type: its type as SQLAlchemy reflects it.
        sql_type: its type as SQL.
        not_null: whether it may not be NULL.
        generated: whether the database computes it.
        always_identity: whether it is ``GENERATED ALWAYS AS IDENTITY``.
        sequence: the sequence behind it, as a name to be used in SQL.
        default: its default as SQL.
    """

    name: str
    type: TypeEngine[Any]
    sql_type: str
    not_null: bool = False
    generated: bool = False
    always_identity: bool = False
    sequence: str | None = None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table as the database's catalog has it; see :class:`VersionedTable`."""

    columns: tuple[ColumnFacts, ...]
    uniques: tuple[UniqueInfo, ...] = ()
    foreign_keys: tuple[ForeignKeyInfo, ...] = ()
    referenced_by: tuple[ForeignKeyInfo, ...] = ()
    kind: str = "ordinary"


__all__ = ["ColumnFacts", "ForeignKeyInfo", "TableFacts", "UniqueInfo", "VersionedTable"]
